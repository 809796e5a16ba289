"""An endpoint: which engine is used, how to reach it, and what it can do."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import docker.errors
import requests.exceptions

from layerlab.engine import tls
from layerlab.engine.client import Client
from layerlab.engine.command import run
from layerlab.errors import LabError

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
OLDEST_ENGINE = (20, 10)
OLDEST_BUILDX = (0, 13)
# Variables that would send a docker command to another engine or another builder.
_STEERING = (
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION",
    "DOCKER_BUILDKIT",
    "DOCKER_DEFAULT_PLATFORM",
    "BUILDX_BUILDER",
    "BUILDKIT_PROGRESS",
)
# Compose's would name other files, another project, other profiles.
_STEERING_COMPOSE = "COMPOSE_"


@dataclass(frozen=True)
class Capabilities:
    """What an engine and the client tools beside it can do."""

    engine: str
    api: str
    #: "containerd" (the containerd image store) or the classic storage driver's name.
    image_store: str
    buildx: str
    #: None where the compose plugin is missing.
    compose: str | None
    rootless: bool
    #: Operating system and architecture of the engine, such as "linux/amd64".
    platform: str
    cpus: int
    memory_bytes: int
    #: What the engine calls itself: one ID for as long as its data root lives; "" where not known.
    id: str = ""

    def described(self) -> str:
        """The engine, its image store and the client tools, for people."""
        parts = [
            f"Docker Engine {self.engine}",
            f"API {self.api}",
            f"{self.image_store} image store",
            f"buildx {self.buildx}",
            f"compose {self.compose or 'missing'}",
        ]
        return ", ".join(parts + ["rootless"] * self.rootless)


@dataclass(frozen=True)
class Endpoint:
    """One engine. Everything that talks to Docker takes one; nothing else reads DOCKER_HOST."""

    host: str
    #: What chose this engine, for people: "--engine", "DOCKER_HOST", "docker context 'x'", …
    origin: str
    client: Client
    #: Added to the environment of docker commands (TLS material of a context).
    extra: Mapping[str, str] = field(default_factory=dict)
    private: bool = False
    capabilities: Capabilities | None = None

    @property
    def remote(self) -> bool:
        """Whether the engine is on another machine (its bind mounts and ports are not ours)."""
        return urlsplit(self.host).scheme not in ("unix", "npipe")

    @property
    def address(self) -> str:
        """Where ports that the engine publishes on its loopback or on all addresses answer."""
        return urlsplit(self.host).hostname or "127.0.0.1" if self.remote else "127.0.0.1"

    @property
    def near(self) -> bool:
        """Whether a port on the engine's loopback is reached from here."""
        return self.address in ("127.0.0.1", "localhost", "::1")

    @property
    def can(self) -> Capabilities:
        """The capabilities of an endpoint that was probed."""
        assert self.capabilities is not None
        return self.capabilities

    def command(self, *words: str | Path) -> list[str]:
        """The words of a docker command; run it with :meth:`environ`."""
        return [self.client.docker, *map(str, words)]

    def environ(self) -> dict[str, str]:
        """The whole environment for docker commands: this engine, its default builder."""
        kept = {
            key: value
            for key, value in os.environ.items()
            if key not in _STEERING and not key.startswith(_STEERING_COMPOSE)
        }
        # The builder named "default" is the engine's own BuildKit, whatever `buildx use` chose.
        steering = {"DOCKER_HOST": self.host, "BUILDX_BUILDER": "default", "DOCKER_BUILDKIT": "1"}
        return {**kept, **self.client.environ, **self.extra, **steering}

    def run(self, *words: str | Path, doing: str, timeout: float = 600) -> str:
        """Run a docker command to its end and return its standard output.

        Raises:
            LabError: it failed or took longer than ``timeout`` seconds.
        """
        return run(self.command(*words), doing=doing, environ=self.environ(), timeout=timeout)

    def connect(self, timeout: int = 60) -> docker.DockerClient:
        """A connection of the Docker SDK; ``timeout`` in seconds is for each request.

        Raises:
            LabError: the engine does not answer, or a file for TLS is missing.
        """
        secured: Any = tls.config(self.extra) or False
        try:
            return docker.DockerClient(
                base_url=self.host,
                version="auto",
                timeout=timeout,
                tls=secured,
                use_ssh_client=self.host.startswith("ssh://"),
            )
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise LabError(unreachable(self, error)) from error

    @contextmanager
    def connected(self, timeout: int = 60) -> Iterator[docker.DockerClient]:
        """As :meth:`connect`, closed at the end; what the body does not catch is an engine that is gone.

        Raises:
            LabError: the engine does not answer.
        """
        client = self.connect(timeout)
        try:
            yield client
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise LabError(unreachable(self, error)) from error
        finally:
            client.close()

    def described(self) -> str:
        """One line for people: engine, versions, image store and what chose it."""
        can = self.capabilities
        if can is None:
            return f"{self.host} (from {self.origin})"
        return f"{can.described()}{', remote' * self.remote} ({self.origin})"


