"""What an engine holds, as far as a clean-up goes by it: `docker system df -v`, with what uses what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import docker.errors
import requests.exceptions

from layerlab.engine.endpoint import Endpoint, unreachable, version_tuple
from layerlab.errors import LabError

#: The engine adds up the bytes of every volume.
TIMEOUT_SECONDS = 300
ANONYMOUS = "com.docker.volume.anonymous"
PREDEFINED = ("bridge", "host", "none")
#: A paused or restarting container runs, as far as the engine's prune is concerned (moby, container/state.go).
_RUNNING = ("running", "paused", "restarting")
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
    #: Whether a running container is in it; a stopped one has no end point there.
    in_use: bool
    #: Whether only the engine or a swarm may remove it.
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

    Raises:
        LabError: it does not answer.
    """
    client = endpoint.connect(TIMEOUT_SECONDS)
    try:
        found = client.df()
        containers = [
            _container(told, client.api.inspect_container(told["Id"]))
            for told in found["Containers"] or []
        ]
        networks = [_network(one.attrs) for one in client.networks.list(greedy=True)]
        return Inventory(
            version_tuple(endpoint.can.engine),
            endpoint.can.image_store,
            tuple(containers),
            tuple(networks),
            # Volumes with options of a driver are in no list of sizes, and no prune takes them.
            tuple(_volume(one) for one in found["Volumes"] or []),
            tuple(_image(one) for one in found["Images"] or []),
            tuple(_record(one) for one in found.get("BuildCache") or []),
        )
    except docker.errors.NotFound as error:
        raise LabError(
            f"the engine at {endpoint.host} was changed while it was looked at: try again"
        ) from error
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise LabError(unreachable(endpoint, error)) from error
    finally:
        client.close()


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


def _network(attributes: Mapping[str, Any]) -> Network:
    name = attributes["Name"]
    return Network(
        id=attributes["Id"],
        name=name,
        in_use=bool(attributes.get("Containers")),
        fixed=name in PREDEFINED
        or attributes["Scope"] == "swarm"
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
