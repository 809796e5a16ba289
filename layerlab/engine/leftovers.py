"""What a run leaves on the engine and on this machine, and its removal.

Everything that a run makes carries the run's label. A run holds a lock on a folder of its own for as
long as it lives, so the next run can tell what a killed one left; what another living run made,
or another user or machine, is never touched.
"""

import fcntl
import hashlib
import logging
import secrets
import shutil
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import docker
import docker.errors
import requests.exceptions

from layerlab.engine.endpoint import Endpoint
from layerlab.engine.limits import Confinement
from layerlab.errors import LabError
from layerlab.folders import cache_folder

RUN_LABEL = "dev.layerlab.run"
HOME_LABEL = "dev.layerlab.home"
KINDS = ("container", "network", "volume", "image")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run of layerlab: its id, and its folder for contexts and other temporary files."""

    id: str
    folder: Path
    #: Tells a run that is gone on with from what it was before.
    again: str = ""
    #: What its builds and containers are held to, where nobody vouches for them.
    confinement: Confinement | None = None

    @property
    def nonce(self) -> str:
        """What no other run has, nor this one before it was gone on with: what it built may be cached."""
        return self.id + self.again

    @property
    def labels(self) -> dict[str, str]:
        """The labels of everything that this run makes on an engine."""
        return {RUN_LABEL: self.id, HOME_LABEL: home()}

    @property
    def label_words(self) -> list[str]:
        """The same as options of docker commands."""
        return [word for pair in self.labels.items() for word in ("--label", "=".join(pair))]


def home() -> str:
    """Names this user's layerlab on this machine: whose runs we can know to be dead."""
    place = f"{socket.gethostname()}:{cache_folder()}"
    return hashlib.sha256(place.encode()).hexdigest()[:12]


@contextmanager
def running(identity: str | None = None, *, shared: bool = False) -> Iterator[Run]:
    """A new run, or one that is gone on with; its folder is gone when it ends.

    One that is ``shared`` lives on while a process that :func:`joined` it does.

    Raises:
        LabError: the run of this identity lives.
    """
    again = f"-{secrets.token_hex(2)}" if identity else ""
    identity = identity or f"{datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(2)}"
    folder = cache_folder() / "runs" / identity
    with _births():
        folder.mkdir(exist_ok=True)
        lock = _locked(folder)
        if lock and shared:
            fcntl.flock(lock, fcntl.LOCK_SH)
    if lock is None:
        raise LabError(f"the run {identity} is running: wait for its end")
    try:
        yield Run(identity, folder, again)
    finally:
        with _births():
            shutil.rmtree(folder, ignore_errors=True)
            lock.close()


@contextmanager
def joined(identity: str, part: str) -> Iterator[Run]:
    """A shared run, for another process of it, with a folder of its own below the run's, named ``part``.

    Raises:
        LabError: the run has ended.
    """
    whole = cache_folder() / "runs" / identity
    try:
        lock = (whole / "lock").open("r")
    except FileNotFoundError as error:
        raise LabError(f"the run {identity} has ended: nothing can be added to it") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        # What another process of this run built, which died, may be cached.
        run = Run(identity, whole / part, f"-{secrets.token_hex(2)}")
        run.folder.mkdir(exist_ok=True)
        try:
            yield run
        finally:
            shutil.rmtree(run.folder, ignore_errors=True)


@contextmanager
def _births() -> Iterator[None]:
    """Keeps a folder that is just being made from being taken for a dead run's."""
    runs = cache_folder() / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _locked(folder: Path) -> IO[str] | None:
    """The lock of a run's folder, or None while its run lives."""
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def alive() -> set[str]:
    """The ids of the runs that live now."""
    found = set()
    with _births():
        for folder in _folders():
            lock = _locked(folder)
            if lock is None:
                found.add(folder.name)
            else:
                lock.close()
    return found


def _folders() -> list[Path]:
    return [folder for folder in (cache_folder() / "runs").glob("*") if folder.is_dir()]


def remove_dead(endpoint: Endpoint) -> list[str]:
    """Remove what killed runs left, on the engine and here; returns what was removed."""
    removed = []
    with _births():
        for folder in _folders():
            lock = _locked(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                lock.close()
                removed.append(f"folder {folder.name}")
    # Asked anew for each thing: a run may have been born since the list was made.
    return removed + _remove(endpoint, lambda run: run not in alive())


def remove_run(endpoint: Endpoint, run: Run) -> list[str]:
    """Remove all that a run made on the engine; returns what was removed."""
    return _remove(endpoint, lambda identity: identity == run.id)


def remove_containers(endpoint: Endpoint, run: Run) -> list[str]:
    """Remove a run's containers, which ends all that waits for them; returns what was removed."""
    return _remove(endpoint, lambda identity: identity == run.id, kinds=("container",))


def remaining(endpoint: Endpoint) -> list[str]:
    """What carries this user's label on the engine now, dead or alive, for people."""
    with endpoint.connected() as client:
        return [f"{kind} {_name(thing)}" for kind, thing, _ in _ours(client)]


def _remove(
    endpoint: Endpoint, wanted: Callable[[str], bool], kinds: Collection[str] = KINDS
) -> list[str]:
    removed = []
    with endpoint.connected() as client:
        for kind, thing, run in _ours(client):
            if kind not in kinds or not wanted(run):
                continue
            try:
                _remove_one(client, kind, thing)
                removed.append(f"{kind} {_name(thing)}")
            except docker.errors.NotFound:
                continue  # Another clean-up was faster.
            except (docker.errors.APIError, requests.exceptions.RequestException) as error:
                _log.warning("could not remove %s %s: %s", kind, _name(thing), error)
    return removed


def _ours(client: docker.DockerClient) -> Iterator[tuple[str, Any, str]]:
    """Everything with our label: kind, thing, run id. Containers first: they hold the others."""
    mine: dict[str, str | list[str] | bool] = {"label": f"{HOME_LABEL}={home()}"}
    for container in client.containers.list(all=True, filters=mine, ignore_removed=True):
        yield "container", container, container.labels.get(RUN_LABEL, "")
    for network in client.networks.list(filters=mine):
        yield "network", network, (network.attrs.get("Labels") or {}).get(RUN_LABEL, "")
    for volume in client.volumes.list(filters=mine):
        yield "volume", volume, (volume.attrs.get("Labels") or {}).get(RUN_LABEL, "")
    for image in client.images.list(filters=mine):
        yield "image", image, image.labels.get(RUN_LABEL, "")


def _remove_one(client: docker.DockerClient, kind: str, thing: Any) -> None:
    if kind == "container":
        thing.remove(force=True, v=True)
    elif kind == "image":
        for tag in thing.tags:
            client.images.remove(tag, force=True)
        if not thing.tags:
            client.images.remove(thing.id, force=True)
    else:
        thing.remove()


def _name(thing: Any) -> str:
    tags = getattr(thing, "tags", None)
    return str(tags[0] if tags else getattr(thing, "name", None) or thing.short_id)
