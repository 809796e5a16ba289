"""The engine's own account of a run's containers, as it happens: its events, by container."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import docker.errors
import requests.exceptions

from layerlab.engine.endpoint import Endpoint, unreachable
from layerlab.engine.leftovers import RUN_LABEL, Run
from layerlab.errors import LabError, RunLost


@dataclass(frozen=True)
class Event:
    """Something that happened to a container."""

    #: Seconds since 1970 on the engine's clock, to the microsecond or better.
    at: float
    #: As the engine says it: "start", "health_status: healthy", "exec_die", …
    action: str
    #: The container's name.
    name: str
    attributes: Mapping[str, str]


def read(message: Mapping[str, Any]) -> Event:
    """An event from the engine's message."""
    attributes = message["Actor"]["Attributes"]
    at = message["timeNano"] / 1e9
    return Event(at, message["Action"].strip(), attributes.get("name", ""), attributes)


class Listener:
    """Hears the events of a run's containers; see :func:`listening`."""

    def __init__(self, skew_seconds: float) -> None:
        #: What is to be added to a time of ours to have it on the engine's clock.
        self.skew_seconds = skew_seconds
        self._events: dict[str, list[Event]] = {}
        self._changed = threading.Condition()
        self._lost: str | None = None

    def now(self) -> float:
        """The time on the engine's clock, in seconds since 1970."""
        return time.time() + self.skew_seconds

    def check(self) -> None:
        """Raises RunLost where nothing more will be heard."""
        with self._changed:
            if self._lost is not None:
                raise RunLost(self._lost)

    def of(self, name: str) -> list[Event]:
        """What happened to a container until now, oldest first."""
        with self._changed:
            return list(self._events.get(name, ()))

    def wait(
        self, name: str, found: Callable[[Sequence[Event]], bool], until: float
    ) -> list[Event]:
        """A container's events, once ``found`` is true of them or the engine's clock shows ``until``.

        Raises:
            RunLost: the engine went away.
        """
        with self._changed:
            known = -1
            while True:
                events = self._events.get(name, [])
                if self._lost is not None:
                    raise RunLost(self._lost)
                left = until - self.now()
                # Woken by every container's events, it looks only at what is new of this one's.
                if left <= 0 or (len(events) != known and found(events)):
                    return list(events)
                known = len(events)
                self._changed.wait(left)

    def hear(self, event: Event) -> None:
        with self._changed:
            self._events.setdefault(event.name, []).append(event)
            self._changed.notify_all()

    def lose(self, why: str) -> None:
        """Tell all who wait that no more will be heard."""
        with self._changed:
            self._lost = why
            self._changed.notify_all()


@contextmanager
def listening(endpoint: Endpoint, run: Run) -> Iterator[Listener]:
    """Listen to all that happens to the run's containers from now on.

    Raises:
        LabError: the engine does not answer.
    """
    client = endpoint.connect()
    try:
        asked = time.time()
        says = client.info()["SystemTime"]
        answered = time.time()
        listener = Listener(engine_time(says) - (asked + answered) / 2 if endpoint.remote else 0.0)
        stream = client.api.events(
            # The engine keeps the last ones: what happens before it listens is not lost.
            since=int(engine_time(says)),
            filters={"type": "container", "label": f"{RUN_LABEL}={run.id}"},
            decode=True,
        )
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        client.close()
        raise LabError(unreachable(endpoint, error)) from error
    closing = threading.Event()

    def hear() -> None:
        why: object = "it ended the stream of events"
        try:
            for message in stream:
                listener.hear(read(message))
        except Exception as error:  # noqa: BLE001
            # Of any kind, when the connection is taken away below; nobody would see it in a thread.
            why = error
        if not closing.is_set():
            listener.lose(f"the engine at {endpoint.host} tells nothing more: {why}")

    thread = threading.Thread(target=hear, name="layerlab-events", daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        closing.set()
        with suppress(Exception):
            stream.close()
        thread.join(5)
        client.close()


def engine_time(text: str) -> float:
    """Seconds since 1970 of a time as the engine writes it, to the microsecond."""
    return datetime.fromisoformat(text).timestamp()
