"""The choice of an engine: what the user named, else what is there, else our own."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import docker.errors
import requests.exceptions

from layerlab.engine import matrix, tls
from layerlab.engine.client import Client, users_client
from layerlab.engine.command import run
from layerlab.engine.endpoint import DEFAULT_SOCKET, Endpoint, probe
from layerlab.engine.lock import hold_shared
from layerlab.engine.matrix import Release
from layerlab.engine.private import PrivateEngine, lacking, private_engine
from layerlab.errors import LabError

#: What names engines of our own; a docker context's name has no colon.
PRIVATE = "private"


def choose(asked: str | None, progress: Callable[[str], None]) -> Endpoint:
    """The engine to use, running and probed: :func:`find`, or one of our own, started.

    One of the matrix is not stopped by ``lab matrix`` for as long as this process lives.

    Raises:
        LabError: what was named does not answer, or there is none and none can be started.
    """
    found = find(asked)
    if found is not None:
        return found
    if release := release_of(asked):
        busy = f"waiting until the engine {release.name} has stopped, to start it again"
        hold_shared(release.users, progress, busy)
    try:
        return probe(own(asked).start(progress))
    except LabError as error:
        if asked or lacking() is None:
            raise
        raise LabError(f"no Docker engine answers at {DEFAULT_SOCKET}, and {error}") from error


def own(asked: str | None) -> PrivateEngine:
    """The private engine that a word names, or that is used where none is; it need not exist yet.

    ``private`` is the newest, ``private:RELEASE`` one of :data:`layerlab.engine.matrix.MATRIX`.

    Raises:
        LabError: there is no such release.
    """
    release = release_of(asked)
    return release.engine() if release else private_engine()


def release_of(asked: str | None) -> Release | None:
    """The release that a word names; None where it names none.

    Raises:
        LabError: there is no such release.
    """
    release = asked.partition(":")[2] if asked and _is_ours(asked) else ""
    return matrix.named(release) if release else None


def _is_ours(asked: str) -> bool:
    return asked.partition(":")[0] == PRIVATE and "://" not in asked


def find(asked: str | None) -> Endpoint | None:
    """The engine that was asked for or that is there, probed; None leaves the private engine.

    ``asked`` is the value of ``--engine``: as for :func:`own`, an address (``unix://…``, ``tcp://…``,
    ``ssh://…``) or the name of a docker context. Without it the order is ``DOCKER_HOST``, the
    current docker context, the default socket, a private engine.

    Raises:
        LabError: what was named does not answer.
    """
    if asked and _is_ours(asked):
        return None
    client = usable_client()
    endpoint: Endpoint | None
    if asked:
        by_address = "://" in asked
        endpoint = (
            Endpoint(asked, "--engine", require(client), tls.of(asked, os.environ))
            if by_address
            else from_context(require(client), asked)
        )
    else:
        endpoint = named(client, os.environ)
    if endpoint and endpoint.host == private_engine().endpoint().host:
        # As in a shell made by `lab engine env`; should it have died, it is started again.
        return None
    if endpoint:
        return probe(endpoint)
    default = Endpoint(DEFAULT_SOCKET, "default socket", client) if client else None
    return probe(default) if default and answers(default) else None


def usable_client() -> Client | None:
    """The user's docker client, or the private engine's where the user's has no buildx."""
    users = users_client()
    if users and users.plugin_version("buildx"):
        return users
    tools = private_engine().tools
    return tools.client if tools.complete else users


def answers(endpoint: Endpoint) -> bool:
    """Whether an engine answers here at all; one that refuses this user counts as answering."""
    try:
        connection = endpoint.connect(timeout=10)
    except LabError as error:
        return "refuses this user" in str(error)
    try:
        return bool(connection.ping())
    except (docker.errors.DockerException, requests.exceptions.RequestException):
        return False
    finally:
        connection.close()


def from_context(client: Client, name: str) -> Endpoint:
    """The endpoint of a docker context.

    Raises:
        LabError: there is no such context.
    """
    try:
        # Contexts are the user's, in the user's configuration, even where the client is our own.
        text = run(
            [client.docker, "context", "inspect", name],
            doing=f"reading the docker context '{name}'",
        )
    except LabError as error:
        raise LabError(
            f"`{name}` is no docker context here (`docker context ls` lists them) and no address "
            "such as unix:///var/run/docker.sock or ssh://user@host"
        ) from error
    found = json.loads(text)[0]
    target = found["Endpoints"]["docker"]
    extra: dict[str, str] = {}
    if found.get("TLSMaterial", {}).get("docker"):
        extra[tls.FOLDER] = str(Path(found["Storage"]["TLSPath"]) / "docker")
        extra[tls.VERIFY] = "" if target.get("SkipTLSVerify") else "1"
    return Endpoint(target["Host"], f"docker context '{name}'", client, extra)


def named(client: Client | None, environment: Mapping[str, str]) -> Endpoint | None:
    """The engine that the environment names: ``DOCKER_HOST``, else the current docker context.

    None means that nothing but the default is named.
    """
    if host := environment.get("DOCKER_HOST"):
        return Endpoint(host, "DOCKER_HOST", require(client), tls.of(host, environment))
    if client is None:
        return None
    context = environment.get("DOCKER_CONTEXT") or client.current_context()
    return None if context in ("", "default") else from_context(client, context)


def require(client: Client | None) -> Client:
    """The client, or the sentence that says what to install."""
    if client is None:
        raise LabError(
            "the command `docker` is not on this machine: install Docker's client with buildx "
            "(docker-ce-cli and docker-buildx-plugin), or use --engine private"
        )
    return client
