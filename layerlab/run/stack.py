"""A stack: the project's compose files in a copy of their own, with this run's labels; always taken down."""

import os
import secrets
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from json import loads
from pathlib import Path
from typing import Any

import docker.errors
import httpx
import requests.exceptions

from layerlab.build.context import copy_context
from layerlab.engine.command import last_lines
from layerlab.engine.endpoint import Endpoint, unreachable, version_tuple
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import composefile, diagnosis, refusal
from layerlab.run.container import PORT
from layerlab.run.override import override
from layerlab.run.refusal import Refusal

COMPOSE_FILE = "compose.yaml"
#: What is ours in a folder of compose files.
OVERRIDE = "layerlab.yaml"
SECRET = "database_password.txt"
#: Longer than a health check with a start period of 30 s needs to say that a service is unhealthy.
UP_SECONDS = 120
_KILLED_SECONDS = 10
#: How often a start is tried again when a port that Docker picked turns out to be another engine's.
TRIES = 5
#: The first engine that can keep its own machine out of an internal network (moby 28.0, `isolated`).
CLOSING_ENGINE = (28, 0)
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

    def with_files(self, *names: str) -> "Stack":
        """The same project with more of the folder's compose files."""
        return replace(self, files=(*self.files, *(self.folder / "compose" / n for n in names)))

    def with_variables(self, **variables: str) -> "Stack":
        """The same project with other values of its files' variables."""
        return replace(self, environ={**self.environ, **variables})

    def shell_words(self) -> str:
        """`docker compose` for a shell, with this environment and no other: what pytest-docker runs."""
        gone = [name for name in os.environ if name not in self.environ]
        words = ["env", *(word for name in gone for word in ("-u", name))]
        words += [f"{k}={v}" for k, v in self.environ.items() if os.environ.get(k) != v]
        return shlex.join([*words, *self.endpoint.command("compose")])

    def compose(self, *words: str, timeout: float = UP_SECONDS) -> str:
        """Run a `docker compose` command on the project; returns its standard output.

        Raises:
            NotUp: it failed, in one sentence, with the last lines of the service that is to blame.
        """
        files = [word for file in self.files for word in ("--file", str(file))]
        own = ["compose", *files, "--project-name", self.name]
        doing = f"docker compose {words[0]}"
        try:
            code, out, err = _run(
                self.endpoint.command(*own, *words), self.environ, self.folder, timeout
            )
        except subprocess.TimeoutExpired as error:
            raise NotUp(f"{doing} did not end in {timeout:.0f} s{self._waited_for()}") from error
        if code:
            raise self.not_up(err or out)
        return out

    def not_up(self, said: str) -> NotUp:
        """What compose ``said`` when it failed, as an error for people."""
        told = refusal.told(said, self.files, self.name)
        return NotUp(told.sentence + self._blamed(told), told.port)

    def _blamed(self, told: Refusal) -> str:
        if told.container is None:
            return ""
        with suppress(LabError):
            state = diagnosis.inspect(self.endpoint, told.container)["State"]
            probes = (state.get("Health") or {}).get("Log") or []
            said = last_lines(probes[-1]["Output"], 2) if probes else ""
            probed = (
                f"; its last health check ended with {probes[-1]['ExitCode']}:{said}\n"
                if said
                else ":"
            )
            log = diagnosis.log_tail(self.endpoint, told.container)
            return probed + f"  the last lines of its log:{log or ' none'}".removeprefix("\n")
        return ""

    def _waited_for(self) -> str:
        """Which services are not healthy yet, and the last log lines of the first."""
        with suppress(LabError):
            for service, identity in self.containers().items():
                state = diagnosis.inspect(self.endpoint, identity)["State"]
                health = (state.get("Health") or {}).get("Status", "healthy")
                if state["Status"] != "running" or health != "healthy":
                    tail = diagnosis.log_tail(self.endpoint, identity)
                    return f": {service} is {health if state['Running'] else state['Status']}{tail}"
        return ""

    def config(self) -> dict[str, Any]:
        """The project as compose understands it.

        Raises:
            NotUp: a file is broken, with file and line.
        """
        found: dict[str, Any] = loads(self.compose("config", "--format", "json"))
        return found

    def up(self, *words: str) -> None:
        """`docker compose up` with what it needs to exist looked at first.

        Raises:
            NotUp: it did not come up; what it has made until then is there, for :func:`prepared` to
                take down.
        """
        self.check_sources()
        self.compose("up", "--detach", *words)

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
        client = self.endpoint.connect()
        try:
            filters = {"label": f"{PROJECT_LABEL}={self.name}"}
            found = client.api.containers(all=True, filters=filters)
            return {one["Labels"][SERVICE_LABEL]: one["Id"] for one in found}
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise LabError(unreachable(self.endpoint, error)) from error
        finally:
            client.close()

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine says of a service's container."""
        identity = self.containers().get(service)
        if identity is None:
            raise LabError(f"the service {service} has no container")
        return diagnosis.inspect(self.endpoint, identity)

    def url(self) -> str:
        """Where the web service answers now, as seen from here."""
        said = self.compose("port", "web", str(PORT)).strip()
        return f"http://{self.endpoint.address}:{int(said.rpartition(':')[2])}"

    def await_ready(self, seconds: float = UP_SECONDS) -> None:
        """Wait until the app reaches all that it needs.

        Raises:
            LabError: it does not in time, with the last lines of its log.
        """
        deadline = time.monotonic() + seconds
        with httpx.Client(base_url=self.url(), timeout=5) as http:
            while True:
                with suppress(httpx.HTTPError):
                    if http.get("/ready").status_code == 200:
                        return
                if time.monotonic() > deadline:
                    tail = diagnosis.log_tail(self.endpoint, self.containers().get("web", "web"))
                    raise LabError(f"web: /ready did not answer 200 in {seconds:.0f} s{tail}")
                time.sleep(0.02)

    def write(self, text: str) -> None:
        """Keep a note in the stack's database."""
        self._ask("POST", {"text": text})

    def notes(self) -> list[str]:
        """The texts of the notes that the stack's database has."""
        return [note["text"] for note in self._ask("GET", None)]

    def _ask(self, method: str, body: object) -> Any:
        try:
            answer = httpx.request(method, self.url() + "/notes", json=body, timeout=10)
            return answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise LabError(f"web: {method} /notes: {error}") from error


