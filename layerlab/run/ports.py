"""The port at which an app answers: published on an engine, spare on this machine, taken by something else."""

import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any, TypeVar

from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError

T = TypeVar("T")

#: Where the app listens in its container.
PORT = 8000
_PORTS = range(10_000, 20_000)
#: How often a container is started until its port is free.
_TRIES = 10
_DRAWS = 1000
_TAKEN = ("address already in use", "port is already allocated")


class PortTaken(LabError):
    """Something else listens on the port that a container was to have."""


def publishing(endpoint: Endpoint, port: int | None = None, inside: int = PORT) -> str:
    """The `--publish` that gives the app a port, else a free one: on the engine's loopback, if near.

    ``inside`` is where it listens in its container.

    On an engine of another machine a port on its loopback could not be reached from here.
    """
    return f"{'127.0.0.1' if endpoint.near else '0.0.0.0'}:{port or ''}:{inside}"


def url(address: str, port: int) -> str:
    """Where an app answers, by the address at which an engine's ports do."""
    return f"http://{f'[{address}]' if ':' in address else address}:{port}"


def published(endpoint: Endpoint, container: Mapping[str, Any], port: int = PORT) -> str | None:
    """Where a container's port answers, by what `docker inspect` gives; None if it is not published.

    A container that has ended publishes nothing.
    """
    found = (container["NetworkSettings"]["Ports"] or {}).get(f"{port}/tcp")
    return url(endpoint.address, int(found[0]["HostPort"])) if found else None


def spare_port() -> int:
    """A port that nothing listens on here, and that no outgoing connection takes.

    A free one of Docker's choice is among those of outgoing connections (32768 and up, Linux,
    net.ipv4.ip_local_port_range), and lost to one of them while many are made.

    Raises:
        LabError: there is none.
    """
    why = ""
    for _ in range(_DRAWS):
        port = secrets.choice(_PORTS)
        try:
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", port))
                return port
        except OSError as error:
            why = error.strerror or str(error)
    raise LabError(
        f"no port from {_PORTS.start} to {_PORTS.stop - 1} of this machine can be listened on: {why}"
    )


@contextmanager
def with_spare_port(start: Callable[[int], AbstractContextManager[T]]) -> Iterator[T]:
    """What is started with a port, with a spare one; again with another one if that is taken by then."""
    with ExitStack() as stack:
        yield while_taken(lambda: stack.enter_context(start(spare_port())))


def while_taken(start: Callable[[], T]) -> T:
    """Start something that publishes another port each time, again where that is taken.

    An engine takes one that it has not given to another container; what else uses it, such as an outgoing
    connection or another engine, it learns when it begins to listen (moby, libnetwork/portallocator).
    """
    for _ in range(_TRIES - 1):
        with suppress(PortTaken):
            return start()
    return start()


@contextmanager
def taken_told() -> Iterator[None]:
    """Has a command's LabError be a PortTaken where it says that a port is taken."""
    try:
        yield
    except LabError as error:
        if any(said in str(error) for said in _TAKEN):
            raise PortTaken(
                f"{error}\nSomething else listens on this port of the engine's machine: end it, or run again"
            ) from error
        raise
