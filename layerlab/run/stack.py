"""A stack: a compose project of several services, and what can be done with it."""

import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from json import loads
from pathlib import Path
from typing import Any

import httpx

from layerlab.engine.command import attempt, last_lines
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.run import composefile, diagnosis, isolation, ports, privileges, refusal, watcher
from layerlab.run.ports import PORT
from layerlab.run.refusal import Refusal

COMPOSE_FILE = "compose.yaml"
#: Longer than a health check with a start period of 30 s needs to say that a service is unhealthy.
UP_SECONDS = 120
#: How often a start is tried again when a port that Docker picked turns out to be another engine's.
TRIES = 5
PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"


class NotUp(LabError):
    """A stack did not come up."""

    def __init__(self, sentence: str, port: str | None = None) -> None:
        super().__init__(sentence)
        #: A port that somebody else has, where that is the reason.
        self.port = port


@dataclass(frozen=True)
class Stack:
    """A compose project whose files are written; a value: what :meth:`with_files` gives is another."""

    endpoint: Endpoint
    name: str
    #: The copy of the project: `app`, `compose` and `dockerfiles`.
    folder: Path
    files: tuple[Path, ...]
    #: The whole environment of its commands.
    environ: Mapping[str, str]
    #: Whether somebody vouches for its files.
    trusted: bool = True

    def with_files(self, *names: str) -> "Stack":
        """The same project with more of the folder's compose files."""
        return replace(self, files=(*self.files, *(self.folder / "compose" / n for n in names)))

    def with_variables(self, **variables: str) -> "Stack":
        """The same project with other values of its files' variables."""
        return replace(self, environ={**self.environ, **variables})

    def compose(self, *words: str, timeout: float = UP_SECONDS) -> str:
        """Run a `docker compose` command on the project; returns its standard output.

        Raises:
            NotUp: it failed, in one sentence, with the last lines of the service that is to blame.
        """
        files = [word for file in self.files for word in ("--file", str(file))]
        own = ["compose", *files, "--project-name", self.name]
        doing = f"docker compose {words[0]}"
        try:
            done = attempt(
                self.endpoint.command(*own, *words),
                environ=self.environ,
                cwd=self.folder,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise NotUp(f"{doing} did not end in {timeout:.0f} s{self._waited_for()}") from error
        if done.returncode:
            raise self.not_up(done.stderr or done.stdout)
        return done.stdout

    def not_up(self, said: str) -> NotUp:
        """What compose ``said`` when it failed, as an error for people."""
        told = refusal.told(said, self.files, self.name)
        return NotUp(told.sentence + self._blamed(told), told.port)

    def _blamed(self, told: Refusal) -> str:
        if told.container is None:
            return ""
        with suppress(LabError):
            state = diagnosis.inspect(self.endpoint, told.container)["State"]
            log = diagnosis.log_tail(self.endpoint, told.container)
            return _evidence((state.get("Health") or {}).get("Log") or [], log)
        return ""

    def _waited_for(self) -> str:
        """Which service is waited for, and the last lines of its log."""
        with suppress(LabError):
            containers = self.containers()
            states = {
                service: diagnosis.inspect(self.endpoint, identity)["State"]
                for service, identity in containers.items()
                if service != watcher.SERVICE
            }
            if found := waited_for(states):
                service, how = found
                return (
                    f": {service} is {how}{diagnosis.log_tail(self.endpoint, containers[service])}"
                )
        return ""

    def config(self) -> dict[str, Any]:
        """The project as compose understands it.

        Raises:
            NotUp: a file is broken, with file and line.
        """
        found: dict[str, Any] = loads(self.compose("config", "--format", "json"))
        return found

    def check_isolation(self, config: Mapping[str, Any] | None = None) -> None:
        """See to it that nothing in the project is another's on the engine; see :mod:`isolation`.

        Where nobody vouches for it, that it asks for no more than is given, too; see :mod:`privileges`.

        Raises:
            LabError: something is, with its line.
        """
        config = config or self.config()
        isolation.check(config, self.files, self.name, self.environ["WEB_IMAGE"])
        if not self.trusted:
            privileges.check(config, self.files, self.folder)

    def up(self, *words: str) -> None:
        """`docker compose up`, with what it needs to exist looked at first.

        It is tried again where a port that Docker picked is another engine's, of which it can't know.

        Raises:
            NotUp: it did not come up; what it has made until then is there, for :func:`prepared` to
                remove.
        """
        self.check_sources()
        self.up_again(*words)

    def up_again(self, *words: str) -> None:
        """:meth:`up` of a stack that has been up: what it needs to exist is there.

        Raises:
            NotUp: it did not come up.
        """
        for left in reversed(range(TRIES)):
            try:
                self.compose("up", "--detach", *words)
                return
            except NotUp as error:
                if error.port is None or self.environ["WEB_PORT"] != "0" or not left:
                    raise

    def check_sources(self) -> None:
        """See to it that the secrets' files are there, before anything is made.

        Raises:
            NotUp: one is missing, with the line that names it.
        """
        for name, secret in self.config().get("secrets", {}).items():
            path = Path(secret.get("file", "/"))
            if not path.exists():
                place = composefile.nearest(self.files, ("secrets", name, "file"))
                raise NotUp(
                    f"{place}: the secret {name} is to be in {path}, which does not exist: write it there"
                )

    def down(self, *words: str) -> None:
        self.compose("down", *words)

    def containers(self) -> dict[str, str]:
        """The project's containers: their ids by service.

        Raises:
            LabError: the engine does not answer.
        """
        with self.endpoint.connected() as client:
            filters = {"label": f"{PROJECT_LABEL}={self.name}"}
            found = client.api.containers(all=True, filters=filters)
        return {one["Labels"][SERVICE_LABEL]: one["Id"] for one in found}

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine says of a service's container."""
        identity = self.containers().get(service)
        if identity is None:
            raise LabError(f"the service {service} has no container")
        return diagnosis.inspect(self.endpoint, identity)

    def url(self) -> str:
        """Where the web service answers now, as seen from here.

        Raises:
            LabError: it publishes no port: it does not run.
        """
        web = self.inspect("web")
        found = ports.published(self.endpoint, web)
        if found is None:
            raise LabError(f"web: it does not run{diagnosis.log_tail(self.endpoint, web['Id'])}")
        return found

    def await_ready(self, seconds: float = UP_SECONDS) -> None:
        """Wait until the app reaches all that it needs.

        A container that its restart policy starts again may have another port, and has not ended.

        Raises:
            LabError: it has ended, or is not ready in time, and probably why, with the last lines of its
                log.
        """
        deadline = time.monotonic() + seconds
        url: str | None = None
        with httpx.Client(timeout=5, trust_env=False) as http:
            while True:
                status: int | None = None
                if url is None:
                    web = self.inspect("web")
                    url = ports.published(self.endpoint, web)
                    if told := diagnosis.ended(self.endpoint, web["Id"]):
                        tail = diagnosis.log_tail(self.endpoint, web["Id"])
                        raise LabError(f"web: {told}{tail}")
                if url is not None:
                    try:
                        status = http.get(url + "/ready").status_code
                    except httpx.HTTPError:
                        url = None
                if status == 200:
                    return
                if time.monotonic() > deadline:
                    why = f"/ready says {status}"
                    if status is None:
                        why = diagnosis.silent(self.endpoint, web["Id"], PORT)
                    tail = diagnosis.log_tail(self.endpoint, web["Id"])
                    raise LabError(f"web: it was not ready in {seconds:.0f} s: {why}{tail}")
                time.sleep(0.02)

    def write(self, text: str) -> None:
        """Keep a note in the stack's database."""
        self._ask("POST", {"text": text})

    def notes(self) -> list[str]:
        """The texts of the notes that the stack's database has."""
        return [note["text"] for note in self._ask("GET", None)]

    def _ask(self, method: str, body: object) -> Any:
        try:
            with httpx.Client(timeout=10, trust_env=False) as http:
                answer = http.request(method, self.url() + "/notes", json=body)
            return answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise LabError(f"web: {method} /notes: {error}") from error


@dataclass(frozen=True)
class Executor:
    """How pytest-docker's services talk to a stack.

    Its own executor waits without a limit, and of what it runs kills only the shell.
    """

    stack: Stack

    def execute(self, subcommand: str) -> bytes:
        """Run a `docker compose` command, as a shell would read it; returns what it printed.

        Raises:
            NotUp: it failed, or did not end in time.
        """
        return self.stack.compose(*shlex.split(subcommand)).encode()


def waited_for(states: Mapping[str, Mapping[str, Any]]) -> tuple[str, str] | None:
    """Which service keeps the others waiting, and how it is; by the ``State`` of each's container.

    One that runs and is not healthy, before one that has ended, before one that was only created: that
    one waits itself. None where all are healthy.
    """
    found = []
    for service, state in states.items():
        status = state["Status"]
        how = (
            (state.get("Health") or {}).get("Status", "healthy") if status == "running" else status
        )
        if how != "healthy":
            rank = 0 if status in ("running", "restarting") else 2 if status == "created" else 1
            found.append((rank, service, how))
    return min(found)[1:] if found else None


def _evidence(probes: Sequence[Mapping[str, Any]], log: str) -> str:
    """What a container and its last health check said, to be put after a sentence."""
    said = last_lines(probes[-1]["Output"], 2) if probes else ""
    told = f"the last lines of its log:{log}" if log else "its log is empty"
    if not probes:
        return f"; {told}"
    return f"; its last health check ended with {probes[-1]['ExitCode']}" + (
        f":{said}\n  {told}" if said else f" and said nothing; {told}"
    )
