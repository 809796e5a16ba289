"""Experiments that are spread over several real engines, and engines and workers that die meanwhile."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from beside import LIMIT_SECONDS, rows, wait_for
from releases import held, release_running

from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint, probe
from layerlab.engine.matrix import MATRIX, Release
from layerlab.engine.process import children
from layerlab.engine.transfer import bring
from layerlab.record.run import State
from layerlab.record.store import Store

pytestmark = pytest.mark.engine
SECOND = Release("28.5", None, "containerd")
#: Both engines, in the order in which their workers are started.
PLACES = ("private", f"private:{SECOND.name}")
#: Three experiments on one variant, of which none is long.
WORDS = (
    *("-k", "env_injection or shutdown or healthcheck", "--variant", "production"),
    *("--engines", ",".join(PLACES)),
)
Begun = Callable[..., subprocess.Popen[str]]
LabRun = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def second(endpoint: Endpoint, slim: str) -> Iterator[Endpoint]:
    """A private engine beside this session's, which has the base."""
    if not endpoint.private:
        pytest.skip("the second engine is a private one, beside this session's own")
    with release_running(SECOND) as there:
        bring(slim, endpoint, there)
        yield there
        # A test may have ended it.
        there = probe(SECOND.engine().start(lambda _: None))
        assert leftovers.remaining(there) == []


def check_whole(project: Path, said: str) -> set[str]:
    """One run that came to its end, each experiment on one engine; returns the engines' names."""
    with Store(project / ".layerlab/store.sqlite") as store:
        (run,) = store.runs()
        assert run.state(leftovers.home(), leftovers.alive()) == State.DONE, said
        last: dict[str, set[str]] = {}
        for one in store.outcomes(run.id):
            assert one.outcome in ("passed", "skipped"), one
            last.setdefault(one.experiment, set()).add(one.place)
        for kept in store.kept(run.id):
            if kept.sample.invalid is None:
                last[kept.sample.experiment].add(kept.sample.place)
        assert set(last) == {"env-injection", "shutdown", "healthcheck"}
        assert {len(places) for places in last.values()} == {1}, last
        assert set(store.chapters(run.id)) == set(last)
        return {place for places in last.values() for place in places}


def worker_on(process: subprocess.Popen[str], place: str) -> int:
    """The worker on an engine."""
    return sorted(children(process.pid))[PLACES.index(place)]


def test_experiments_are_spread_and_come_together_in_one_run(
    project: Path, lab_begun: Begun, endpoint: Endpoint, second: Endpoint
) -> None:
    process = lab_begun(*WORDS)
    said, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0, said
    assert check_whole(project, said) == set(PLACES)
    for told in ("environment: who wins", "what it took", "Engine: private (", "side by side"):
        assert told in said
    report = (project / ".layerlab/report.html").read_text()
    assert "3 experiments on 1 variant" in report
    assert f"private:{SECOND.name} (" in report
    assert leftovers.remaining(endpoint) == leftovers.remaining(second) == []


def test_the_first_failure_ends_the_run_where_it_is_asked_for(
    project: Path, lab_run: LabRun, slim: str, endpoint: Endpoint, second: Endpoint
) -> None:
    text = (project / "dockerfiles/cache-ordered.Dockerfile").read_text()
    bad = re.sub(r"(?m)^CMD .*$", "CMD uvicorn main:app --host 0.0.0.0", text)
    (project / "bad.Dockerfile").write_text(bad)
    words = ("-k", "shutdown or healthcheck", "--variant", "bad.Dockerfile", "-x")
    done = lab_run(*words, "--engines", ",".join(PLACES))
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "expected: clean, got: killed" in said
    assert "lost:" not in said
    with Store(project / ".layerlab/store.sqlite") as store:
        (run,) = store.runs()
        assert run.state(leftovers.home(), leftovers.alive()) == State.DONE
    assert leftovers.remaining(endpoint) == leftovers.remaining(second) == []


@pytest.mark.faults
def test_a_worker_that_is_killed_costs_its_experiment_alone(
    project: Path, lab_begun: Begun, endpoint: Endpoint, second: Endpoint
) -> None:
    process = lab_begun(*WORDS)
    wait_for(process, lambda: rows(project, "SELECT 1 FROM outcome WHERE stage = 'call'"))
    ((place,),) = rows(project, "SELECT DISTINCT place FROM outcome LIMIT 1")
    os.kill(worker_on(process, place), signal.SIGKILL)
    said, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0, said
    assert "for what was lost" in said
    check_whole(project, said)
    assert leftovers.remaining(endpoint) == leftovers.remaining(second) == []


@pytest.mark.faults
@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_on_several_engines_that_is_ended_leaves_nothing(
    project: Path,
    lab_begun: Begun,
    lab_run: LabRun,
    endpoint: Endpoint,
    second: Endpoint,
    order: signal.Signals,
) -> None:
    process = lab_begun(*WORDS)
    places = "SELECT DISTINCT place FROM outcome"
    wait_for(process, lambda: len(rows(project, places)) == 2)
    workers = list(children(process.pid))
    process.send_signal(order)
    said, _ = process.communicate(timeout=60)
    assert "Traceback" not in said
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if order == signal.SIGKILL:
        for engine in (endpoint, second):
            leftovers.remove_dead(engine)
    assert leftovers.remaining(endpoint) == leftovers.remaining(second) == []
    resumed = lab_run("--resume")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    check_whole(project, resumed.stdout)


@pytest.mark.faults
def test_an_engine_that_dies_costs_its_experiment_alone(
    project: Path, lab_begun: Begun, endpoint: Endpoint, second: Endpoint
) -> None:
    process = lab_begun(*WORDS)
    ours = ("ps", "--quiet", "--filter", f"label={leftovers.HOME_LABEL}={leftovers.home()}")
    wait_for(process, lambda: second.run(*ours, doing="looking for containers"))
    SECOND.engine().stop()
    said, _ = process.communicate(timeout=LIMIT_SECONDS)
    # If nobody started it again, what was on it goes with the next run.
    leftovers.remove_dead(probe(SECOND.engine().start(lambda _: None)))
    assert process.returncode == 0, said
    assert "in mid-run" in said
    assert "for what was lost" in said
    check_whole(project, said)
    assert leftovers.remaining(endpoint) == []


@pytest.mark.matrix
def test_the_matrix_is_one_table(project: Path) -> None:
    # `lab matrix` would wait for ever for an engine that this session has.
    free = [one.name for one in MATRIX if one.name not in held and not one.remote]
    names = ",".join([free[0], free[-1]])
    words = ["--engines", names, "-k", "env_injection", "--variant", "production"]
    done = subprocess.run(
        [sys.executable, "-m", "layerlab", "matrix", *words],
        cwd=project,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    experiment, seconds = done.stdout.split("\n\n")[0].splitlines()[-2:]
    assert experiment.split()[0] == "env-injection"
    assert len(experiment.split()) == 3
    assert seconds.startswith("seconds")
    for name in names.split(","):
        assert "32 passed" in (project / f".layerlab/matrix/{name}.txt").read_text()
        page = (project / f".layerlab/matrix/{name}.html").read_text()
        assert f"private:{name}" in page
    assert max(map(len, done.stdout.splitlines())) <= 80
