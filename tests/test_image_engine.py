"""Images on a real engine: their numbers against an independent count, and known-bad ones seen to be bad."""

import gzip
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from layerlab.build.buildx import Build
from layerlab.build.dockerfile import parse
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.image import waste
from layerlab.image.anatomy import dissect
from layerlab.image.export import from_engine, from_file, layer_digests
from layerlab.image.layers import from_dockerfile, on_base
from layerlab.image.memory import Memory

pytestmark = pytest.mark.engine
MB = 1_000_000
BAD = """\
FROM SLIM
RUN head -c 20000000 /dev/zero > /big
RUN rm /big
RUN mkdir -p /root/.cache/pip/http && head -c 300000 /dev/urandom > /root/.cache/pip/http/x
COPY model.bin /data/model.bin
RUN chown -R 1234:1234 /data && \\
    true
WORKDIR /app
COPY . .
CMD ["true"]
"""


@pytest.fixture
def tag(run: Run) -> str:
    """What ``build_text`` calls its image."""
    return f"layerlab/test:{run.id}"


def image_command(endpoint: Endpoint, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs ``layerlab image`` as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "layerlab", "image", *map(str, words)],
        env={**os.environ, **endpoint.environ(), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def saved(endpoint: Endpoint, reference: str, file: Path) -> Path:
    endpoint.run("save", "--output", file, reference, doing="saving an image")
    return file


def test_totals_are_those_that_the_standard_library_counts(
    endpoint: Endpoint, slim: str, tmp_path: Path
) -> None:
    found = from_engine(endpoint, slim, Memory(), compress=False)
    unpacked = files = count = 0
    with tarfile.open(saved(endpoint, slim, tmp_path / "slim.tar")) as archive:
        for member in archive:
            first = archive.extractfile(member)
            if first is None or member.size < 1024 or first.read(1) == b"{":
                continue
            data = archive.extractfile(member)
            assert data is not None
            with tarfile.open(fileobj=data) as layer:
                regular = [e for e in layer if e.isreg() and "/.wh." not in f"/{e.name}"]
            unpacked += member.size
            files += sum(entry.size for entry in regular)
            count += len(regular)
    totals = found.totals
    assert (totals.unpacked_bytes, totals.file_bytes, totals.files) == (unpacked, files, count)
    assert [layer.changeset.digest for layer in found.layers] == layer_digests(endpoint, slim)


def test_a_bad_image_is_seen_to_be_bad_line_by_line(
    endpoint: Endpoint, slim: str, tag: str, build_text: Callable[..., Build]
) -> None:
    built = build_text(BAD, files={"model.bin": "m" * 3 * MB, "main.py": "x = 1\n"})
    assert built.failure is None
    found = from_engine(endpoint, tag, Memory(), compress=True)
    found = on_base(found, slim, layer_digests(endpoint, slim))
    found = from_dockerfile(found, parse(BAD.replace("SLIM", slim)))
    own = [layer for layer in found.layers if not layer.base]
    assert [layer.line for layer in own] == [2, 3, 4, 5, 6, 8, 9]
    assert own[4].instruction.startswith("RUN chown -R")
    anatomy = dissect(found)
    first, second = waste.grouped(anatomy.own_waste)[:2]
    below = own[0].position
    assert (first.root, first.bytes, first.how) == ("big", 20 * MB, "removed")
    assert (first.written_by, first.hidden_by) == ((below,), below + 1)
    assert (second.root, second.bytes) == ("data/model.bin", 3 * MB)
    assert second.how == "owner or mode changed"
    assert (second.written_by, second.hidden_by) == ((below + 3,), below + 4)
    [cache] = [one for one in anatomy.clutter if one.goal == "package-cache"]
    assert cache.own_bytes == 300_000
    assert anatomy.parts["app"] == 3 * MB + len("x = 1\n")
    compressed = found.own.compressed_bytes
    assert compressed is not None
    # Zeros weigh next to nothing, random bytes all that they are.
    assert 300_000 < compressed < 500_000


def test_what_was_read_once_is_not_exported_again(
    endpoint: Endpoint, slim: str, tmp_path: Path
) -> None:
    told: list[str] = []
    kept = tmp_path / "layers.sqlite"
    first = from_engine(endpoint, slim, Memory(kept), compress=False, progress=told.append)
    assert len(told) == 1
    again = from_engine(endpoint, slim, Memory(kept), compress=False, progress=told.append)
    assert len(told) == 1
    assert again == first
    # Without the compressed total it was not known all the same.
    full = from_engine(endpoint, slim, Memory(kept), compress=True, progress=told.append)
    assert len(told) == 2
    assert full.totals.compressed_bytes
    kept.write_bytes(b"no database" * 99)
    assert from_engine(endpoint, slim, Memory(kept), compress=False) == first


def test_only_another_label_is_nothing_new(
    endpoint: Endpoint, slim: str, run: Run, tmp_path: Path
) -> None:
    if endpoint.can.image_store == "containerd":
        pytest.skip("an image's id is no digest of its configuration there")
    told: list[str] = []
    memory, found = Memory(), []
    for number in (1, 2, 3):
        text = f"FROM {slim}\n" + ("ENV A=b\n" if number == 3 else "")
        (tmp_path / "Dockerfile").write_text(text)
        labels = [f"--label={key}={value}" for key, value in run.labels.items()]
        words = ["buildx", "build", "--load", *labels, f"--label=number={number}"]
        reference = f"layerlab/labelled{number}:{run.id}"
        endpoint.run(*words, "-t", reference, tmp_path, doing="building")
        found.append(from_engine(endpoint, reference, memory, compress=False, progress=told.append))
    assert len(told) == 2  # the third has a history of its own
    assert found[1].layers == found[0].layers
    assert len({image.digest for image in found}) == 3
    assert found[2].history[-1].instruction == "ENV A=b"


def test_a_saved_file_has_the_engines_numbers(
    endpoint: Endpoint, slim: str, tmp_path: Path
) -> None:
    file = saved(endpoint, slim, tmp_path / "slim.tar")
    packed = tmp_path / "slim.tar.gz"
    packed.write_bytes(gzip.compress(file.read_bytes(), 1))
    expected = from_engine(endpoint, slim, Memory(), compress=True)
    for path in (file, packed):
        [found] = from_file(path, compress=True)
        assert found.layers == expected.layers
        assert found.digest == expected.digest


def test_an_image_of_another_platform_and_one_without_layers(
    endpoint: Endpoint, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("x")
    for name, text, platform in (
        ("foreign", "FROM scratch\nCOPY x /\n", "linux/arm64"),
        ("bare", 'FROM scratch\nCMD ["x"]\n', endpoint.can.platform),
    ):
        dockerfile = tmp_path / f"{name}.Dockerfile"
        dockerfile.write_text(text)
        labels = [f"--label={key}={value}" for key, value in run.labels.items()]
        words = [
            "buildx",
            "build",
            "--load",
            *labels,
            f"--platform={platform}",
            "--provenance=false",
        ]
        reference = f"layerlab/{name}:{run.id}"
        endpoint.run(*words, "-t", reference, "-f", dockerfile, tmp_path, doing="building")
        found = from_engine(endpoint, reference, Memory(), compress=True)
        assert found.platform.startswith(platform)
        assert found.totals.files == (name == "foreign")
        assert len(found.layers) == (name == "foreign")
        shown = image_command(endpoint, reference)
        assert shown.returncode == 0, shown.stderr
        assert platform in shown.stdout


def test_an_image_that_is_not_there_is_said_so(endpoint: Endpoint) -> None:
    with pytest.raises(LabError, match="there is no image layerlab/nosuch:1 on the engine at"):
        from_engine(endpoint, "layerlab/nosuch:1", Memory(), compress=False)


def test_the_command_is_a_gate(endpoint: Endpoint, slim: str, tmp_path: Path) -> None:
    passed = image_command(endpoint, slim, "--fail-over", "500MB", "--max-waste", "90%")
    assert passed.returncode == 0
    assert passed.stderr == ""
    broken = image_command(
        endpoint, slim, "--fail-over", "1MB", "--max-waste", "0%", "--base=scratch"
    )
    assert broken.returncode == 1
    [size, hidden] = broken.stderr.splitlines()
    assert size.startswith(f"layerlab: {slim}: ")
    assert "unpacked is more than --fail-over 1.00 MB allows" in size
    assert "are waste, more than --max-waste 0% allows" in hidden
    assert max(map(len, broken.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["layerlab/nosuch:1"], "there is no image layerlab/nosuch:1 on the engine at"),
        (["SLIM", "--base", "layerlab/nosuch:1"], "there is no image layerlab/nosuch:1"),
        (["./nosuch.tar"], "nosuch.tar: No such file or directory"),
        (["SLIM", "--fail-over", "200"], "`200` is no size"),
        (["SLIM", "--max-waste", "5"], "5%"),
        (["Not A Name"], "Not A Name is not an image name"),
        (["SLIM", "--svg", "/nosuch/x.svg"], "/nosuch/x.svg: there is no such folder"),
    ],
)
def test_bad_input_gets_one_sentence(
    endpoint: Endpoint, slim: str, words: list[str], sentence: str
) -> None:
    done = image_command(endpoint, *(slim if word == "SLIM" else word for word in words))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert sentence in line


def test_a_students_bad_image_fails_the_lab_with_what_to_do(
    slim: str, lab_run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    dockerfile = tmp_path / "kim.Dockerfile"
    dockerfile.write_text(BAD.replace("COPY model.bin", "COPY main.py"))
    dockerfile.write_text(dockerfile.read_text().replace("SLIM", "python:3.11-slim"))
    done = lab_run("-k", "image_size", "--variant", dockerfile)
    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    assert "kim.Dockerfile:3: 20.0 MB" in text
    assert "/big (removed here, written by `RUN head -c 20000000 /dev/zero > /big`)" in text
    assert "kim.Dockerfile: 0.3 MB of package cache are in the image" in text
    assert "Traceback" not in text
