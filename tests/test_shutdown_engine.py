"""The shutdown lab ended in its midst, on a real engine: it waits for nothing and leaves nothing."""

import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("slim")]
#: No list of processes has anything but PID 1 in it, and nothing tells which program that is.
BARE = """\
FROM python:3.11-slim
RUN rm -f "$(command -v readlink)"
CMD ["python", "-m", "http.server", "8000"]
"""


def stops(project: Path) -> list[str]:
    """The metrics that the store has."""
    store = project / ".layerlab/store.sqlite"
    if not store.exists():
        return []
    with suppress(sqlite3.OperationalError), sqlite3.connect(store) as opened:
        return [row[0] for row in opened.execute("SELECT metric FROM sample ORDER BY id")]
    return []  # It is just being made.


def containers(endpoint: Endpoint) -> list[str]:
    return [one for one in leftovers.remaining(endpoint) if one.startswith("container")]


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM])
def test_an_ended_lab_waits_for_no_grace(
    endpoint: Endpoint,
    project: Path,
    lab_begun: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    order: signal.Signals,
) -> None:
    student = tmp_path / "student.Dockerfile"
    student.write_text('FROM python:3.11-slim\nCMD ["python", "-m", "http.server", "8000"]\n')
    process = lab_begun("-k", "shutdown", "--variant", student)
    deadline = time.monotonic() + 120
    while "memory" not in stops(project):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.5)
    ended = time.monotonic()
    process.send_signal(order)
    while containers(endpoint):
        # The grace has more than 8 s left.
        assert time.monotonic() - ended < 6
        time.sleep(0.05)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2, said
    # What was measured before is kept; the stop that was cut off is no measurement.
    assert stops(project) == ["start", "memory"]
    assert leftovers.remaining(endpoint) == []


def test_an_image_that_can_not_say_what_pid_1_is(
    lab_run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    bare = tmp_path / "bare.Dockerfile"
    bare.write_text(BARE)
    done = lab_run("-k", "shutdown and not request", "--variant", bare)
    assert "expected: clean, got: killed. PID 1 was python." in done.stdout, done.stdout
