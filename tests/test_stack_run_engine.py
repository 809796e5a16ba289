"""The stack lab as a user runs it: what it shows, and what is left when pytest-docker's `up` fails."""

import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint

pytestmark = pytest.mark.engine
PROJECT = Path(__file__).parent.parent
LabRun = Callable[..., subprocess.CompletedProcess[str]]


def own_compose(project: Path) -> Path:
    """The project's compose.yaml, as a copy that may be changed."""
    (project / "compose").unlink()
    shutil.copytree(PROJECT / "compose", project / "compose")
    return project / "compose" / "compose.yaml"


def volumes(endpoint: Endpoint) -> str:
    """All volumes: an anonymous one may have no label."""
    return endpoint.run("volume", "ls", "-q", doing="listing volumes")


def test_the_whole_lab(endpoint: Endpoint, project: Path, lab_run: LabRun) -> None:
    before = volumes(endpoint)
    done = lab_run("-k", "test_stack and not web_image", COLUMNS="80")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout[done.stdout.index("stack: how it starts") :]
    assert max(map(len, shown.splitlines())) <= 80
    assert "All of it is as the file promises." in shown
    record = project / ".layerlab"
    assert (record / "stack.svg").read_text().startswith("<svg ")
    with sqlite3.connect(record / "store.sqlite") as store:
        query = "SELECT metric, value FROM sample WHERE experiment = 'stack' AND scenario = ?"
        gated = dict(store.execute(query, ("service_healthy",)))
        ungated = dict(store.execute(query, ("service_started",)))
    assert gated["without-database"] == 0 < ungated["without-database"]
    assert gated["database-healthy"] < gated["web-started"]
    assert leftovers.remaining(endpoint) == []
    assert volumes(endpoint) == before


def test_an_up_that_fails_leaves_nothing(
    endpoint: Endpoint, project: Path, lab_run: LabRun
) -> None:
    before = volumes(endpoint)
    file = own_compose(project)
    file.write_text(
        file.read_text().replace("[CMD, redis-cli, -e, ping]", "[CMD, redis-cli, -p, '1', ping]")
        .replace("start_period: 30s", "start_period: 1s")
        .replace("interval: 5s", "interval: 500ms")
    )  # fmt: skip
    done = lab_run("-k", "test_stack")
    assert done.returncode == 2
    assert done.stdout.count("cache never became healthy; its last health check ended with 1:") == 1
    assert "Could not connect to Redis at 127.0.0.1:1" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert leftovers.remaining(endpoint) == []
    assert volumes(endpoint) == before


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_is_interrupted_leaves_nothing(
    endpoint: Endpoint,
    project: Path,
    lab_begun: Callable[..., subprocess.Popen[str]],
    order: signal.Signals,
) -> None:
    """The signal comes while `up` waits for a database that is never healthy."""
    before = volumes(endpoint)
    file = own_compose(project)
    file.write_text(
        file.read_text().replace("[CMD, pg_isready,", "[CMD, 'false',").replace("30s", "300s")
    )
    process = lab_begun("-k", "test_stack")
    deadline = time.monotonic() + 60
    while "-database-1" not in endpoint.run("ps", "--format", "{{.Names}}", doing="listing"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(order)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2, said
    assert leftovers.remaining(endpoint) == []
    assert volumes(endpoint) == before


def test_a_broken_compose_file_is_told_with_its_line(
    endpoint: Endpoint, project: Path, lab_run: LabRun
) -> None:
    file = own_compose(project)
    text = file.read_text()
    file.write_text(text.replace("    image: redis:7\n", "    image: redis:7\n    imag: redis:8\n"))
    line = file.read_text().splitlines().index("    imag: redis:8") + 1
    done = lab_run("-k", "test_stack")
    assert done.returncode == 2
    assert f"compose.yaml:{line}: services.cache: there is no such setting as imag" in done.stdout
    assert leftovers.remaining(endpoint) == []
