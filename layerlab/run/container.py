"""One container of an image that serves the app: started, waited for, asked, removed."""

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker.errors
import requests.exceptions

from layerlab.engine.command import run as run_command
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError, RunLost
from layerlab.run import asking, confined, diagnosis, envfile, ports, waiting

MEMORY = "256m"
PIDS = 100
START_SECONDS = 60
_NOT_FOUND = 404
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
    #: When its first answer came, on the clock of ``time.monotonic``.
    answered: float = 0.0

    def get(self, path: str) -> Any:
        """What the app answers at a path, as JSON.

        Raises:
            LabError: it does not answer, or not well.
        """
        try:
            answer = asking.get(self.url, path, waiting.ASK_SECONDS)
            if not 200 <= answer.status < 300:
                raise ValueError(f"status {answer.status}")
            if not answer.whole:
                raise ValueError(f"more than {asking.MOST_BYTES // 10**6} MB")
            return json.loads(answer.body)
        except (*asking.FAILURES, ValueError, RecursionError) as error:
            told = f"the app does not answer {path} well: {asking.reason(error)}"
            raise LabError(f"{self.name}: {told}") from error

    def unhealthy(self, path: str = "/health") -> str | None:
        """What is wrong with what a serving app says of its health, as a clause; None if it is well."""
        try:
            code = asking.get(self.url, path, waiting.ASK_SECONDS, most_bytes=0).status
        except asking.FAILURES as error:
            return f"it does not answer at {path}: {asking.reason(error)}"
        if 200 <= code < 300:
            return None
        if code == _NOT_FOUND:
            return f"it answers 404 at {path}: give the app such a path, one that answers 200"
        return f"it answers {code} at {path}, which says that it is not well"


@contextmanager
def started(
    endpoint: Endpoint,
    run: Run,
    image: str,
    *,
    purpose: str,
    called: str = "",
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
        PortTaken: of a ``port`` that was given.
        LabError: it does not start, in a sentence that begins with ``called``, else with the image's name.
    """
    with timed(
        endpoint,
        run,
        [*environment.words(), *options, image, *command],
        purpose=purpose,
        called=called or image,
        shell=environment.shell,
        port=port,
    ) as (name, _):
        yield name


@contextmanager
def timed(
    endpoint: Endpoint,
    run: Run,
    last: Sequence[str],
    *,
    purpose: str,
    called: str,
    shell: Mapping[str, str] | None = None,
    port: int | None = None,
    inside: int = ports.PORT,
) -> Iterator[tuple[str, float]]:
    """As :func:`started`, with ``last`` as the last words of `docker run`: the options, the image, the command.

    ``inside`` is the port at which the app listens in its container. Gives the container's name, and when `docker run` was begun, on the clock of ``time.monotonic``.
    """
    name = f"layerlab-{purpose}-{run.id}-{secrets.token_hex(2)}"
    words = ["run", "--detach", "--pull", "never", "--name", name]
    words += ["--publish", ports.publishing(endpoint, port, inside), *_LOG]
    words += ["--memory", MEMORY, "--memory-swap", MEMORY, "--pids-limit", str(PIDS)]
    words += run.label_words
    if run.confinement:
        words += confined.words(run.confinement)
    begun = 0.0

    def docker_run() -> None:
        nonlocal begun
        if begun:
            remove(endpoint, name)
        begun = time.monotonic()
        with ports.taken_told():
            run_command(
                endpoint.command(*words, *last),
                doing=f"{called}: starting a container",
                environ={**endpoint.environ(), **(shell or {})},
                timeout=START_SECONDS,
            )

    with ExitStack() as stack:
        if "--network" not in last:
            words += stack.enter_context(confined.network(endpoint, run))
        stack.callback(remove, endpoint, name)
        try:
            if port is None:
                ports.while_taken(docker_run)
            else:
                docker_run()
        except LabError as error:
            if told := diagnosis.refused(str(error)):
                raise LabError(f"{called}: {told}") from error
            raise
        yield name, begun


def start_again(endpoint: Endpoint, name: str) -> None:
    """Start a container that has ended; its port may be another one.

    Raises:
        LabError: it does not start.
    """

    def docker_start() -> None:
        with ports.taken_told():
            endpoint.run("start", name, doing="docker start")

    ports.while_taken(docker_start)


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
    endpoint: Endpoint,
    name: str,
    *,
    called: str = "",
    limit_seconds: float = START_SECONDS,
    between_seconds: float = waiting.EXACT_SECONDS,
    inside: int = ports.PORT,
    path: str | None = None,
) -> Iterator[Container]:
    """A container that somebody started, once its app answers; it is asked every ``between_seconds``.

    With a ``path`` only a good answer there counts, without one any answer at `/`.

    ``called`` is what errors call it in place of its name. A restarted container may have another
    address: ask again.

    Raises:
        LabError: it ends, or does not answer in time, and probably why. This, and any that is raised
            while the container is used, has the last lines of the container's log.
    """
    with with_log(endpoint, name):
        address = _url(endpoint, name, called or name, inside)
        answered = waiting.first_answer(
            endpoint, name, address, called or name, inside, limit_seconds, between_seconds, path
        )
        yield Container(name, address, answered)


@contextmanager
def with_log(endpoint: Endpoint, name: str) -> Iterator[None]:
    """Has the last lines of a container's log put below the LabError of whatever fails.

    Raises:
        LabError: of the same class. That the run is lost is no matter of a container.
    """
    try:
        yield
    except RunLost:
        raise
    except LabError as error:
        raise type(error)(f"{error}{diagnosis.log_tail(endpoint, name)}") from error


def remove(endpoint: Endpoint, name: str) -> None:
    """Remove a container, if it is there, in whatever state."""
    # Should it fail, the run's own clean-up finds the container by its label.
    with suppress(LabError, docker.errors.DockerException, requests.exceptions.RequestException):
        client = endpoint.connect()
        try:
            client.api.remove_container(name, force=True, v=True)
        finally:
            client.close()


def _url(endpoint: Endpoint, name: str, called: str, inside: int) -> str:
    found = ports.published(endpoint, diagnosis.inspect(endpoint, name), inside)
    if found is None:
        told = diagnosis.ended(endpoint, name) or f"its port {inside} is not published"
        raise LabError(f"{called}: {told}")
    return found
