"""What the kill tests share: a run that is watched from outside, its kill, and a look at all that it could leave.

Nothing here asks the run itself: what was measured is told by the engine's events and by a second reader
of the store, what is left by the engine's lists, the kernel's tables and the cache folder.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker.errors

from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import HOME_LABEL, RUN_LABEL
from layerlab.engine.private import PrivateEngine
from layerlab.engine.standins import STANDIN_LABEL
from layerlab.folders import cache_folder

#: In the environment of a run and all that it starts.
MARK = "LAYERLAB_TEST_RUN"
#: How long what a killed run had started may outlive it.
ORPHAN_SECONDS = 15
SEED = int(os.environ.get("LAYERLAB_SEED") or random.SystemRandom().randrange(10**6))


_begun: list["Watched"] = []


@dataclass
class Watched:
    """A ``layerlab run`` and what is seen of it from outside."""

    process: subprocess.Popen[bytes]
    project: Path
    output: Path
    mark: str
    #: Folders of the runs that lived when it began.
    others: frozenset[Path]
    begun: float = field(default_factory=time.time)
    #: The most samples that another reader of the store has seen.
    seen: int = 0

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    @property
    def store(self) -> Path:
        return self.project / ".layerlab/store.sqlite"

    def folders(self) -> set[Path]:
        """Its own folder, once it has one."""
        return _run_folders() - self.others

    def samples(self) -> int:
        """How many samples the store holds for a reader; 0 where there is none yet."""
        if not self.store.exists():
            return 0
        with suppress(sqlite3.OperationalError):  # it has no tables yet
            connection = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=10)
            try:
                return int(connection.execute("SELECT count(*) FROM sample").fetchone()[0])
            finally:
                connection.close()
        return 0

    def wait_for(self, condition: Callable[[], bool], seconds: float = 120) -> bool:
        """Wait until something of the run is so; returns False when the run ended first."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < deadline, self.text
            time.sleep(0.02)
        return True

    def descendants(self) -> list[str]:
        """The command lines of what it started and that lives."""
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if f"{MARK}={self.mark}\0".encode() in environ.read_bytes():
                    words = (environ.parent / "cmdline").read_bytes().split(b"\0")
                    if int(environ.parent.name) != self.process.pid and words != [b""]:
                        found.append(b" ".join(words).decode(errors="replace"))
        return found


def begin(project: Path, environ: dict[str, str], *words: str | Path) -> Watched:
    """Begin a run; its temporary files go to ``project/tmp``, its output to a file."""
    mark, others = f"{os.getpid()}-{time.monotonic_ns()}", _run_folders()
    (project / "tmp").mkdir(exist_ok=True)
    output = project / f"output-{mark}.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            # Under nohup or in a script's background, Ctrl-C would be ignored by all that starts here.
            [
                *("env", "--default-signal=INT"),
                *(sys.executable, "-m", "layerlab", "run"),
                *map(str, words),
            ],
            cwd=project,
            env={**environ, MARK: mark, "TMPDIR": str(project / "tmp"), "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    run = Watched(process, project, output, mark, others)
    _begun.append(run)
    return run


def end_all() -> None:
    """End the runs that a test left when it failed."""
    while _begun:
        run = _begun.pop()
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait(60)


def _run_folders() -> frozenset[Path]:
    return frozenset((cache_folder() / "runs").glob("2*"))


@contextmanager
def read_along(run: Watched) -> Iterator[None]:
    """Read the store beside the run, as another program may."""
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.02):
            run.seen = max(run.seen, run.samples())

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def kill(run: Watched, order: signal.Signals) -> bool:
    """Send a signal and wait for the end; returns False where the run had ended by itself."""
    if run.process.poll() is not None:
        return False
    run.process.send_signal(order)
    run.process.wait(90)
    return True


def builds_ended(endpoint: Endpoint, run: Watched, identity: str) -> int:
    """How many builds of a run the engine has finished with an image, by its own events."""
    with endpoint.connected() as client:
        events = client.events(
            since=int(run.begun) - 1,
            until=int(time.time()) + 1,
            filters={"type": "image", "event": "tag", "label": f"{RUN_LABEL}={identity}"},
            decode=True,
        )
        return sum(1 for _ in events)


def builds_going_on(endpoint: Endpoint, engine: PrivateEngine) -> list[str]:
    """Builds that BuildKit calls running, and the processes in its control groups."""
    listed = endpoint.run("buildx", "history", "ls", "--format={{json .}}", doing="listing builds")
    found = [line for line in listed.splitlines() if json.loads(line)["status"] == "Running"]
    for procs in Path("/sys/fs/cgroup").glob(f"*/{engine.cgroup}/buildkit/*/cgroup.procs"):
        with suppress(OSError):
            found += procs.read_text().split()
    return found


def objects(endpoint: Endpoint) -> set[str]:
    """All that an engine holds, whoever's it is, but for stand-ins of base images."""
    with endpoint.connected() as client:
        while True:
            with suppress(docker.errors.NotFound):  # one that went between list and look
                return {
                    *(f"container {c.name}" for c in client.containers.list(all=True)),
                    *(f"network {n.name}" for n in client.networks.list()),
                    *(f"volume {v.name}" for v in client.volumes.list()),
                    *(
                        f"image {i.id} {sorted(i.tags)}"
                        for i in client.images.list()
                        if STANDIN_LABEL not in i.labels
                    ),
                }


def mine(endpoint: Endpoint, home: str, kind: str) -> list[str]:
    """The names of this home's containers of a kind: "" any, or a label that they must have."""
    labels = [f"{HOME_LABEL}={home}", *filter(None, [kind])]
    with endpoint.connected() as client:
        found = client.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
        return [container.name for container in found]


@dataclass(frozen=True)
class Machine:
    """What layerlab has on this machine beside the engine's own objects."""

    runs: frozenset[str]
    #: Folders of the engines for a while.
    engines: frozenset[str]
    mounts: frozenset[str]
    groups: frozenset[str]


def machine() -> Machine:
    """What there is now, of this cache folder."""
    cache = cache_folder()
    fresh = list((cache / "fresh").glob("*/"))
    groups = {PrivateEngine(folder).cgroup for folder in fresh}
    return Machine(
        frozenset(folder.name for folder in _run_folders()),
        frozenset(folder.name for folder in fresh),
        frozenset(
            line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()
            if str(cache) in line
        ),
        frozenset(group for group in groups if list(Path("/sys/fs/cgroup").glob(f"*/{group}"))),
    )  # fmt: skip


def links(*folders: Path) -> set[str]:
    """The names of the network links that engines in these folders were given."""
    found = set()
    for file in (path for folder in folders for path in folder.glob("link.json")):
        with suppress(OSError, ValueError):
            found.add(json.loads(file.read_text())["name"])
    return found


def standing(names: set[str], iptables_save: Path | str) -> list[str]:
    """Those links, and rules of theirs in the packet filter, that are there."""
    rules = subprocess.run([iptables_save], capture_output=True, text=True, check=True).stdout
    devices = Path("/proc/net/dev").read_text()
    return [name for name in sorted(names) if name in rules or f"{name}:" in devices]


def holders(folder: Path) -> list[int]:
    """Processes that have an engine's folder in their environment: its scripts and the engine."""
    wanted, found = f"ENGINE_FOLDER={folder}\0".encode(), []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in environ.read_bytes():
                found.append(int(environ.parent.name))
    return found
