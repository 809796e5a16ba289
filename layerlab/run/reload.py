"""Ways in which a saved source file reaches the running app."""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from layerlab.engine.endpoint import Endpoint, version_tuple
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import compose, container, diagnosis
from layerlab.run.container import Container, Environment
from layerlab.run.marks import DELETED, NEW, ONE, SAVES, Marked, Save

#: Makes watchfiles look at the files every 0.3 s, in place of waiting for the kernel to tell.
POLLING = "WATCHFILES_FORCE_POLLING"
SERVICE = "web"
FOLDER = "/app"
#: The app's folder in the image is the one that the file comes into, as in every variant here.
COMMAND = ("uvicorn", "main:app", "--host", "0.0.0.0", "--port", str(container.PORT), "--reload")
#: The first compose with `watch` outside of `alpha` (https://docs.docker.com/compose/how-tos/file-watch/).
OLDEST_WATCH = (2, 22)
_OVERLAY = "lowerdir={source}:{empty}"


class NoMount(LabError):
    """An engine makes no mount of a kind."""


@dataclass(frozen=True)
class Way:
    """One way; the container of all but the last two stays the same."""

    number: int
    name: str
    saves: tuple[Save, ...] = SAVES
    #: Saves that are not noticed by themselves, but with the next one of another file.
    blind: tuple[Save, ...] = ()
    builds: bool = False
    #: Whether the kernel tells of what is saved.
    events: bool = True


BIND = Way(1, "bind mount")
OVERRIDE = Way(2, "compose override")
SYNC = Way(3, "compose watch")
ORDERED = Way(4, "cache-ordered", builds=True)
SINGLE = Way(5, "single-stage", (ONE,), builds=True)
# uvicorn's supervisors/statreload.py looks at the times of the files that it knows, every 0.25 s: it
# takes a new file into its list without a word, and never misses one that is gone.
STAT = Way(6, "as 1, no watchfiles", (ONE, NEW, DELETED), blind=(NEW, DELETED))
EVENTLESS = Way(7, "mount without events", (ONE,), events=False)
WAYS = (BIND, OVERRIDE, SYNC, ORDERED, SINGLE, STAT, EVENTLESS)
#: Ways in which the app's folder is a mount.
MOUNTED = (BIND, OVERRIDE, STAT, EVENTLESS)


def lacking(way: Way, endpoint: Endpoint) -> str | None:
    """Why an engine or its client does not have a way; None where it can be tried."""
    version = endpoint.can.compose
    if way in MOUNTED and endpoint.remote:
        return "the engine is on another machine, and mounts that machine's folders only"
    if way in (OVERRIDE, SYNC) and version is None:
        return "this client has no docker compose"
    if way == SYNC and version_tuple(version or "") < OLDEST_WATCH:
        return f"docker compose {version} has no watch: it came with 2.22"
    return None


@contextmanager
def mounted(
    endpoint: Endpoint,
    run: Run,
    image: str,
    source: str,
    *,
    polling: bool,
    limit_seconds: float,
) -> Iterator[Container]:
    """A container with a folder, or a volume, in place of its app's; it restarts the app by itself.

    Raises:
        LabError: it does not start, or its app does not answer within the limit.
    """
    # Read-only: nothing that the app writes gets among the sources, where it would count as a save.
    options = ["--volume", f"{source}:{FOLDER}:ro", "--no-healthcheck"]
    environment = Environment([f"{POLLING}=true"] if polling else [])
    with (
        container.started(
            endpoint,
            run,
            image,
            purpose="live-reload",
            environment=environment,
            options=options,
            command=COMMAND,
            port=container.spare_port(),
        ) as name,
        container.answering(endpoint, name, limit_seconds=limit_seconds) as app,
    ):
        yield app


@contextmanager
def eventless(
    endpoint: Endpoint, run: Run, image: str, source: Path, *, polling: bool, limit_seconds: float
) -> Iterator[Container]:
    """As :func:`mounted`, by a volume of whose files the kernel tells no changes.

    An overlay file system has inodes of its own, and a change that is made in a folder below it is told to
    those only who watch the inodes there (Linux, fsnotify; Documentation/filesystems/overlayfs.rst leaves
    open what else is seen of it). Folders shared with a virtual machine or over a network are like it.

    Raises:
        NoMount: the engine can't have it.
        LabError: as :func:`mounted`.
    """
    name = f"layerlab-live-reload-{run.id}-{secrets.token_hex(2)}"
    empty = source.with_name(f"{source.name}-empty")
    empty.mkdir(exist_ok=True)
    words = ["volume", "create", "--driver", "local", "--opt", "type=overlay"]
    # Two lower folders: an overlay without an upper one has to have them.
    words += [
        "--opt",
        "device=overlay",
        "--opt",
        f"o={_OVERLAY.format(source=source, empty=empty)}",
    ]
    words += [word for pair in run.labels.items() for word in ("--label", "=".join(pair))]
    endpoint.run(*words, name, doing="making a volume without file events")
    try:
        with mounted(
            endpoint, run, image, name, polling=polling, limit_seconds=limit_seconds
        ) as app:
            yield app
    except LabError as error:
        # The engine mounts it when a container starts.
        if match := re.search(r"mount local volume: (.*)", str(error)):
            raise NoMount(f"this engine mounts no overlay of a folder: {match[1]}") from error
        raise
    finally:
        # Should it fail, the run's own clean-up finds the volume by its label.
        with suppress(LabError):
            endpoint.run("volume", "rm", name, doing="removing the volume")


