"""A run that is killed at any moment loses nothing that was measured, and leaves nothing that stays.

`./lab test -m faults` kills 50 times; without it a handful of kills keeps the suite short
(`LAYERLAB_KILLS=N` asks for another number). The moments are random; `LAYERLAB_SEED=N` repeats those of a run.
"""

import fcntl
import os
import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import killing
import pytest
from killing import Watched

from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import HOME_LABEL, RUN_LABEL
from layerlab.engine.private import PrivateEngine, private_engine
from layerlab.engine.process import comes_true
from layerlab.folders import cache_folder

pytestmark = [pytest.mark.engine, pytest.mark.faults]
HANDFUL, MANY = 3, 50
ORDERS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT)
#: No base, so that a run of it can be had wherever an engine runs.
TINY = """\
# layerlab.labs: layer-cache image-size
# layerlab.expect.layer-cache.requirements-edit: nothing
FROM scratch
COPY main.py /
"""
STEPS = """\
FROM python:3.11-slim
COPY requirements.txt /app/
RUN python -c 'import time; time.sleep(0.3)' && pip install --no-deps -r /dev/null
COPY main.py /app/
"""
COMPOSE = "com.docker.compose.project"


@dataclass(frozen=True)
class Phase:
    """A part of a run: what begins it, seen from outside, and about how long it lasts."""

    name: str
    words: tuple[str, ...]
    begins: Callable[[Watched, Endpoint], bool]
    seconds: float


def container(kind: str = "") -> Callable[[Watched, Endpoint], bool]:
    def begins(run: Watched, endpoint: Endpoint) -> bool:
        return any(
            "bystander" not in name for name in killing.mine(endpoint, leftovers.home(), kind)
        )

    return begins


def image(run: Watched, endpoint: Endpoint) -> bool:
    names = [folder.name for folder in run.folders()]
    with endpoint.connected() as client:
        return any(client.images.list(filters={"label": f"{RUN_LABEL}={name}"}) for name in names)


def context(run: Watched, endpoint: Endpoint) -> bool:
    return any(any(folder.glob("contexts/*")) for folder in run.folders())


def text(said: str) -> Callable[[Watched, Endpoint], bool]:
    return lambda run, endpoint: said in run.text


#: The cheap ones first: a handful has only these.
PHASES = (
    Phase("build", ("-k", "layer_cache", "--variant", "steps.Dockerfile"), context, 4),
    Phase("run", ("-k", "test_shutdown", "--variant", "production"), container(), 5),
    Phase(
        "report",
        ("-k", "layer_cache or image_size", "--rounds", "1", "--variant", "tiny.Dockerfile"),
        text("layer cache: seconds"),
        0.6,
    ),
    Phase("engine start", (), lambda run, endpoint: True, 6),
    Phase("compose", ("-k", "test_env_injection"), container(COMPOSE), 5),
    Phase("export", ("-k", "image_size", "--variant", "steps.Dockerfile"), image, 2),
    Phase("registry", ("-k", "test_registry", "--variant", "production"), container(), 10),
    Phase(
        "base build",
        ("-k", "layer_cache", "--variant", "steps.Dockerfile"),
        lambda run, endpoint: (cache_folder() / "standins/work").exists(),
        25,
    ),
)
#: These begin with nothing but unpacked programs, in a cache folder that is thrown away.
FROM_NOTHING = ("engine start", "base build")


@dataclass(frozen=True)
class Kill:
    """One kill: where in a phase, from 0 to 1, and by what."""

    number: int
    phase: Phase
    at: float
    order: signal.Signals

    @property
    def name(self) -> str:
        return f"{self.number}-{self.phase.name.replace(' ', '-')}-{self.at:.2f}-{self.order.name}"


