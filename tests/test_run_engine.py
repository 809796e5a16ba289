"""`layerlab run` as its users meet it: students' Dockerfiles, mistakes, kills."""

import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.private import PrivateEngine, lacking
from layerlab.engine.root import as_root
from layerlab.engine.transfer import bring
from layerlab.folders import cache_folder

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("slim")]
LabRun = Callable[..., subprocess.CompletedProcess[str]]
#: A dependency install that costs next to nothing.
INSTALL = "RUN pip install --no-deps -r /dev/null"
GOOD = f"""\
# layerlab.labs: layer-cache image-size
FROM python:3.11-slim
COPY requirements.txt /app/
{INSTALL}
COPY main.py /app/
"""
#: The labs that only build: none of these starts an app.
BUILDING = ("-k", "layer_cache or image_size")
WASTEFUL = f"""\
FROM python:3.11-slim
WORKDIR /app
COPY . .
{INSTALL}
"""


@pytest.fixture
def student(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "student.Dockerfile"
        path.write_text(text)
        return path

    return write


@pytest.fixture(autouse=True)
def nothing_left(endpoint: Endpoint) -> object:
    """Whatever a test does, nothing of it may stay on the engine or in the cache folder."""
    yield
    assert leftovers.remaining(endpoint) == []
    # This session's own lab, if it has one, is the only run that lives.
    assert [
        f.name for f in (cache_folder() / "runs").glob("2*") if f.name not in leftovers.alive()
    ] == []


def test_a_good_dockerfile_passes(
    lab_run: LabRun, student: Callable[[str], Path], project: Path
) -> None:
    junit, step = project / "junit.xml", project / "step.md"
    words = ("--variant", student(GOOD), "--rounds", "2", "--junit-xml", junit)
    step.write_text("# before\n")
    done = lab_run(*BUILDING, *words, GITHUB_STEP_SUMMARY=str(step))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(
        r"^student +[\d.]+ s 0/3 +[\d.]+ s 3/3 +[\d.]+ s 2/3 ", done.stdout, re.MULTILINE
    )
    assert re.search(r"^student +\d+\.\d +\d+\.\d ", done.stdout, re.MULTILINE)
    tables = (project / ".layerlab/tables.md").read_text()
    assert "python:3.11-slim" in tables
    assert "](image-size.svg)" in tables
    assert "student" in (project / ".layerlab/image-size.svg").read_text()
    answer = r"After an edit of main.py, student is back in [\d.]+ s and reuses 2 of 3 steps."
    report = project / ".layerlab/report.html"
    for shown in (done.stdout, tables, report.read_text(), step.read_text()):
        assert re.search(answer, shown)
    assert "report: .layerlab/report.html" in done.stdout
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert step.read_text().startswith("# before\n")
    suite = ElementTree.parse(junit).getroot()[0]
    named = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert re.fullmatch(r"[\d.]+ s", named["source-edit.wall"])
    assert re.fullmatch(r"\d+ bytes", named["image.unpacked"])
    assert named["layerlab.run"] in report.read_text()


def test_a_wasteful_one_is_told_which_step_and_why(
    lab_run: LabRun, student: Callable[[str], Path]
) -> None:
    done = lab_run(*BUILDING, "--variant", student(WASTEFUL), "--rounds", "1")
    assert done.returncode == 1
    assert (
        "student.Dockerfile:3: after the edit of main.py, [3/4] COPY . . was the first step to run"
        in done.stdout
    )
    assert f"student.Dockerfile:4: [4/4] {INSTALL} had to run again" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("header", "text"),
    [("install", GOOD), ("copy", WASTEFUL)],
    ids=["better than declared", "worse than declared"],
)
def test_a_declaration_must_be_true_in_both_directions(
    lab_run: LabRun, student: Callable[[str], Path], header: str, text: str
) -> None:
    declared = f"# layerlab.expect.layer-cache.source-edit: {header}\n{text}"
    done = lab_run("--variant", student(declared), "--rounds", "1", "-k", "source-edit")
    assert done.returncode == 1
    assert "after the edit of main.py" in done.stdout


