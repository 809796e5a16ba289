"""What `bench` refuses before anything is built, and what it passes on to a build."""

from pathlib import Path

import pytest

from layerlab.build import options
from layerlab.build.dockerfile import parse
from layerlab.cli import dispatch
from layerlab.errors import LabError

BOTH = ("-f", "old.Dockerfile", "-f", "new.Dockerfile")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the caller is: two Dockerfiles, and a project whose build does not see ignored.py."""
    monkeypatch.setenv("LAYERLAB_CALLED_FROM", str(tmp_path))
    # An engine is never looked for: whoever asks for one gets another sentence than the tests expect.
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    for name in ("old.Dockerfile", "new.Dockerfile", "a/Dockerfile", "b/Dockerfile"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("FROM python:3.11-slim\nCOPY . .\n")
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("main.py", "ignored.py", "requirements.txt"):
        (folder / name).write_text("")
    (folder / ".dockerignore").write_text("ignored.py\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("project",), "give a baseline and a Dockerfile to compare with it"),
        (("-f", "old.Dockerfile", "project"), "give a baseline and a Dockerfile"),
        (
            ("-f", "old.Dockerfile", "-f", "no.Dockerfile", "project"),
            "-f no.Dockerfile: there is no",
        ),
        (("-f", "old.Dockerfile", "-f", "./old.Dockerfile", "project"), "it was given twice"),
        ((*BOTH, "old.Dockerfile"), "CONTEXT old.Dockerfile: it is not a folder"),
        ((*BOTH, "nowhere"), "CONTEXT nowhere: there is no such folder"),
        ((*BOTH, "project", "--edit", "ignored.py"), "an ignore file excludes it"),
        ((*BOTH, "project", "--edit", "old.Dockerfile"), "it is not in the build context"),
        ((*BOTH, "project", "--health", "/health"), "give its port, too (--serve PORT)"),
        ((*BOTH, "project", "--serve", "80", "--health", "health"), "give a path, such as /health"),
        ((*BOTH, "project", "--serve", "99999"), "give a port, from 1 to 65535"),
        ((*BOTH, "project", "--rounds", "0"), "--rounds 0: give 1 or more"),
        ((*BOTH, "project", "--margin", "5"), "`5` is no percentage"),
        ((*BOTH, "project", "--time-limit", "5"), "--time-limit is for --until-decided"),
        ((*BOTH, "project", "--fail-if", "image.size > 5%"), "there is no metric `image.size`"),
        (
            (*BOTH, "project", "--fail-if", "run.stop slower"),
            "this run does not measure `run.stop`",
        ),
        ((*BOTH, "project", "--markdown", "no/x.md"), "there is no such folder"),
        ((*BOTH, "project", "--secret", "id=x,src=none"), "--secret id=x: "),
        ((*BOTH, "project", "--platform", "linux/amd64,linux/arm64"), "give one platform"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    project: Path, words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(["bench", *words]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("layerlab: ")
    assert told in said.err
    assert said.out == ""


def test_the_files_that_will_be_edited_are_said_first(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    # No engine answers here: this is as far as it comes.
    assert dispatch(["bench", "-f", "a", "-f", "b", "project"]) == 2
    source, dependencies = capsys.readouterr().out.splitlines()
    assert source.startswith("Source edit: main.py (")
    assert "--edit PATH" in source
    assert dependencies.startswith("Dependencies edit: requirements.txt (pip")


def test_options_are_passed_on_with_absolute_paths(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0psecret\n")
    (tmp_path / "shared").mkdir()
    read = options.read(
        {
            "target": ["prod"],
            "platform": ["linux/arm64"],
            "network": ["host"],
            "build-arg": ["VERSION=1.2.3", "FROM_HERE", "UNSET"],
            "secret": ["id=token,src=token", "id=key,env=KEY"],
            "ssh": ["default", "other=key.pem"],
            "build-context": ["shared=shared", "base=docker-image://alpine"],
            "add-host": ["db:10.0.0.1"],
        },
        tmp_path,
        {"FROM_HERE": "of the environment", "KEY": "k3y-of-mine"},
    )
    assert " ".join(read.words) == (
        "--target prod --platform linux/arm64 --network host --build-arg VERSION=1.2.3 "
        f"--build-arg FROM_HERE --build-arg UNSET --secret id=token,src={tmp_path}/token "
        f"--secret id=key,env=KEY --ssh default --ssh other={tmp_path}/key.pem "
        f"--build-context shared={tmp_path}/shared --build-context base=docker-image://alpine "
        "--add-host db:10.0.0.1"
    )
    assert read.given == ("shared", "base")
    assert read.arguments == {"VERSION": "1.2.3", "FROM_HERE": "of the environment"}


def test_values_are_hidden_wherever_a_build_says_them(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0psecret\n")
    given = {"build-arg": ["PASSWORD=hunter2!", "DEBUG=1"], "secret": ["id=t,src=token"]}
    read = options.read(given, tmp_path, {})
    assert read.masked("RUN login hunter2! t0psecret 1") == "RUN login $PASSWORD (secret) 1"
    assert "hunter2" not in repr(read.hidden and options.Options(hidden=read.hidden))


def test_a_command_line_is_kept_without_values() -> None:
    words = ["-f", "a", "--build-arg", "TOKEN=abc=d", "--build-arg=X=y", "--build-arg", "NAME", "."]
    kept = list(options.without_values(words))
    assert kept == [
        "-f",
        "a",
        "--build-arg",
        "TOKEN=…",
        "--build-arg=X=…",
        "--build-arg",
        "NAME",
        ".",
    ]


def test_a_secret_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="there is no variable NONE"):
        options.read({"secret": ["id=x,env=NONE"]}, tmp_path, {})
    with pytest.raises(LabError, match="write id=NAME,src=FILE"):
        options.read({"secret": ["token"]}, tmp_path, {})


TEXT = """\
ARG VERSION=3.11
FROM python:${VERSION} AS build
FROM node:20 AS web
COPY --from=build /x /x
FROM nginx
COPY --from=web /y /y
"""


@pytest.mark.parametrize(
    ("target", "arguments", "given", "images"),
    [
        (None, {}, (), ["python:3.11", "node:20", "nginx"]),
        ("web", {"VERSION": "3.12"}, (), ["python:3.12", "node:20"]),
        ("BUILD", {}, (), ["python:3.11"]),
        ("1", {}, (), ["python:3.11", "node:20"]),
        (None, {}, ("nginx", "node:20"), ["python:3.11"]),
        ("none", {}, (), ["python:3.11", "node:20", "nginx"]),
    ],
)
def test_the_base_images_of_a_build_with_options(
    target: str | None, arguments: dict[str, str], given: tuple[str, ...], images: list[str]
) -> None:
    assert parse(TEXT).built_with(target, arguments, given).images() == images
