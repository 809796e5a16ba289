"""A container whose health is watched: its events heard, its probes' log kept, things done to it."""

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import docker
import docker.errors
import requests.exceptions

from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.run.events import Event, Listener, engine_time
from layerlab.run.health import Check, configured
from layerlab.run.timeline import Timeline, recorded, words

#: The engine keeps five entries: they are fetched before a sixth can come.
_KEPT = 5


class Watched:
    """A running container that has a HEALTHCHECK; see :func:`watched`."""

    def __init__(
        self,
        client: docker.DockerClient,
        listener: Listener,
        found: dict[str, Any],
        check: Check,
        begun: float,
    ) -> None:
        self._client = client
        self._listener = listener
        self.name: str = found["Name"].lstrip("/")
        self.check = check
        #: Its start event, on the engine's clock.
        self._start = begun
        self._command = words(check, found["Config"].get("Shell"))
        self._started_at = engine_time(found["State"]["StartedAt"])
        self._log: dict[str, dict[str, Any]] = {}
        #: How many probes had begun, and execs ended, when the log was fetched.
        self._begun = self._ended = 0

    def now(self) -> float:
        """Seconds since the container's start event, on the engine's clock."""
        return self._listener.now() - self._start

    def timeline(self) -> Timeline:
        """What was heard until now."""
        return self._timeline_of(self._listener.of(self.name))

    def until(self, found: Callable[[Timeline], bool], limit_seconds: float) -> bool:
        """Wait until something is true of the timeline; False when the limit came first.

        Raises:
            RunLost: the engine went away.
        """
        deadline = self._listener.now() + limit_seconds
        true = False

        def enough(events: Sequence[Event]) -> bool:
            nonlocal true
            timeline = self._timeline_of(events)
            true = found(timeline)
            return true or self._forgetful(events, timeline)

        while True:
            self._listener.wait(self.name, enough, deadline)
            if true or self._listener.now() >= deadline:
                return true
            self.keep_log()

    def _forgetful(self, events: Sequence[Event], timeline: Timeline) -> bool:
        """Whether the log should be fetched: it is about to lose entries, or alone knows of a probe's end.

        A probe whose command can't be started has no event of its end.
        """
        ended = sum(event.action == "exec_die" for event in events)
        begun = self._probes_begun(events)
        unknown = begun > self._begun and begun - len(timeline.probes) > 1
        return ended - self._ended >= _KEPT - 1 or unknown

    def _probes_begun(self, events: Sequence[Event]) -> int:
        return sum(event.action == f"exec_create: {self._command}" for event in events)

    def asked_to_end(self) -> list[float]:
        """When the engine sent the app a signal to end, in seconds from the start."""
        return [e.at - self._start for e in self._listener.of(self.name) if e.action == "kill"]

    def lines(self, containing: str) -> list[float]:
        """When the container wrote a line that has this in it, in seconds from the start."""
        said = self._asked(lambda api: api.logs(self.name, timestamps=True))
        found = [line for line in said.decode(errors="replace").splitlines() if containing in line]
        return [engine_time(line.split(" ", 1)[0]) - self._start for line in found]

    def _timeline_of(self, events: Sequence[Event]) -> Timeline:
        found = recorded(events, self._log.values(), self.check, self._command, self._started_at)
        assert found is not None  # it has started
        return found

    def keep_log(self) -> dict[str, Any]:
        """Fetch the log of probes, before the engine forgets them; returns the container's description."""
        events = self._listener.of(self.name)
        found = self._inspect()
        for entry in (found["State"].get("Health") or {}).get("Log") or []:
            self._log[entry["Start"]] = entry
        self._ended = sum(event.action == "exec_die" for event in events)
        self._begun = self._probes_begun(events)
        return found

    def run(self, *command: str) -> float:
        """Run a command in the container, as root; returns when it had ended, in seconds from the start.

        Raises:
            LabError: it can't be run, or failed.
        """
        made = self._asked(lambda api: api.exec_create(self.name, list(command), user="0"))
        said = self._asked(lambda api: api.exec_start(made["Id"]))
        code = self._asked(lambda api: api.exec_inspect(made["Id"]))["ExitCode"]
        if code:
            raise LabError(
                f"{self.name}: `{' '.join(command)}` ended with {code}: "
                f"{said.decode(errors='replace').strip()[:200]}"
            )
        return self.now()

    def put(self, path: str) -> float:
        """Make an empty file in the container; returns when it was there, in seconds from the start.

        Raises:
            LabError: it can't be made.
        """
        folder, _, name = path.rpartition("/")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.addfile(tarfile.TarInfo(name))
        self._asked(lambda api: api.put_archive(self.name, folder or "/", packed.getvalue()))
        return self.now()

    def pause(self) -> None:
        self._asked(lambda api: api.pause(self.name))

    def unpause(self) -> None:
        self._asked(lambda api: api.unpause(self.name))

    def restart(self) -> None:
        self._asked(lambda api: api.restart(self.name, timeout=5))

    def _inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = self._asked(lambda api: api.inspect_container(self.name))
        return found

    def _asked(self, ask: Callable[[docker.APIClient], Any]) -> Any:
        try:
            return ask(self._client.api)
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise LabError(f"{self.name}: {error}") from error


@contextmanager
def watched(endpoint: Endpoint, listener: Listener, name: str) -> Iterator[Watched]:
    """Watch a container that was started after the listener began.

    Raises:
        LabError: it is not there, has no HEALTHCHECK, was not started, or the engine does not answer.
    """
    client = endpoint.connect()
    try:
        found = client.api.inspect_container(name)
        called = found["Name"].lstrip("/")
        check = configured(found["Config"].get("Healthcheck"))
        if check is None:
            raise LabError(f"{called} has no HEALTHCHECK")
        events = listener.wait(
            called, lambda heard: _start_of(heard) is not None, listener.now() + 10
        )
        begun = _start_of(events)
        if begun is None:
            raise LabError(f"{called}: the engine tells of no start")
        yield Watched(client, listener, found, check, begun)
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise LabError(f"looking at the container {name}: {error}") from error
    finally:
        client.close()


def _start_of(events: Sequence[Event]) -> float | None:
    return next((event.at for event in events if event.action == "start"), None)
