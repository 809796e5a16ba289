"""Requests to a stack's web service on a fixed beat, and what became of each."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker.errors
import httpx
import requests.exceptions

from layerlab.engine.endpoint import Endpoint
from layerlab.run import ports
from layerlab.run.ports import PORT
from layerlab.run.stack import PROJECT_LABEL, SERVICE_LABEL, Stack

BEAT_SECONDS = 0.05
#: Longer than the app waits for a server (app/storage.py).
PATIENCE_SECONDS = 5
#: How often the engine is asked at most for the web service's port.
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Ask:
    """A request that is made on every beat."""

    method: str
    path: str
    #: The text of a new note, to which its number is added; None for a request without a body.
    note: str | None = None


@dataclass(frozen=True)
class Answer:
    """One request and its answer."""

    ask: Ask
    #: When it was made, in seconds since 1970 on this machine's clock, and how long its answer took.
    at: float
    seconds: float
    #: None where nobody answered.
    status: int | None
    #: The text of the note that was handed over.
    note: str | None = None

    @property
    def good(self) -> bool:
        return self.status is not None and self.status < 400


class Traffic:
    """What was asked until now; see :func:`asking`."""

    def __init__(self) -> None:
        self._answers: list[Answer] = []
        self._changed = threading.Condition()

    def add(self, answer: Answer) -> None:
        with self._changed:
            self._answers.append(answer)
            self._changed.notify_all()

    @property
    def answers(self) -> list[Answer]:
        """All answers until now, by the time of their request."""
        with self._changed:
            return sorted(self._answers, key=lambda answer: answer.at)

    def wait(self, found: Callable[[Sequence[Answer]], bool], seconds: float) -> bool:
        """Wait until ``found`` is true of the answers; whether it came true in time."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not found(self._answers):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True

    def until(self, path: str, status: int, since: float, seconds: float) -> Answer | None:
        """The first answer with a status to a request for a path made after ``since``, waited for."""

        def found(answers: Sequence[Answer]) -> bool:
            return any(_is(one, path, status, since) for one in answers)

        if not self.wait(found, seconds):
            return None
        return next(one for one in self.answers if _is(one, path, status, since))


def _is(one: Answer, path: str, status: int, since: float) -> bool:
    return one.ask.path == path and one.status == status and one.at >= since


@contextmanager
def asking(
    stack: Stack, asks: Sequence[Ask], beat_seconds: float = BEAT_SECONDS
) -> Iterator[Traffic]:
    """Make each of ``asks`` on every beat while the body runs, whatever became of those before.

    While the web service publishes no port there is nothing to ask, and nothing is counted.
    """
    traffic = Traffic()
    ending = threading.Event()
    address = _Address(stack.endpoint, stack.name)
    thread = threading.Thread(
        target=lambda: asyncio.run(_ask(address, asks, beat_seconds, traffic, ending)),
        name="layerlab-traffic",
        daemon=True,
    )
    thread.start()
    try:
        yield traffic
    finally:
        ending.set()
        thread.join(PATIENCE_SECONDS + 5)
        address.close()


async def _ask(
    address: "_Address",
    asks: Sequence[Ask],
    beat_seconds: float,
    traffic: Traffic,
    ending: threading.Event,
) -> None:
    going: set[asyncio.Task[None]] = set()
    # A connection that was kept would be to the container before.
    limits = httpx.Limits(max_keepalive_connections=0)
    # This machine's proxy settings are for other hosts.
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, limits=limits, trust_env=False) as http:
        number, due = 0, time.monotonic()
        while not ending.is_set():
            if address.doubted:
                await asyncio.to_thread(address.look)
            url = address.url
            if url:
                number += 1
                for ask in asks:
                    task = asyncio.create_task(_one(http, url, ask, number, traffic, address))
                    going.add(task)
                    task.add_done_callback(going.discard)
            due = max(due + beat_seconds, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
        await asyncio.gather(*going)


async def _one(
    http: httpx.AsyncClient, url: str, ask: Ask, number: int, traffic: Traffic, address: "_Address"
) -> None:
    note = None if ask.note is None else f"{ask.note} {number}"
    body: Any = None if note is None else {"text": note}
    at, begun = time.time(), time.monotonic()
    status: int | None = None
    try:
        status = (await http.request(ask.method, url + ask.path, json=body)).status_code
    except httpx.HTTPError:
        # A container that comes back, or its successor, may have another port.
        address.doubt(url)
    traffic.add(Answer(ask, at, time.monotonic() - begun, status, note))


class _Address:
    """Where the web service answers; asked of the engine again when it does not, now and then."""

    def __init__(self, endpoint: Endpoint, project: str) -> None:
        self._host = endpoint.address
        self._client = endpoint.connect()
        self._filters = {"label": [f"{PROJECT_LABEL}={project}", f"{SERVICE_LABEL}=web"]}
        self._looked = 0.0
        self._sure = False
        self.url: str | None = None

    @property
    def doubted(self) -> bool:
        """Whether it is time to look again."""
        return not self._sure and time.monotonic() - self._looked > _LOOK_SECONDS

    def look(self) -> None:
        self._looked = time.monotonic()
        try:
            found = self._client.api.containers(filters=self._filters)
        except (docker.errors.DockerException, requests.exceptions.RequestException):
            return
        for one in found:
            for port in one.get("Ports") or ():
                if port.get("PrivatePort") == PORT and port.get("PublicPort"):
                    self.url = ports.url(self._host, port["PublicPort"])
                    self._sure = True

    def doubt(self, url: str) -> None:
        if self.url == url:
            self._sure = False

    def close(self) -> None:
        self._client.close()


def outage(answers: Sequence[Answer], good: Callable[[Answer], bool]) -> float:
    """The longest time between two good answers that had bad ones in between, in seconds."""
    longest, last, bad = 0.0, None, False
    for one in sorted(answers, key=lambda answer: answer.at):
        if not good(one):
            bad = True
            continue
        if bad and last is not None:
            longest = max(longest, one.at + one.seconds - last)
        last, bad = one.at, False
    return longest
