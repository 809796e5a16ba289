"""One container of an image that serves the app: started, waited for, asked, removed."""

import secrets
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from layerlab.engine.command import run as run_command
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import diagnosis, envfile

PORT = 8000
MEMORY = "256m"
PIDS = 100
START_SECONDS = 60
_PORTS = range(10_000, 20_000)
_ASK_SECONDS = 10
_BETWEEN_SECONDS = 0.01
#: What a flood of lines may take of the engine's disk; `docker logs` shows the last of them.
_LOG = ("--log-driver", "json-file", "--log-opt", "max-size=5m", "--log-opt", "max-file=2")


@dataclass(frozen=True)
class Environment:
    """What `docker run` is told of the environment."""

    #: Each the word after an `-e`: `NAME=VALUE`, or a bare `NAME`.
    flags: Sequence[str] = ()
    files: Sequence[Path] = ()
    #: What the shell that starts the container has.
    shell: Mapping[str, str] = field(default_factory=dict)

    def words(self) -> list[str]:
        """The options of `docker run`.

        Raises:
            LabError: a file or a name can't be handed to Docker.
        """
        for file in self.files:
            envfile.check(file, compose=False)
        for flag in self.flags:
            envfile.check_name(flag.partition("=")[0], "-e")
        words = [word for file in self.files for word in ("--env-file", str(file))]
        return words + [word for flag in self.flags for word in ("--env", flag)]


NOTHING = Environment()


@dataclass(frozen=True)
class Container:
    """A running container whose app answers."""

    name: str
    #: Where the app answers, as seen from here.
    url: str

    def get(self, path: str) -> Any:
        """What the app answers at a path, as JSON.

        Raises:
            LabError: it does not answer, or not well.
        """
        try:
            answer = httpx.get(self.url + path, timeout=_ASK_SECONDS)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise LabError(f"{self.name}: the app does not answer {path} well: {error}") from error


def publishing(endpoint: Endpoint, port: int | None = None) -> str:
    """The `--publish` that gives the app a port, else a free one: on the engine's loopback, if near.

    On an engine of another machine a port on its loopback could not be reached from here.
    """
    near = endpoint.address in ("127.0.0.1", "localhost", "::1")
    return f"{'127.0.0.1' if near else '0.0.0.0'}:{port or ''}:{PORT}"


def spare_port() -> int:
    """A port that nothing listens on here, and that no outgoing connection takes.

    A free one of Docker's choice is among those of outgoing connections (32768 and up, Linux,
    net.ipv4.ip_local_port_range), and lost to one of them while many are made.
    """
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


@contextmanager
def started(
    endpoint: Endpoint,
    run: Run,
    image: str,
    *,
    purpose: str,
    environment: Environment = NOTHING,
    options: Sequence[str] = (),
    command: Sequence[str] = (),
    port: int | None = None,
) -> Iterator[str]:
    """The name of a container of ``image`` that `docker run` has started; it is gone at the end.

    It has our labels, ``port`` or a free one, and limits of memory, processes and log, and need not
    answer, nor live. ``purpose`` becomes a part of its name, ``options`` are more ones of `docker run`,
    and ``command`` stands in for the image's CMD.

    Raises:
        LabError: it does not start, in a sentence that begins with the image's name.
    """
    name = f"layerlab-{purpose}-{run.id}-{secrets.token_hex(2)}"
    words = ["run", "--detach", "--pull", "never", "--name", name]
    words += ["--publish", publishing(endpoint, port), *_LOG]
    words += ["--memory", MEMORY, "--memory-swap", MEMORY, "--pids-limit", str(PIDS)]
    words += [word for pair in run.labels.items() for word in ("--label", "=".join(pair))]
    words += [*environment.words(), *options, image, *command]
    try:
        try:
            run_command(
                endpoint.command(*words),
                doing=f"starting a container of {image}",
                environ={**endpoint.environ(), **environment.shell},
                timeout=START_SECONDS,
            )
        except LabError as error:
            if told := diagnosis.refused(str(error)):
                raise LabError(f"{image}: {told}") from error
            raise
        yield name
    finally:
        remove(endpoint, name)


@contextmanager
def running(
    endpoint: Endpoint, run: Run, image: str, environment: Environment, *, purpose: str
) -> Iterator[Container]:
    """A container of ``image``, as :func:`started`, once its app answers.

    Raises:
        LabError: it does not start or its app does not answer, with the last lines of its log.
    """
    with (
        started(endpoint, run, image, purpose=purpose, environment=environment) as name,
        answering(endpoint, name) as container,
    ):
        yield container


@contextmanager
def answering(
    endpoint: Endpoint, name: str, *, called: str = "", limit_seconds: float = START_SECONDS
) -> Iterator[Container]:
    """A container that somebody started, once its app answers.

    ``called`` is what errors call it in place of its name. A restarted container may have another
    address: ask again.

    Raises:
        LabError: it ends, or does not answer in time, and probably why. This, and any that is raised
            while the container is used, has the last lines of the container's log.
    """
    try:
        container = Container(name, _url(endpoint, name, called or name))
        _wait(endpoint, container, called or name, limit_seconds)
        yield container
    except LabError as error:
        raise LabError(f"{error}{diagnosis.log_tail(endpoint, name)}") from error


def remove(endpoint: Endpoint, name: str) -> None:
    """Remove a container, if it is there, in whatever state."""
    # Should it fail, the run's own clean-up finds the container by its label.
    with suppress(LabError):
        endpoint.run("rm", "--force", "--volumes", name, doing=f"removing {name}")


def _url(endpoint: Endpoint, name: str, called: str) -> str:
    try:
        said = endpoint.run("port", name, f"{PORT}/tcp", doing=f"asking for the port of {name}")
    except LabError as error:
        # A container that has ended publishes nothing.
        if told := diagnosis.ended(endpoint, name):
            raise LabError(f"{called}: {told}") from error
        raise
    address = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return f"http://{address}:{int(said.split(chr(10), 1)[0].rpartition(':')[2])}"


def _wait(endpoint: Endpoint, container: Container, called: str, limit_seconds: float) -> None:
    deadline = time.monotonic() + limit_seconds
    looked = 0.0
    with httpx.Client(timeout=min(_ASK_SECONDS, limit_seconds)) as http:
        while True:
            try:
                # Any answer will do: whether it is a good one is for who asks to judge.
                http.get(container.url + "/")
                return
            except httpx.HTTPError as error:
                now = time.monotonic()
                # Asking the engine takes longer than asking the app: not every time.
                if now - looked > 0.25 or now > deadline:
                    looked = now
                    if told := diagnosis.ended(endpoint, container.name):
                        raise LabError(f"{called}: {told}") from error
                if now > deadline:
                    told = diagnosis.silent(endpoint, container.name, PORT)
                    raise LabError(
                        f"{called}: the app did not answer in {limit_seconds:.0f} s: {told}"
                    ) from error
            time.sleep(_BETWEEN_SECONDS)