@contextmanager
def prepared(
    endpoint: Endpoint,
    run: Run,
    project: Path,
    *,
    images: Mapping[str, str],
    build_contexts: Sequence[tuple[str, str]] = (),
    more: Mapping[str, Any] | None = None,
) -> Iterator[Stack]:
    """The project's stack, ready to be started, in a copy that may be edited; taken down at the end.

    Neither the user's `.env` nor their secrets are used: the copy has a password of its own.
    For ``images``, ``build_contexts`` and ``more`` see :func:`layerlab.run.override.override`.

    Raises:
        NotUp: a compose file is broken.
        LabError: the engine is another machine's, which has not the files that are mounted.
    """
    if endpoint.remote:
        raise LabError(
            "the engine is on another machine, and compose mounts secrets and folders from here: "
            "use --engine private"
        )
    name = f"layerlab-{run.id}-{secrets.token_hex(2)}"
    folder = run.folder / "stacks" / name
    _copy(project, folder)
    compose = folder / "compose"
    password = compose / SECRET
    password.write_text(secrets.token_hex(16), encoding="utf-8")
    # Compose mounts it as it is, and each service reads it as a user of its own.
    password.chmod(0o644)
    own = {k: v for k, v in endpoint.environ().items() if not k.startswith("COMPOSE_")}
    variables = {
        "WEB_IMAGE": f"layerlab/stack:{name.removeprefix('layerlab-')}",
        "WEB_PORT": "0",
        "APP_NAME": "layerlab",
        "VERSION": "1.0.0",
        "DATABASE_PASSWORD_SOURCE": str(password),
    }
    if version_tuple(endpoint.can.engine) < CLOSING_ENGINE:
        variables["CLOSED_NETWORK"] = "nat"
    stack = Stack(endpoint, name, folder, (compose / COMPOSE_FILE,), {**own, **variables})
    text = override(
        stack.config(), run.labels, images=images, build_contexts=build_contexts, more=more
    )
    (compose / OVERRIDE).write_text(text, encoding="utf-8")
    stack = stack.with_files(OVERRIDE)
    try:
        yield stack
    finally:
        # What can't be taken down now is found by its labels when the run ends.
        with suppress(LabError):
            stack.down("--volumes", "--remove-orphans", "--timeout", "1")
        shutil.rmtree(folder, ignore_errors=True)


def _copy(project: Path, folder: Path) -> None:
    copy_context(project / "app", folder / "app", None)
    for part, pattern in (("compose", "*.yaml"), ("dockerfiles", "*")):
        (folder / part).mkdir()
        for file in sorted((project / part).glob(pattern)):
            if file.is_file():
                shutil.copy(file, folder / part / file.name)


def _run(
    words: Sequence[str], environ: Mapping[str, str], cwd: Path, timeout: float
) -> tuple[int, str, str]:
    """Run a command with all that it starts; nothing of it outlives this call.

    Raises:
        subprocess.TimeoutExpired: it did not end in ``timeout`` seconds.
    """
    process = subprocess.Popen(
        words,
        env=environ,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
        return process.returncode, out, err
    except BaseException:
        # The plugin is a process of its own, and would go on making containers.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_KILLED_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