@contextmanager
def overridden(
    endpoint: Endpoint, run: Run, folder: Path, image: str, development: str, *, polling: bool
) -> Iterator[Container]:
    """A compose project for production, with what `compose.override.yaml` changes for development.

    ``folder`` holds the app in its folder `app`.

    Raises:
        LabError: it does not start, or its app does not answer.
    """
    service = {"image": image, "ports": [container.publishing(endpoint, container.spare_port())]}
    override = {
        "image": development,
        "command": list(COMMAND),
        "volumes": [f"./app:{FOLDER}:ro"],
        "environment": {POLLING: "true"} if polling else {},
    }
    # Compose reads it with compose.yaml, unless files are named (docs.docker.com, "Merge Compose files").
    text = json.dumps({"services": {SERVICE: override}}, indent=2)
    (folder / "compose.override.yaml").write_text(text, encoding="utf-8")
    with (
        compose.project(endpoint, run, folder, {SERVICE: service}, shell={}) as project,
        project.up(SERVICE) as app,
    ):
        yield app


@contextmanager
def synced(
    endpoint: Endpoint, run: Run, folder: Path, image: str, *, polling: bool
) -> Iterator[Container]:
    """A compose project whose container is given each saved file by `docker compose watch`.

    ``folder`` holds the app in its folder `app`, as it is in the image.

    Raises:
        LabError: it does not start, its app does not answer, or compose does not watch.
    """
    service = {
        "image": image,
        # Older releases watch no service without it; nothing is built.
        "build": {"context": "./app"},
        "command": list(COMMAND),
        "ports": [container.publishing(endpoint, container.spare_port())],
        "environment": {POLLING: "true"} if polling else {},
        "develop": {"watch": [{"action": "sync", "path": "./app", "target": FOLDER}]},
    }
    with (
        compose.project(endpoint, run, folder, {SERVICE: service}, shell={}) as project,
        project.up(SERVICE) as app,
        project.watch(SERVICE),
    ):
        yield app


class Replaced:
    """A container that is removed for one of a newer image, at the same address; see :func:`replaced`."""

    def __init__(self, endpoint: Endpoint, run: Run, stack: ExitStack) -> None:
        self._endpoint, self._run, self._stack = endpoint, run, stack
        self._port = container.spare_port()
        self.container = Container("", "")

    def start(self, image: str) -> str:
        starting = container.started(
            self._endpoint,
            self._run,
            image,
            purpose="live-reload",
            options=["--no-healthcheck"],
            port=self._port,
        )
        return self._stack.enter_context(starting)

    def replace(self, image: str) -> None:
        """Remove the container, and start one of the image in its place.

        Raises:
            LabError: it does not start.
        """
        self._stack.close()
        self.container = Container(self.start(image), self.container.url)


@contextmanager
def replaced(
    endpoint: Endpoint, run: Run, image: str, *, limit_seconds: float
) -> Iterator[Replaced]:
    """A container of an image, to be replaced; the last one is gone at the end.

    Raises:
        LabError: it does not start, or its app does not answer within the limit.
    """
    with ExitStack() as stack:
        replacing = Replaced(endpoint, run, stack)
        name = replacing.start(image)
        with container.answering(endpoint, name, limit_seconds=limit_seconds) as app:
            replacing.container = app
        yield replacing


def arrived(endpoint: Endpoint, name: str, marked: Marked, save: Save) -> bool:
    """Whether a container has the files as they were saved.

    Raises:
        LabError: it can't be asked.
    """
    for module in save.modules:
        path = marked.folder / f"{module}.py"
        words = ("exec", name, "cat", f"{FOLDER}/{module}.py")
        try:
            there = endpoint.run(*words, doing=f"reading {module}.py in the container")
        except LabError:
            if diagnosis.ended(endpoint, name):
                raise
            there = None
        if there != (path.read_text(encoding="utf-8") if path.exists() else None):
            return False
    return True