def test_one_bad_variant_does_not_stop_the_others(
    lab_run: LabRun, student: Callable[[str], Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.Dockerfile"
    other.write_text("FROM python:3.11-slim\nRUN echo the reason; exit 4\n")
    done = lab_run(*BUILDING, "--variant", other, "--variant", student(GOOD), "--rounds", "1")
    assert done.returncode == 2
    assert (
        "other.Dockerfile:2: [2/2] RUN echo the reason; exit 4 failed with exit code 4"
        in done.stdout
    )
    # The broken one fails once, in whichever experiment comes first.
    assert re.search(r"\b1 failed, 10 passed, \d+ skipped", done.stdout), done.stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("FROM python:3.11-slim\nRUNN x\n", "student.Dockerfile:2: unknown instruction: RUNN"),
        ("", "student.Dockerfile: this Dockerfile has no instruction"),
        ("FROM no/such:1\n", "student.Dockerfile:1: the base image no/such:1"),
        ("FROM python:3.11-slim\nCOPY gone /\n", "student.Dockerfile:2: gone is not in the build"),
        ("FROM python:3.11-slim\nRUN exit 3\n", "[2/2] RUN exit 3 failed with exit code 3"),
        (
            "# layerlab.titel: x\nFROM python:3.11-slim\n",
            "student.Dockerfile:1: there is no header",
        ),
        (
            "# layerlab.expect.layer-cache.source-edit: none\nFROM python:3.11-slim\n",
            "student.Dockerfile:1: `none` can't be expected",
        ),
    ],
)
def test_a_mistake_gets_one_sentence(
    lab_run: LabRun, student: Callable[[str], Path], text: str, sentence: str
) -> None:
    done = lab_run("--variant", student(text), "--rounds", "1")
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert sentence in said
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--variant", "cache-orderd"], "did you mean `cache-ordered`?"),
        (["--engine", "unix:///nowhere/docker.sock"], "no engine answers at unix:///nowhere"),
        (["--engine", "nosuchcontext"], "`nosuchcontext` is no docker context here"),
        (["--rounds", "0"], "--rounds 0: give 1 or more"),
        (["--build-limit", "2", "--variant", "SLOW", "--rounds", "1"], "at its limit of 2 s"),
    ],
)
def test_a_wrong_command_line_gets_one_sentence(
    lab_run: LabRun, student: Callable[[str], Path], words: list[str], sentence: str
) -> None:
    slow = str(student("FROM python:3.11-slim\nRUN sleep 600\n"))
    done = lab_run(*[slow if word == "SLOW" else word for word in words])
    assert done.returncode == 2
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_no_engine_is_said_so(lab_run: LabRun) -> None:
    done = lab_run(DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 2
    assert "unix:///nowhere/docker.sock (from DOCKER_HOST)" in done.stderr


def start_run(endpoint: Endpoint, project: Path, *words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "layerlab", "run", "--rounds", "1", *map(str, words)],
        cwd=project,
        env={**os.environ, **endpoint.environ()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def sleeping(marker: str) -> bool:
    return (
        subprocess.run(
            ["pgrep", "-f", f"^sleep {marker}$"], capture_output=True, check=False
        ).returncode
        == 0
    )


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_run_leaves_nothing_and_loses_nothing(
    endpoint: Endpoint,
    student: Callable[[str], Path],
    lab_run: LabRun,
    project: Path,
    order: signal.Signals,
) -> None:
    """The good variant is primed before the other one hangs and all is ended."""
    if not endpoint.private:
        pytest.skip("the build's processes can be seen on the private engine only")
    marker = f"{5_000 + os.getpid() + order / 100}"
    hanging = student(f"FROM python:3.11-slim\nRUN exec sleep {marker}\n")
    good = hanging.with_name("good.Dockerfile")
    good.write_text(GOOD)
    cache = ("-k", "layer_cache")
    process = start_run(endpoint, project, *cache, "--variant", good, "--variant", hanging)
    wait_until(lambda: sleeping(marker))
    process.send_signal(order)
    said, _ = process.communicate(timeout=60)
    wait_until(lambda: not sleeping(marker), 15)
    with sqlite3.connect(project / ".layerlab/store.sqlite") as store:
        kept = store.execute(
            "SELECT scenario, round FROM sample WHERE variant = 'good' AND metric = 'wall'"
        ).fetchall()
    assert kept == [("priming", 0)]
    if order == signal.SIGKILL:
        assert leftovers.remaining(endpoint)
        lab_run(*cache, "--variant", good, "--rounds", "1")
    else:
        assert process.returncode == 2, said
        assert "`./lab run --resume` goes on with it" in said


@pytest.fixture(scope="module")
def small(endpoint: Endpoint, slim: str) -> Iterator[PrivateEngine]:
    """A second private engine, on a small file system of its own, with the slim base."""
    if lacking() is not None:
        pytest.skip(f"no private engine here: {lacking()}")
    folder = Path(f"/tmp/layerlab-small-{os.getpid()}")
    folder.mkdir(mode=0o700)
    mounted = as_root(["mount", "-t", "tmpfs", "-o", "size=1200m,mode=777", "tmpfs", folder])
    subprocess.run(mounted, check=True)
    own = PrivateEngine(folder / "engine")
    try:
        bring(slim, endpoint, own.start(lambda _: None))
        there = own.endpoint().connect()
        there.images.get(slim).tag("python", "3.11-slim")
        there.close()
        yield own
    finally:
        own.remove()
        subprocess.run(as_root(["umount", folder]), check=True)
        folder.rmdir()


def test_a_full_disk_of_the_engine_is_said_so(
    small: PrivateEngine, student: Callable[[str], Path], project: Path
) -> None:
    endless = "FROM python:3.11-slim\nRUN dd if=/dev/zero of=/endless bs=1M\n"
    process = start_run(small.endpoint(), project, "--variant", student(endless))
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert "student.Dockerfile:2: no space is left where this step writes" in said
    assert "Traceback" not in said
    assert leftovers.remaining(small.endpoint()) == []


def test_an_engine_that_dies_in_mid_build_is_said_so(
    small: PrivateEngine, student: Callable[[str], Path], project: Path
) -> None:
    marker = f"{6_000 + os.getpid()}.5"
    hanging = student(f"FROM python:3.11-slim\nRUN exec sleep {marker}\n")
    process = start_run(small.endpoint(), project, "--variant", hanging)
    wait_until(lambda: sleeping(marker))
    pid = small.process()
    assert pid
    os.kill(pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=90)
    assert process.returncode == 2, said
    assert "student.Dockerfile:2: the engine went away in mid-build" in said
    assert "Traceback" not in said
    assert not sleeping(marker)
    small.start(lambda _: None)
    leftovers.remove_dead(small.endpoint())
    assert leftovers.remaining(small.endpoint()) == []