def kills(count: int) -> list[Kill]:
    """Kills spread over the phases and, in each, over its length."""
    chance = random.Random(killing.SEED)
    turns = -(-count // len(PHASES))
    found = []
    for number in range(count):
        turn, phase = divmod(number, len(PHASES))
        at = (turn + chance.random()) / turns
        found.append(Kill(number + 1, PHASES[phase], at, ORDERS[(turn + phase) % len(ORDERS)]))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kill" in metafunc.fixturenames:
        many = "faults" in (metafunc.config.getoption("markexpr") or "")
        chosen = kills(int(os.environ.get("LAYERLAB_KILLS") or (MANY if many else HANDFUL)))
        nothing = metafunc.function is test_killed_where_nothing_was
        mine = [kill for kill in chosen if (kill.phase.name in FROM_NOTHING) == nothing]
        metafunc.parametrize("kill", mine, ids=lambda kill: kill.name)


@pytest.fixture
def ready(project: Path) -> Path:
    """The project with the variants of this file."""
    for name, said in (("tiny", TINY), ("steps", STEPS)):
        (project / f"{name}.Dockerfile").write_text(said)
    return project


@pytest.fixture(autouse=True)
def no_run_goes_on() -> Iterator[None]:
    yield
    killing.end_all()


@pytest.fixture(scope="module")
def bystanders(endpoint: Endpoint, slim: str, app_image: object) -> Iterator[None]:
    """Another living run's things, another user's and nobody's; no clean-up may touch them."""
    if not endpoint.private:
        pytest.skip("what a kill leaves in an engine can be seen in a private one only")
    fresh = cache_folder() / "fresh/living-newest-overlay2"
    with leftovers.running() as living, endpoint.connected() as client:
        (living.folder / "contexts").mkdir()
        fresh.mkdir(parents=True)
        labels = {
            "living": living.labels,
            "foreign": {},
            "other": {RUN_LABEL: "20200101t000000-0000", HOME_LABEL: "0123456789ab"},
        }
        made = []
        try:
            with fresh.with_name(f"{fresh.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                for name, own in labels.items():
                    called = f"bystander-{name}"
                    sleeper = client.containers.run(
                        slim, ["sleep", "3600"], name=called, labels=own, detach=True, init=True
                    )
                    said = [f"LABEL {key}={value}" for key, value in own.items()]
                    sleeper.commit(called, "kept", changes="\n".join(said) or None)
                    made += [
                        sleeper,
                        client.networks.create(called, labels=own),
                        client.volumes.create(called, labels=own),
                    ]
                yield
        finally:
            for thing in made:
                thing.remove(**({"force": True} if hasattr(thing, "stop") else {}))
            for name in labels:
                client.images.remove(f"bystander-{name}:kept", force=True)
            shutil.rmtree(fresh)


def struck(kill: Kill, endpoint: Endpoint, project: Path) -> tuple[Watched, set[str]]:
    """A run that was killed in its phase; also the links of the engines that it had."""
    seconds = kill.phase.seconds * kill.at
    for _ in range(4):
        environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environ.pop("DOCKER_HOST", None)
        words = kill.phase.words or ("-k", "layer_cache", "--variant", "tiny.Dockerfile")
        run = killing.begin(project, environ, "--engine", "private", *words)
        with killing.read_along(run):
            if run.wait_for(partial(kill.phase.begins, run, endpoint)):
                time.sleep(seconds)
            folders = (cache_folder() / "fresh").glob("*/")
            links = killing.links(*folders, cache_folder() / "engine")
            if killing.kill(run, kill.order):
                return run, links | killing.links(*(cache_folder() / "fresh").glob("*/"))
        # A faster machine than the phase's length was written down on.
        seconds /= 2
    raise AssertionError(f"the run always ended before it was killed:\n{run.text}")


def ended_well(run: Watched, order: signal.Signals) -> bool:
    """Whether the run itself handled the signal; one that came before Python could is as good as a kill."""
    assert "Traceback" not in run.text, run.text
    assert run.process.returncode in ({-9} if order == signal.SIGKILL else {2, 130, -order})
    return run.process.returncode in (2, 130)


def nothing_lost(run: Watched, endpoint: Endpoint, *, builds_only: bool) -> str:
    """The store opens and has all that was measured; returns what there was, for the table."""
    if not run.store.exists():
        return "-"
    with sqlite3.connect(run.store) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        runs = [row[0] for row in store.execute("SELECT id FROM run ORDER BY started")]
        kept = store.execute("SELECT count(*) FROM sample").fetchone()[0]
        assert kept >= run.seen
        if not runs or not builds_only:
            return f"{kept}/{run.seen}"
        query = "SELECT count(*) FROM sample WHERE metric = 'wall' AND run = ?"
        stored = store.execute(query, (runs[-1],)).fetchone()[0]
    ended = killing.builds_ended(endpoint, run, runs[-1])
    # A build begins when the one before is in the store: of those that ended, only the last may lack.
    assert ended - 1 <= stored <= ended, f"{ended} builds ended and {stored} are in the store"
    return f"{stored}/{ended}"


def next_start(project: Path) -> Watched:
    """The next run, to its end."""
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environ.pop("DOCKER_HOST", None)
    words = ("--engine", "private", "-k", "test_cold_build", "--rounds", "1")
    run = killing.begin(project, environ, *words, "--variant", "tiny.Dockerfile")
    run.process.wait(180)
    assert run.process.returncode == 0, run.text
    return run


def left_on_its_own(run: Watched, endpoint: Endpoint, engine: PrivateEngine) -> None:
    """Nothing that it started goes on."""
    comes_true(lambda: not run.descendants(), killing.ORPHAN_SECONDS)
    assert run.descendants() == []
    if engine.running:
        comes_true(lambda: not killing.builds_going_on(endpoint, engine), killing.ORPHAN_SECONDS)
        assert killing.builds_going_on(endpoint, engine) == []


def test_killed(
    kill: Kill,
    endpoint: Endpoint,
    bystanders: None,
    ready: Path,
    tried: Callable[..., None],
) -> None:
    engine = private_engine()
    objects, machine = killing.objects(endpoint), killing.machine()
    run, links = struck(kill, endpoint, ready)
    if ended_well(run, kill.order):
        assert killing.objects(endpoint) == objects, run.text
        assert killing.machine() == machine
    left = len(killing.objects(endpoint) - objects) + (killing.machine() != machine)
    kept = nothing_lost(run, endpoint, builds_only=kill.phase.name == "build")
    # At once: what the dead run had begun must not go on and make more behind the clean-up's back.
    next_start(ready)
    left_on_its_own(run, endpoint, engine)
    assert killing.objects(endpoint) == objects
    assert killing.machine() == machine
    own = killing.links(cache_folder() / "engine")
    assert killing.standing(links - own, engine.tools.programs / "iptables-save") == []
    assert list((ready / "tmp").iterdir()) == []
    assert list((ready / ".layerlab").glob(".*")) == []
    tried(f"kill: {kill.phase.name}", kill.order.name, f"kept {kept}; {left} left, then removed")


@pytest.fixture
def nothing_there(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateEngine]:
    """A cache folder with unpacked programs and nothing else; its engine does not run."""
    if not endpoint.private:
        pytest.skip("such engines are started beside layerlab's own one only")
    real = cache_folder()
    folder = Path(f"/tmp/layerlab-kills-{os.getpid()}")
    (folder / "layerlab/engine").mkdir(parents=True, mode=0o700)
    (folder / "layerlab/engine/tools").symlink_to(real / "engine/tools")
    if (real / "standins/tools").exists():
        (folder / "layerlab/standins").mkdir()
        (folder / "layerlab/standins/tools").symlink_to(real / "standins/tools")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    yield private_engine()
    private_engine().remove()
    shutil.rmtree(folder)


def test_killed_where_nothing_was(
    kill: Kill, nothing_there: PrivateEngine, ready: Path, tried: Callable[..., None]
) -> None:
    engine = nothing_there
    endpoint = engine.endpoint()
    iptables_save = engine.tools.folder.resolve() / "bin/iptables-save"
    if kill.phase.name == "base build":
        engine.start(lambda _: None)
    run, links = struck(kill, endpoint, ready)
    ended_well(run, kill.order)
    kept = nothing_lost(run, endpoint, builds_only=False)
    next_start(ready)
    left_on_its_own(run, endpoint, engine)
    assert killing.objects(endpoint) == {f"network {name}" for name in ("bridge", "host", "none")}
    assert killing.machine().runs == frozenset()
    assert not (cache_folder() / "standins/work").exists()
    assert list((ready / "tmp").iterdir()) == []
    links |= killing.links(engine.folder)
    groups = engine.cgroup
    engine.remove()
    assert killing.standing(links, iptables_save) == []
    assert killing.machine().mounts == frozenset()
    assert list(Path("/sys/fs/cgroup").glob(f"*/{groups}")) == []
    assert killing.holders(engine.folder) == []
    tried(f"kill: {kill.phase.name}", kill.order.name, f"kept {kept}; all removed")
