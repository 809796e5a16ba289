"""What an engine holds, as far as a clean-up goes by it: `docker system df -v`, with what uses what."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import docker.errors
from docker import DockerClient

from layerlab.engine.endpoint import Endpoint, version_tuple
from layerlab.errors import LabError

#: The engine adds up the bytes of every volume.
TIMEOUT_SECONDS = 300
#: Others may remove things between two questions.
ATTEMPTS = 4
PAUSE_SECONDS = 0.3
ANONYMOUS = "com.docker.volume.anonymous"
PREDEFINED = ("bridge", "host", "none")
#: A paused or restarting container runs, as far as the engine's prune is concerned (moby, container/state.go).
_RUNNING = ("running", "paused", "restarting")
#: States up to "running" (swarmkit, api/types.proto, TaskState).
_LIVE = (
    *("new", "allocated", "pending", "assigned", "accepted"),
    *("preparing", "ready", "starting", "running"),
)
_NONE = ("<none>:<none>", "<none>@<none>")


@dataclass(frozen=True)
class Container:
    id: str
    name: str
    running: bool
    #: Of its writable layer.
    bytes: int
    image_id: str
    #: The image as who created it wrote it.
    image: str
    #: Names of the volumes that it has, whether it runs or not.
    volumes: frozenset[str]


@dataclass(frozen=True)
class Network:
    id: str
    name: str
    #: Whether a running container is in it, or a service of the swarm; a stopped one has no end point there.
    in_use: bool
    #: Whether no prune takes it, used or not.
    fixed: bool


@dataclass(frozen=True)
class Volume:
    name: str
    bytes: int
    #: As the engine marks it since version 23; before that, no volume is.
    anonymous: bool


@dataclass(frozen=True)
class Image:
    id: str
    #: In full, such as "docker.io/library/redis:7".
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    #: The image that it was committed from; "" for what BuildKit built.
    parent: str
    #: What no other image shares with it.
    own_bytes: int


@dataclass(frozen=True)
class CacheRecord:
    """A record of the build cache."""

    id: str
    bytes: int
    kind: str
    in_use: bool
    #: Whether an image has the same layer, so that its bytes are that one's.
    shared: bool
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Inventory:
    """All of it, at one moment."""

    #: The engine's release, such as (28, 5, 2).
    engine: tuple[int, ...]
    #: As :class:`~layerlab.engine.endpoint.Capabilities` names it.
    image_store: str
    containers: tuple[Container, ...] = ()
    networks: tuple[Network, ...] = ()
    volumes: tuple[Volume, ...] = ()
    images: tuple[Image, ...] = ()
    cache: tuple[CacheRecord, ...] = ()


def take(endpoint: Endpoint) -> Inventory:
    """The inventory of an engine now; nothing is changed.

    What others remove meanwhile is tried again, and left out in the end.

    Raises:
        LabError: the engine does not answer, or refuses to.
    """
    with endpoint.connected(TIMEOUT_SECONDS) as client:
        for _ in range(ATTEMPTS - 1):
            try:
                return _look(endpoint, client)
            except docker.errors.APIError:
                time.sleep(PAUSE_SECONDS)
        try:
            return _look(endpoint, client, leaving_out=True)
        except docker.errors.APIError as error:
            raise LabError(
                f"the engine at {endpoint.host} does not tell what it holds: "
                f"{error.explanation or error}"
            ) from error


def _look(endpoint: Endpoint, client: DockerClient, *, leaving_out: bool = False) -> Inventory:
    """One look; with ``leaving_out``, without what vanished while it was looked at."""

    def inspected(inspect: Callable[[str], Any], identity: str) -> dict[str, Any] | None:
        try:
            return dict(inspect(identity))
        except docker.errors.NotFound:
            if leaving_out:
                return None
            raise

    found = client.df()
    containers = [
        (told, inspected(client.api.inspect_container, told["Id"]))
        for told in found["Containers"] or []
    ]
    networks = [inspected(client.api.inspect_network, n["Id"]) for n in client.api.networks()]
    held = _of_swarm(client)
    return Inventory(
        version_tuple(endpoint.can.engine),
        endpoint.can.image_store,
        tuple(_container(told, more) for told, more in containers if more is not None),
        tuple(network(one, held) for one in networks if one is not None),
        # Volumes with options of a driver are in no list of sizes, and no prune takes them.
        tuple(_volume(one) for one in found["Volumes"] or []),
        tuple(_image(one) for one in found["Images"] or []),
        tuple(_record(one) for one in found.get("BuildCache") or []),
    )


def _of_swarm(client: DockerClient) -> frozenset[str]:
    """The ids of networks that services and tasks of a swarm hold, on whichever node, as its manager knows.

    The rule is that of swarmkit's removeNetwork (manager/controlapi/network.go).
    """
    if not (client.info().get("Swarm") or {}).get("ControlAvailable"):
        return frozenset()
    api: Any = client.api
    held: set[str] = set()
    for service in api.services():
        spec = service["Spec"]
        of_tasks = (spec.get("TaskTemplate") or {}).get("Networks")
        held.update(one["Target"] for one in (*(of_tasks or ()), *(spec.get("Networks") or ())))
    for task in api.tasks():
        if task["DesiredState"] in _LIVE and task["Status"]["State"] in _LIVE:
            attached = task.get("NetworksAttachments") or ()
            held.update(one["Network"]["ID"] for one in attached)
    return frozenset(held)


def full(name: str) -> str:
    """An image name with its registry and tag (distribution/reference, ParseNormalizedNamed)."""
    first, slash, _ = name.partition("/")
    hosted = slash and ("." in first or ":" in first or first == "localhost")
    if not hosted:
        name = f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"


def _container(told: Mapping[str, Any], inspected: Mapping[str, Any]) -> Container:
    return Container(
        id=told["Id"],
        name=told["Names"][0].lstrip("/"),
        running=told["State"] in _RUNNING,
        bytes=told.get("SizeRw") or 0,
        image_id=inspected["Image"],
        image=inspected["Config"]["Image"],
        volumes=frozenset(m["Name"] for m in inspected["Mounts"] if m["Type"] == "volume"),
    )


def network(attributes: Mapping[str, Any], held: frozenset[str]) -> Network:
    """A network as `docker network inspect` tells of it; ``held`` are the ids of those that a swarm holds."""
    name = attributes["Name"]
    return Network(
        id=attributes["Id"],
        name=name,
        in_use=bool(attributes.get("Containers")) or attributes["Id"] in held,
        fixed=name in PREDEFINED
        or bool(attributes.get("Ingress"))
        or bool(attributes.get("ConfigOnly")),
    )


def _volume(told: Mapping[str, Any]) -> Volume:
    usage = told.get("UsageData") or {}
    return Volume(told["Name"], usage.get("Size", 0), ANONYMOUS in (told.get("Labels") or {}))


def _image(told: Mapping[str, Any]) -> Image:
    return Image(
        id=told["Id"],
        tags=_names(told.get("RepoTags")),
        digests=_names(told.get("RepoDigests")),
        parent=told.get("ParentId") or "",
        own_bytes=told["Size"] - max(told.get("SharedSize") or 0, 0),
    )


def _names(told: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(sorted(full(name) for name in told or () if name not in _NONE))


def _record(told: Mapping[str, Any]) -> CacheRecord:
    # The first name is a slip of the API's, which it keeps (moby, api/types/types.go).
    parents = told.get(" Parents") or told.get("Parents") or []
    one = [told["Parent"]] if told.get("Parent") else []
    return CacheRecord(
        id=told["ID"],
        bytes=told["Size"],
        kind=told["Type"],
        in_use=told["InUse"],
        shared=told["Shared"],
        parents=tuple(parents or one),
    )
