"""What limits look like on command lines, and what a compose file that nobody vouches for may not say."""

from pathlib import Path

import pytest

from layerlab.build import untrusted, watch
from layerlab.build.progress import Progress
from layerlab.engine.limits import UNTRUSTED, Confinement, megabytes
from layerlab.errors import LabError
from layerlab.run import confined, privileges
from layerlab.run.override import override

HELD = Confinement(UNTRUSTED, "layerlab-1/untrusted-x", "llu", "x")
FREE = Confinement(UNTRUSTED, "", "", "x")


def test_a_trusted_build_has_no_limits() -> None:
    assert watch.options(None) == []


def test_a_group_is_asked_for_where_there_is_one() -> None:
    assert "--cgroup-parent" in watch.options(HELD)
    assert "--cgroup-parent" not in watch.options(FREE)
    assert f"fsize={UNTRUSTED.build.disk_bytes}" in watch.options(FREE)


def test_nothing_that_a_container_is_given_adds_rights() -> None:
    words = confined.words(HELD)
    assert words[:4] == ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    assert not {"--privileged", "--cap-add", "--device", "--volume", "--pid"} & set(words)


def test_each_closed_network_has_a_bridge_of_its_own() -> None:
    names = {confined.bridge(HELD)["com.docker.network.bridge.name"] for _ in range(50)}
    assert len(names) == 50
    assert all(name.startswith("llu") and len(name) <= 15 for name in names)
    assert confined.is_closed({"driver_opts": confined.bridge(HELD)})
    assert not confined.is_closed({"driver_opts": confined.bridge(FREE)})
    assert not confined.is_closed({})


def test_what_a_stack_builds_is_held_and_has_no_way_out() -> None:
    config = {
        "services": {"web": {"build": {}}, "database": {"image": "postgres:15"}},
        "networks": {"default": {}, "to_database": {"internal": True}},
    }
    text = override(config, {"a": "b"}, images={}, confinement=HELD)
    assert text.count('"cap_drop"') == 1
    assert text.count("com.docker.network.bridge.name") == 1
    assert "cap_drop" not in override(config, {"a": "b"}, images={})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# syntax=a/b\nFROM x", (1, "a/b")),
        ("# escape=`\n#syntax = a/b more\nFROM x", (2, "a/b")),
        ("//syntax=a/b\nFROM x", (1, "a/b")),
        ("#!/bin/x\n// check=skip=all\n// syntax=a/b\n", (3, "a/b")),
        ('{"syntax": "a/b x", "other": []}', (1, "a/b")),
        ("# a comment\n# syntax=a/b\nFROM x", None),
        ("FROM x\n# syntax=a/b", None),
        ('["syntax"]', None),
    ],
)
def test_a_frontend_is_found_where_buildkit_finds_it(
    text: str, found: tuple[int, str] | None
) -> None:
    assert untrusted.frontend(text) == found


def test_what_all_steps_print_is_counted() -> None:
    progress = Progress()
    for digest in ("a", "b"):
        progress.feed(b'{"logs":[{"vertex":"%s","data":"aGVsbG8K"}]}\n' % digest.encode())
    assert progress.log_bytes == 12


def test_compose_reads_the_project_alone(tmp_path: Path) -> None:
    folder = tmp_path / "compose"
    folder.mkdir()
    file = folder / "compose.yaml"
    file.write_text("services:\n  web:\n    env_file: [{path: ../app/web.env}, local.env]\n")
    privileges.check_files([file], tmp_path)
    file.write_text("services:\n  web:\n    env_file:\n      - path: ../../else.env\n")
    with pytest.raises(LabError, match=r"compose\.yaml:3: `env_file` reads \.\./\.\./else\.env"):
        privileges.check_files([file], tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "services: 3", "services: {web: 1}", "a: [", "\x00"])
def test_a_file_that_is_no_project_is_left_to_compose(tmp_path: Path, text: str) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    privileges.check_files([tmp_path / "compose.yaml"], tmp_path)


def test_limits_are_told_in_round_numbers() -> None:
    assert [megabytes(count) for count in (1 << 30, 1 << 20, 1 << 18)] == [
        "1024 MiB",
        "1 MiB",
        "256 KiB",
    ]
