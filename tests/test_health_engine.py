"""The health lab on a real engine: bad checks are seen to be bad, and nothing is left when it is stopped."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint

pytestmark = pytest.mark.engine
APP = """\
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
{healthcheck}
CMD ["uvicorn", "main:app", "--host", "{host}", "--port", "8000"]
"""
PYTHON = (
    "python -c \"import urllib.request as r; r.urlopen('http://127.0.0.1:8000{path}', timeout=1)\""
)


@pytest.fixture
def health(
    lab_run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the health lab on a student's Dockerfile."""

    def run(
        healthcheck: str, *words: str, host: str = "0.0.0.0"
    ) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "student.Dockerfile"
        path.write_text(APP.format(healthcheck=healthcheck, host=host))
        return lab_run("-k", "test_healthcheck", "--variant", path, *words)

    return run


def test_no_healthcheck(
    health: Callable[..., subprocess.CompletedProcess[str]], endpoint: Endpoint
) -> None:
    done = health("")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "has no HEALTHCHECK, so Docker can't tell whether the app works" in done.stdout
    assert leftovers.remaining(endpoint) == []


def test_a_check_that_sees_nothing(
    health: Callable[..., subprocess.CompletedProcess[str]], endpoint: Endpoint
) -> None:
    done = health("HEALTHCHECK --interval=1s CMD exit 0")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "student.Dockerfile:6: 503 at /health: expected unhealthy, got unseen" in done.stdout
    assert "Let the probe ask /health" in done.stdout
    assert leftovers.remaining(endpoint) == []


def test_a_check_of_what_the_app_does_not_have(
    health: Callable[..., subprocess.CompletedProcess[str]], endpoint: Endpoint
) -> None:
    probe = PYTHON.format(path="/healthz")
    done = health(f"HEALTHCHECK --interval=1s --retries=1 CMD {probe}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "student.Dockerfile:6: as it is: expected healthy, got unhealthy" in done.stdout
    assert "HTTP Error 404" in done.stdout
    assert leftovers.remaining(endpoint) == []


def test_a_check_that_begins_too_late_is_not_waited_for(
    health: Callable[..., subprocess.CompletedProcess[str]], endpoint: Endpoint
) -> None:
    begun = time.monotonic()
    done = health(f"HEALTHCHECK --interval=1h CMD {PYTHON.format(path='/health')}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "student.Dockerfile:6: as it is: expected healthy, got starting" in done.stdout
    assert "Shorten its --interval" in done.stdout
    assert time.monotonic() - begun < 120
    assert leftovers.remaining(endpoint) == []


def test_an_app_that_nobody_reaches(
    health: Callable[..., subprocess.CompletedProcess[str]], endpoint: Endpoint
) -> None:
    probe = PYTHON.format(path="/health")
    done = health(f"HEALTHCHECK CMD {probe}", "--start-limit", "4", host="127.0.0.1")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "student.Dockerfile:7: the app did not answer in 4 s" in done.stdout
    assert "127.0.0.1:8000 only" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert leftovers.remaining(endpoint) == []


def test_ctrl_c_while_many_are_watched(
    endpoint: Endpoint, lab_begun: Callable[..., subprocess.Popen[str]]
) -> None:
    process = lab_begun("-k", "test_setting")
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if sum(one.startswith("container") for one in leftovers.remaining(endpoint)) >= 4:
            break
        time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in said
    assert process.returncode == 2
    assert leftovers.remaining(endpoint) == []
