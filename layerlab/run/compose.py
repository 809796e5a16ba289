"""One compose project: its files in a folder, up, run, and always down."""

import json
import secrets
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerlab.engine.command import end, last_lines, leash
from layerlab.engine.command import run as run_command
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import confined, refusal, waiting
from layerlab.run.container import MEMORY, PIDS, START_SECONDS, Container, answering
from layerlab.run.ports import publishing, taken_told

LIMIT_SECONDS = 120
WATCH_SECONDS = 20
#: What `docker compose watch` says when it has begun, in whatever case (compose, pkg/compose/watch.go).
_WATCHES = "watch enabled"


@dataclass(frozen=True)
class Project:
    """A compose project whose file is written."""

    endpoint: Endpoint
    name: str
    folder: Path
    #: Options of `docker compose` itself.
    options: Sequence[str]
    #: The whole environment of its commands.
    environ: Mapping[str, str]

    def compose(self, *words: str, doing: str) -> str:
        """Run a `docker compose` command on the project; returns its standard output.

        Raises:
            LabError: it failed.
        """
        own = ["compose", "--project-name", self.name, "--project-directory", str(self.folder)]
        try:
            return run_command(
                self.endpoint.command(*own, *self.options, *words),
                doing=doing,
                environ=self.environ,
                cwd=self.folder,
                timeout=LIMIT_SECONDS,
            )
        except LabError as error:
            if told := refusal.no_subnet(str(error), self.name):
                raise LabError(f"{doing}: {told}") from error
            raise

    def start(self, service: str) -> str:
        """Start a service by `docker compose up`; returns its container.

        Raises:
            PortTaken: of the port that the project gives it.
            LabError: it does not start.
        """
        with taken_told():
            self.compose("up", "--detach", "--no-build", service, doing="docker compose up")
        found = self.compose("ps", "--all", "--quiet", service, doing="docker compose ps").split()
        if not found:
            raise LabError(f"docker compose up: it made no container of the service {service}")
        return found[0]

    @contextmanager
    def up(self, service: str, *, limit_seconds: float = START_SECONDS) -> Iterator[Container]:
        """A service's container, started by `docker compose up`, once its app answers.

        Raises:
            PortTaken: of the port that the project gives it.
            LabError: it does not start, or its app does not answer within the limit.
        """
        with answering(
            self.endpoint,
            self.start(service),
            limit_seconds=limit_seconds,
            between_seconds=waiting.CALM_SECONDS,
        ) as container:
            yield container

    @contextmanager
    def run(self, service: str, flags: Sequence[str]) -> Iterator[Container]:
        """A container of its own by `docker compose run`, with an `-e` for each of ``flags``."""
        name = f"{self.name}-run"
        words = ["run", "--detach", "--no-deps", "--name", name]
        words += ["--publish", publishing(self.endpoint)]
        words += [word for flag in flags for word in ("--env", flag)]
        self.compose(*words, service, doing="docker compose run")
        with answering(self.endpoint, name) as container:
            yield container

    @contextmanager
    def watch(self, service: str, said: deque[str]) -> Iterator[None]:
        """`docker compose watch` of a service that is up, once it says that it watches.

        Its lines are added to ``said``, until it ends.

        Raises:
            LabError: it does not begin to, with what it said.
        """
        own = ["compose", "--project-name", self.name, "--project-directory", str(self.folder)]
        watching = subprocess.Popen(
            [*leash(), *self.endpoint.command(*own, *self.options, "watch", "--no-up", service)],
            env=dict(self.environ),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            # A pipe, on which it dies with its next word should this process be killed.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        began, ended = threading.Event(), threading.Event()

        def listen() -> None:
            assert watching.stdout is not None
            for line in watching.stdout:
                said.append(line)
                if _WATCHES in line.lower():
                    began.set()
            ended.set()
            began.set()

        threading.Thread(target=listen, name="layerlab-compose-watch", daemon=True).start()
        try:
            if not began.wait(WATCH_SECONDS) or ended.is_set():
                told = last_lines("".join(said))
                raise LabError(f"docker compose watch: it did not begin to watch{told}")
            yield
        finally:
            end(watching, watching.wait)
            ended.wait(5)


@contextmanager
def project(
    endpoint: Endpoint,
    run: Run,
    folder: Path,
    services: Mapping[str, Mapping[str, Any]],
    *,
    options: Sequence[str] = (),
    shell: Mapping[str, str],
    volumes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Project]:
    """A project of ``services`` in a folder, which may hold its other files; taken down at the end.

    Every service gets our labels and limits. ``options`` are those of `docker compose` itself, such
    as ``--env-file``; ``shell`` is what the shell that runs the commands has; ``volumes`` are the
    project's, which have to bring their labels.
    """
    labels = {**run.labels, **confined.labels(run.confinement)}
    common = {"labels": labels, "mem_limit": MEMORY, "pids_limit": PIDS, "pull_policy": "never"}
    network: dict[str, Any] = {"labels": run.labels}
    if run.confinement:
        common |= confined.service(run.confinement)
        network["driver_opts"] = confined.bridge(run.confinement)
    document: dict[str, Any] = {
        "services": {name: {**service, **common} for name, service in services.items()},
        "networks": {"default": network},
    }
    if volumes:
        document["volumes"] = volumes
    # JSON is YAML, and has no value that YAML would read as something else.
    text = json.dumps(document, ensure_ascii=False, indent=2)
    (folder / "compose.yaml").write_text(text, encoding="utf-8")
    name = f"layerlab-{run.id}-{secrets.token_hex(2)}"
    this = Project(endpoint, name, folder, options, {**endpoint.environ(), **shell})
    try:
        yield this
    finally:
        # What can't be taken down now is found by its labels when the run ends.
        with suppress(LabError):
            words = ["down", "--volumes", "--remove-orphans", "--timeout", "0"]
            this.compose(*words, doing="docker compose down")