def unreachable(endpoint: Endpoint, error: Exception) -> str:
    """The sentence for an engine that does not answer, with what to do."""
    cause = str(error)
    if told := tls.mismatch(cause, endpoint.extra):
        return f"the engine at {endpoint.host} (from {endpoint.origin}) {told}"
    if "Permission denied" in cause:
        return (
            f"the engine at {endpoint.host} (from {endpoint.origin}) refuses this user: "
            "join the group `docker` and log in again, or use --engine private"
        )
    return (
        f"no engine answers at {endpoint.host} (from {endpoint.origin}): start it, unset what "
        f"names it, or use --engine private ({cause.splitlines()[0][:200] if cause else 'no reason'})"
    )


def version_tuple(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: "28.5.2+dfsg4" is (28, 5, 2), "v0.29.1-3" (0, 29, 1)."""
    match = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def image_store(info: Mapping[str, Any]) -> str:
    """The image store that ``docker info`` describes.

    With the containerd image store the driver's status has the row ``driver-type``
    (moby ``daemon/containerd/service.go``, ``GetStatus``); the classic stores have none.
    """
    rows = dict(row[:2] for row in info.get("DriverStatus") or [])
    return "containerd" if "driver-type" in rows else str(info.get("Driver", "unknown"))


def probe(endpoint: Endpoint) -> Endpoint:
    """The endpoint with its capabilities filled in.

    Raises:
        LabError: it does not answer, or engine or buildx are too old or missing.
    """
    connection = endpoint.connect(timeout=20)
    try:
        version, info = connection.version(), connection.info()
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise LabError(unreachable(endpoint, error)) from error
    finally:
        connection.close()
    engine = str(version["Version"])
    if version_tuple(engine)[:2] < OLDEST_ENGINE:
        raise LabError(
            f"the engine at {endpoint.host} is {engine}: layerlab needs Docker Engine 20.10 or "
            "newer; upgrade it, or use --engine private"
        )
    buildx = endpoint.client.plugin_version("buildx")
    if buildx is None or version_tuple(buildx)[:2] < OLDEST_BUILDX:
        raise LabError(
            f"`{endpoint.client.docker} buildx` is {buildx or 'missing'}: install buildx 0.13 or "
            "newer (the package docker-buildx-plugin or docker-buildx), or use --engine private"
        )
    options = [str(option) for option in info.get("SecurityOptions") or []]
    return replace(
        endpoint,
        capabilities=Capabilities(
            engine=engine,
            api=str(version["ApiVersion"]),
            image_store=image_store(info),
            buildx=buildx.removeprefix("v"),
            compose=endpoint.client.plugin_version("compose"),
            rootless=any("name=rootless" in option for option in options),
            platform=f"{version['Os']}/{version['Arch']}",
            cpus=int(info.get("NCPU", 0)),
            memory_bytes=int(info.get("MemTotal", 0)),
            id=str(info.get("ID") or ""),
        ),
    )
