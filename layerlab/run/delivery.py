"""How a container gets its app's source: as a mount, file by file, or in a new image."""

import json
import re
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import compose, container, ports, waiting
from layerlab.run.container import Container, Environment
from layerlab.run.reload import FOLDER, POLLING

SERVICE = "web"
#: The app's folder in the image is the one that the file comes into, as in every variant here.
COMMAND = ("uvicorn", "main:app", "--host", "0.0.0.0", "--port", str(ports.PORT), "--reload")
_OVERLAY = "lowerdir={source}:{empty}"


class NoMount(LabError):
    """An engine makes no mount of a kind."""


def _answering(
    endpoint: Endpoint, name: str, limit_seconds: float
) -> AbstractContextManager[Container]:
    calm = waiting.CALM_SECONDS
    return container.answering(endpoint, name, limit_seconds=limit_seconds, between_seconds=calm)


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

    def starting(port: int) -> AbstractContextManager[str]:
        return container.started(
            endpoint,
            run,
            image,
            purpose="live-reload",
            environment=environment,
            options=options,
            command=COMMAND,
            port=port,
        )

    with (
        ports.with_spare_port(starting) as name,
        _answering(endpoint, name, limit_seconds) as app,
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
    words += run.label_words
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
    endpoint: Endpoint,
    run: Run,
    folder: Path,
    image: str,
    development: str,
    *,
    polling: bool,
    limit_seconds: float,
) -> Iterator[Container]:
    """A compose project for production, with what `compose.override.yaml` changes for development.

    ``folder`` holds the app in its folder `app`.

    Raises:
        LabError: it does not start, or its app does not answer within the limit.
    """
    override = {
        "image": development,
        "command": list(COMMAND),
        "volumes": [f"./app:{FOLDER}:ro"],
        "environment": {POLLING: "true"} if polling else {},
    }
    # Compose reads it with compose.yaml, unless files are named (docs.docker.com, "Merge Compose files").
    text = json.dumps({"services": {SERVICE: override}}, indent=2)
    (folder / "compose.override.yaml").write_text(text, encoding="utf-8")

    @contextmanager
    def starting(port: int) -> Iterator[Container]:
        service = {"image": image, "ports": [ports.publishing(endpoint, port)]}
        with (
            compose.project(endpoint, run, folder, {SERVICE: service}, shell={}) as project,
            project.up(SERVICE, limit_seconds=limit_seconds) as app,
        ):
            yield app

    with ports.with_spare_port(starting) as app:
        yield app


@contextmanager
def synced(
    endpoint: Endpoint,
    run: Run,
    folder: Path,
    image: str,
    *,
    polling: bool,
    limit_seconds: float,
    said: deque[str],
) -> Iterator[Container]:
    """A compose project whose container is given each saved file by `docker compose watch`.

    ``folder`` holds the app in its folder `app`, as it is in the image; ``said`` gets what compose says.

    Raises:
        LabError: it does not start, its app does not answer within the limit, or compose does not watch.
    """
    service = {
        "image": image,
        # Older releases watch no service without it; nothing is built.
        "build": {"context": "./app"},
        "command": list(COMMAND),
        "environment": {POLLING: "true"} if polling else {},
        "develop": {"watch": [{"action": "sync", "path": "./app", "target": FOLDER}]},
    }

    @contextmanager
    def starting(port: int) -> Iterator[Container]:
        services = {SERVICE: {**service, "ports": [ports.publishing(endpoint, port)]}}
        with (
            compose.project(endpoint, run, folder, services, shell={}) as project,
            project.up(SERVICE, limit_seconds=limit_seconds) as app,
            project.watch(SERVICE, said),
        ):
            yield app

    with ports.with_spare_port(starting) as app:
        yield app


class Replaced:
    """A container that is removed for one of a newer image, at the same address; see :func:`replaced`."""

    def __init__(self, endpoint: Endpoint, run: Run, stack: ExitStack) -> None:
        self._endpoint, self._run, self._stack = endpoint, run, stack
        self._port = 0
        self.container = Container("", "")

    def start(self, image: str) -> str:
        """Start the first container; its port is that of the later ones, too."""
        starting = ports.with_spare_port(lambda port: self._started(image, port))
        return self._stack.enter_context(starting)

    def _started(self, image: str, port: int) -> AbstractContextManager[str]:
        self._port = port
        return container.started(
            self._endpoint,
            self._run,
            image,
            purpose="live-reload",
            options=["--no-healthcheck"],
            port=port,
        )

    def replace(self, image: str) -> None:
        """Remove the container, and start one of the image in its place.

        Raises:
            LabError: it does not start.
        """
        self._stack.close()
        name = self._stack.enter_context(self._started(image, self._port))
        self.container = Container(name, self.container.url)


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
        with _answering(endpoint, name, limit_seconds) as app:
            replacing.container = app
        yield replacing
