"""An engine that is killed, stopped or restarted in mid-run: the run says so, and loses what was in flight alone."""

import os
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import killing
import pytest

from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.private import PrivateEngine, private_engine
from layerlab.engine.process import children, comes_true, order
from layerlab.engine.transfer import bring
from layerlab.folders import cache_folder

pytestmark = [pytest.mark.engine, pytest.mark.faults]
STEPS = """\
FROM python:3.11-slim
COPY requirements.txt /app/
RUN python -c 'import time; time.sleep(0.5)' && pip install --no-deps -r /dev/null
COPY main.py /app/
"""
EVENTS = ("dockerd killed", "engine killed", "engine stopped", "engine restarted")


@pytest.fixture(autouse=True)
def no_run_goes_on() -> Iterator[None]:
    yield
    killing.end_all()


@pytest.fixture(scope="module")
def frail(endpoint: Endpoint, slim: str) -> Iterator[PrivateEngine]:
    """The private engine of a cache folder of its own, with the slim base, to be killed."""
    if not endpoint.private:
        pytest.skip("engines that can be killed are started beside layerlab's own one only")
    real = cache_folder()
    folder = Path(f"/tmp/layerlab-frail-{os.getpid()}")
    (folder / "layerlab/engine").mkdir(parents=True, mode=0o700)
    (folder / "layerlab/engine/tools").symlink_to((real / "engine/tools").resolve())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        own = private_engine()
        there = own.start(lambda _: None)
        bring(slim, endpoint, there)
        with there.connected() as client:
            # Both names, or it would be taken for somebody else's and built again.
            for name in ("python", "layerlab-standin/python"):
                client.images.get(slim).tag(name, "3.11-slim")
        yield own
        own.remove()
    shutil.rmtree(folder)


def dockerd(engine: PrivateEngine) -> int:
    """The process of the engine proper, as this machine numbers it."""
    holder = engine.process()
    assert holder
    (init,) = children(holder)
    # The shims of containers are its children, too.
    (found,) = (
        pid for pid in children(init) if Path(f"/proc/{pid}/comm").read_text() == "dockerd\n"
    )
    return found


def befall(engine: PrivateEngine, what: str) -> None:
    if what == "dockerd killed":
        order(dockerd(engine), signal.SIGKILL)
    elif what == "engine killed":
        holder = engine.process()
        assert holder
        order(holder, signal.SIGKILL)
    else:
        engine.stop()
    if what == "engine restarted":
        engine.start(lambda _: None)


def built(run: killing.Watched, endpoint: Endpoint) -> bool:
    return run.samples() > 8


def started(run: killing.Watched, endpoint: Endpoint) -> bool:
    return bool(killing.mine(endpoint, leftovers.home(), ""))


#: After these the run is gone on with.
RESUMED = ("dockerd killed", "engine restarted")
PARTS = {
    "build": (("-k", "layer_cache", "--variant", "steps.Dockerfile"), built),
    "run": (("-k", "test_shutdown", "--variant", "production"), started),
    "compose": (("-k", "test_env_injection"), started),
    "health": (("-k", "test_healthcheck and not reload", "--variant", "production"), started),
}
CASES = [
    pytest.param(
        part,
        what,
        id=f"{part}-{what.replace(' ', '-')}",
        marks=() if (part, what) == ("build", "engine restarted") else pytest.mark.faults("long"),
    )
    for part in PARTS
    for what in EVENTS
]


@pytest.mark.parametrize(("part", "what"), CASES)
def test_an_engine_that_goes_away(
    part: str, what: str, frail: PrivateEngine, project: Path, tried: Callable[..., None]
) -> None:
    (project / "steps.Dockerfile").write_text(STEPS)
    there = frail.start(lambda _: None)
    words, reached = PARTS[part]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environ.pop("DOCKER_HOST", None)
    run = killing.begin(project, environ, "--engine", "private", *words)
    with killing.read_along(run):
        assert run.wait_for(lambda: reached(run, there), 300), run.text
        time.sleep(0.7)
        befall(frail, what)
        run.process.wait(120)
    print(run.text)
    assert run.process.returncode == 2, run.text
    assert "Traceback" not in run.text
    # One that is restarted may be looked for while it is away.
    how = "went away|was restarted" if what == "engine restarted" else "went away"
    told = f"the engine at {re.escape(there.host)} ({how}) in mid-run: what was in flight is lost"
    assert len(re.findall(told, run.text)) == 1, run.text
    assert "`./lab run --resume` goes on with it" in run.text
    assert not run.descendants()
    with sqlite3.connect(run.store) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        kept = store.execute("SELECT count(*) FROM sample").fetchone()[0]
    assert kept >= run.seen
    frail.start(lambda _: None)
    told = f"exit 2, {kept} samples kept"
    if what in RESUMED:
        resumed = killing.begin(project, environ, "--resume")
        resumed.process.wait(180)
        assert resumed.process.returncode == 0, resumed.text
        assert "going on with the run" in resumed.text
        with sqlite3.connect(run.store) as store:
            ids = store.execute("SELECT count(*) FROM sample WHERE valid").fetchone()[0]
            assert store.execute("SELECT count(*) FROM run").fetchone()[0] == 1
        told += f"; resumed to {ids}"
    else:
        leftovers.remove_dead(there)
    assert leftovers.remaining(there) == []
    assert comes_true(lambda: killing.builds_going_on(there, frail) == [], 10)
    tried(f"{what} in mid-run", part, told)
