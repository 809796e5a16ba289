"""Apps that can't be measured: each is told what is wrong with it, by its Dockerfile's name, in time."""

import io
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from corpus_cases import corpus

from layerlab.build.buildx import Build
from layerlab.build.variant import Variant, load
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.labs import shutdown
from layerlab.labs.lives import Lives, explain
from layerlab.opening import opened
from layerlab.run import container, diagnosis, usage
from layerlab.settings import Settings
from layerlab.show.live import Screen
from layerlab.text import plain

PROJECT = Path(__file__).parent.parent
pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("slim")]
LIMIT_SECONDS = 3
SERVES = r"import http.server as h, threading as t\nt.Thread(target=h.test, args=(h.SimpleHTTPRequestHandler,)).start()\n"
#: Those of the corpus that the lab can't measure, with the limits of any container.
BAD = {
    case.name: case
    for case in corpus("unmet")
    if case.start_seconds == LIMIT_SECONDS
    and case.name not in ("health-missing", "entrypoint-setuid")
}
#: These serve.
DEAF = 'CMD ["python", "-m", "http.server", "8000"]'
CHATTY = f"""CMD ["python", "-c", "{SERVES}for _ in range(20000): print('x' * 200)"]"""


def variant(folder: Path, name: str, text: str) -> Variant:
    path = folder / f"{name}.Dockerfile"
    path.write_text(f"FROM python:3.11-slim\n{text}\n")
    return load(path)


def bad(folder: Path, name: str) -> Variant:
    path = folder / f"{name}.Dockerfile"
    path.write_bytes((BAD[name].folder / "Dockerfile").read_bytes())
    return load(path)


def measured(endpoint: Endpoint, folder: Path, *variants: Variant) -> Lives:
    (folder / "app").symlink_to(PROJECT / "app")
    settings = Settings(folder, start_limit_seconds=LIMIT_SECONDS)
    with opened(endpoint, Screen(io.StringIO()), settings, variants, {}) as lab:
        found = shutdown.measure(lab, variants)
        assert [one for one in leftovers.remaining(endpoint) if one.startswith("container")] == []
    return found


@pytest.fixture(scope="module")
def lives(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    folder = tmp_path_factory.mktemp("bad-apps")
    variants = [bad(folder, name) for name in BAD]
    variants += [variant(folder, "deaf", DEAF), variant(folder, "chatty", CHATTY)]
    yield measured(endpoint, folder, *variants)
    assert leftovers.remaining(endpoint) == []


@pytest.mark.parametrize("name", BAD)
def test_each_is_told_what_is_wrong(lives: Lives, name: str) -> None:
    with pytest.raises(LabError) as error:
        lives.of(name)
    case = BAD[name]
    told = re.sub(rf"^{name}\.Dockerfile", case.file, str(error.value))
    assert re.search(case.sentence, plain(told)), told


def test_the_others_are_measured(lives: Lives) -> None:
    """One has no handler for SIGTERM, the other one has and says too much."""
    deaf = lives.of("deaf")
    assert (deaf.first, deaf.stop.kind, deaf.stop.exit_code) == ("python3.11", "killed", 137)
    assert 10 <= deaf.stop.seconds < 20
    case = lives.cases["deaf"]
    told = explain(case, deaf, "stop", "clean")
    assert told is not None
    assert told.startswith("deaf.Dockerfile:2: docker stop killed it after 1")
    assert "expected: clean, got: killed. PID 1 was python3.11.\nPID 1 is not ended by" in told
    assert explain(case, deaf, "stop", "killed") is None
    assert lives.of("chatty").first == "python3.11"
    assert [one for one in lives.findings if "chatty.Dockerfile:2: it floods its log" in one]
    assert (
        "deaf.Dockerfile:2: it answers 404 at /health: give the app such a path, one that answers 200."
        in lives.findings
    )


def test_no_health(endpoint: Endpoint, run: Run, build_text: Callable[..., Build]) -> None:
    build_text(f"FROM SLIM\nRUN touch /srv/health\nWORKDIR /srv\n{DEAF}\n", cold=False)
    with container.running(
        endpoint, run, f"layerlab/test:{run.id}", container.NOTHING, purpose="test"
    ) as app:
        assert app.unhealthy() is None
        assert app.unhealthy("/healthz") == (
            "it answers 404 at /healthz: give the app such a path, one that answers 200"
        )
        endpoint.run("stop", "--time", "0", app.name, doing="stopping")
        assert "does not answer at /health" in str(app.unhealthy())
        assert diagnosis.ended(endpoint, app.name, answered=True) == (
            "the app ended after it answered (exit code 137)"
        )
        assert usage.of(endpoint, app.name) is None


def test_a_limit_of_time_holds(endpoint: Endpoint, tmp_path: Path) -> None:
    begun = time.monotonic()
    mute = bad(tmp_path, "mute")
    with pytest.raises(LabError):
        measured(endpoint, tmp_path, mute).of("mute")
    assert time.monotonic() - begun < LIMIT_SECONDS + 12


def test_a_student_is_told_how_to_let_the_app_stop(
    lab_run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    student = tmp_path / "student.Dockerfile"
    student.write_text("FROM python:3.11-slim\nWORKDIR /srv\nCMD python -m http.server 8000\n")
    done = lab_run("-k", "shutdown", "--variant", student)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "student.Dockerfile:3: docker stop killed it after 10." in done.stdout
    assert "expected: clean, got: killed. PID 1 was dash." in done.stdout
    assert 'write CMD ["python", "-m", "http.server", "8000"]' in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_student_whose_app_does_not_answer(
    lab_run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    student = bad(tmp_path, "loopback").path
    done = lab_run("-k", "shutdown", "--variant", student, "--start-limit", "1.5")
    assert done.returncode == 2, done.stdout + done.stderr
    assert (
        "loopback.Dockerfile:2: the app did not answer in 1.5 s: it listens on 127" in done.stdout
    )
    assert "Traceback" not in done.stdout + done.stderr
