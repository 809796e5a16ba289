"""One container of an image that serves the app: started, waited for, asked, removed."""

import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from layerlab.engine.command import last_lines
from layerlab.engine.command import run as run_command
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import envfile
from layerlab.show.tables import plain

PORT = 8000
MEMORY = "256m"
PIDS = 100
START_SECONDS = 60
_ASK_SECONDS = 10
_BETWEEN_SECONDS = 0.05
_LOG_LINES = 8


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


def publishing(endpoint: Endpoint) -> str:
    """The `--publish` that gives the app a free port: on the engine's loopback, if that is near.

    On an engine of another machine a port on its loopback could not be reached from here.
    """
    near = endpoint.address in ("127.0.0.1", "localhost", "::1")
    return f"{'127.0.0.1' if near else '0.0.0.0'}::{PORT}"


@contextmanager
def running(
    endpoint: Endpoint, run: Run, image: str, environment: Environment, *, purpose: str
) -> Iterator[Container]:
    """A container of ``image`` by `docker run`, within limits, gone at the end.

    ``purpose`` becomes a part of its name.

    Raises:
        LabError: it does not start or its app does not answer, with the last lines of its log.
    """
    name = f"layerlab-{purpose}-{run.id}-{secrets.token_hex(2)}"
    words = ["run", "--detach", "--pull", "never", "--name", name, "--publish"]
    words += [publishing(endpoint), "--memory", MEMORY, "--pids-limit", str(PIDS)]
    words += [word for pair in run.labels.items() for word in ("--label", "=".join(pair))]
    words += [*environment.words(), image]
    try:
        run_command(
            endpoint.command(*words),
            doing=f"starting a container of {image}",
            environ={**endpoint.environ(), **environment.shell},
            timeout=START_SECONDS,
        )
        with answering(endpoint, name) as container:
            yield container
    finally:
        remove(endpoint, name)


@contextmanager
def answering(
    endpoint: Endpoint, name: str, *, limit_seconds: float = START_SECONDS
) -> Iterator[Container]:
    """A container that somebody started, once its app answers.

    Raises:
        LabError: it ends, or does not answer in time. This, and any that is raised while the container
            is used, has the last lines of the container's log.
    """
    try:
        address = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        container = Container(name, f"http://{address}:{_port(endpoint, name)}")
        _wait(endpoint, container, limit_seconds)
        yield container
    except LabError as error:
        raise LabError(f"{error}{_log(endpoint, name)}") from error


def remove(endpoint: Endpoint, name: str) -> None:
    """Remove a container, if it is there, in whatever state."""
    # Should it fail, the run's own clean-up finds the container by its label.
    with suppress(LabError):
        endpoint.run("rm", "--force", "--volumes", name, doing=f"removing {name}")


def _port(endpoint: Endpoint, name: str) -> int:
    try:
        said = endpoint.run("port", name, f"{PORT}/tcp", doing=f"asking for the port of {name}")
    except LabError as error:
        # A container that has ended publishes nothing.
        if _alive(endpoint, name):
            raise
        raise LabError(_ended(name)) from error
    return int(said.split("\n", 1)[0].rpartition(":")[2])


def _ended(name: str) -> str:
    return f"{name}: the app ended before it answered"


def _wait(endpoint: Endpoint, container: Container, limit_seconds: float) -> None:
    deadline = time.monotonic() + limit_seconds
    with httpx.Client(timeout=_ASK_SECONDS) as http:
        while True:
            try:
                # Any answer will do: whether it is a good one is for who asks to judge.
                http.get(container.url + "/")
                return
            except httpx.HTTPError as error:
                if not _alive(endpoint, container.name):
                    raise LabError(_ended(container.name)) from error
                if time.monotonic() > deadline:
                    raise LabError(
                        f"{container.name}: the app did not answer in {limit_seconds:.0f} s"
                    ) from error
            time.sleep(_BETWEEN_SECONDS)


def _alive(endpoint: Endpoint, name: str) -> bool:
    state = endpoint.run(
        "inspect", "--format", "{{.State.Running}}", name, doing=f"looking at {name}"
    )
    return state.strip() == "true"


def _log(endpoint: Endpoint, name: str) -> str:
    """The last lines of a container's log, to be put after a sentence."""
    try:
        said = subprocess.run(
            endpoint.command("logs", "--tail", str(_LOG_LINES), name),
            env=endpoint.environ(),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=START_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return ""
    return last_lines(plain(said.stdout), _LOG_LINES) if said.returncode == 0 else ""
