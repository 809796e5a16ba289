"""An app that is watched: asked every few milliseconds, while something happens to it."""

import asyncio
import bisect
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

#: From one request to the next, whether that one was answered or not: what can be told apart in time.
INTERVAL_SECONDS = 0.005
#: What an answer's time is known to, or it does not count.
RESOLUTION_SECONDS = 0.010
#: How many may wait for an answer on a connection that stands: the first of them shows as well as a
#: thousand when the app is back, and has the app to itself then.
MOST_WAITING = 10
#: A request that was not answered for so long has failed.
PATIENCE_SECONDS = 5.0
#: An answer with more bytes is none of the lab's route.
_MOST_BYTES = 100_000
_PIECE = 1 << 16
#: Of the thread that asks, where it may have it: to be on time on a machine that is busy.
_NICENESS = -10
_SWITCH_SECONDS = 0.0005


@dataclass(frozen=True)
class Asked:
    """One request; times are seconds on this process's monotonic clock."""

    at: float
    ended: float
    #: What the app answered, as JSON; None where the request failed.
    answer: Any = None
    #: Why it failed, such as "ConnectionRefusedError"; None where it was answered well.
    failure: str | None = None


@dataclass(frozen=True)
class Change:
    """What became of the requests from a save to the first answer that shows it."""

    #: From the save to that answer.
    seconds: float
    asked: int
    failed: int
    #: The longest time in which no request was answered.
    silent_seconds: float
    #: How far requests were apart when that answer was asked for, and when it came: so exactly
    #: `seconds` is known.
    resolution_seconds: float


def first(record: Sequence[Asked], since: float, right: Any) -> Asked | None:
    """The first right answer after ``since``, by the time at which it came."""
    found = [one for one in record if one.answer == right and one.ended > since]
    return min(found, key=lambda one: one.ended, default=None)


def change(
    record: Sequence[Asked], looks: Sequence[float], begun: float, saved: float, right: Any
) -> Change:
    """What a record says of a save at ``saved``; requests count from ``begun``, which may be earlier.

    ``looks`` are the times at which a request was made, or would have been if fewer had been waiting, in
    their order.

    Raises:
        ValueError: no answer is right, or there was a right one before the save, which proves nothing.
    """
    shown = first(record, saved, right)
    if shown is None:
        raise ValueError("no answer shows what was saved")
    if any(one.answer == right and one.ended <= saved for one in record if one.at >= begun):
        raise ValueError("an answer showed it before it was saved")
    mine = [one for one in record if begun <= one.at <= shown.ended]
    answered = sorted(
        one.ended for one in record if one.failure is None and begun < one.ended <= shown.ended
    )
    return Change(
        seconds=shown.ended - saved,
        asked=len(mine),
        failed=sum(one.failure is not None for one in mine),
        silent_seconds=_longest([begun, *answered]),
        resolution_seconds=max(
            _pause(sorted(one.at for one in record), shown.at), _pause(looks, shown.ended)
        ),
    )


def _pause(looks: Sequence[float], at: float) -> float:
    """The time between two looks, in which ``at`` is; 0 if there is none on each side of it."""
    after = bisect.bisect_left(looks, at)
    return looks[after] - looks[after - 1] if 0 < after < len(looks) else 0.0


def _longest(times: Sequence[float]) -> float:
    return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)


class Watch:
    """A record that grows; see :func:`watching`."""

    def __init__(self) -> None:
        self._ended: list[Asked] = []
        self._looks: list[float] = []
        self._open: set[float] = set()
        self._connected: set[float] = set()
        self._changed = threading.Condition()

    def record(self, since: float = 0.0) -> list[Asked]:
        """The requests that have ended since a time, in the order in which they did."""
        with self._changed:
            return [one for one in self._ended if one.ended >= since]

    def looks(self) -> list[float]:
        """When a request was made, or would have been if fewer had been waiting."""
        with self._changed:
            return list(self._looks)

    def shows(self, right: Any, since: float, limit_seconds: float) -> Asked | None:
        """The first right answer that comes after ``since``; None if there is none within the limit."""
        deadline = time.monotonic() + limit_seconds
        seen = 0
        with self._changed:
            while True:
                new, seen = self._ended[seen:], len(self._ended)
                if found := first(new, since, right):
                    return found
                if (left := deadline - time.monotonic()) <= 0:
                    return None
                self._changed.wait(left)

    def finish(self, until: float) -> None:
        """Wait until every request that was made before a time has ended."""
        with self._changed:
            done: Callable[[], bool] = lambda: all(at > until for at in self._open)
            self._changed.wait_for(done, PATIENCE_SECONDS + 1)

    def look(self) -> float | None:
        """Begin a request, whose time is returned; None if so many wait that no more is to be made."""
        at = time.monotonic()
        with self._changed:
            self._looks.append(at)
            if len(self._connected) >= MOST_WAITING:
                return None
            self._open.add(at)
        return at

    def connect(self, at: float) -> None:
        """The connection of a request stands."""
        with self._changed:
            self._connected.add(at)

    def end(self, one: Asked) -> None:
        with self._changed:
            self._open.discard(one.at)
            self._connected.discard(one.at)
            self._ended.append(one)
            self._changed.notify_all()


@contextmanager
def watching(url: str) -> Iterator[Watch]:
    """Ask an address for JSON, each time on a new connection, until the end.

    A request is made every :data:`INTERVAL_SECONDS`, also where earlier ones still wait, up to a number.
    """
    watch = Watch()
    stop = threading.Event()
    switching = sys.getswitchinterval()
    # Else other threads of this process, such as the one that builds, may hold it up for 5 ms at a time.
    sys.setswitchinterval(_SWITCH_SECONDS)
    thread = threading.Thread(
        target=lambda: asyncio.run(_ask(url, watch, stop)), name="layerlab-watch", daemon=True
    )
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)
        sys.setswitchinterval(switching)


async def _ask(url: str, watch: Watch, stop: threading.Event) -> None:
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    tasks: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    while not stop.is_set():
        if (at := watch.look()) is not None:
            task = asyncio.create_task(_ask_once(url, watch, at))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        # After a delay of this process's own it goes on from there: no burst makes up for it.
        due = max(due + INTERVAL_SECONDS, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _ask_once(url: str, watch: Watch, at: float) -> None:
    answer, failure = None, None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await _get(url, lambda: watch.connect(at))
    except (OSError, EOFError, ValueError, RecursionError) as error:
        failure = type(error).__name__
    watch.end(Asked(at, time.monotonic(), answer, failure))


async def _get(url: str, connected: Callable[[], None]) -> Any:
    """The JSON at an address, asked for on a connection of its own; ``connected`` is told when that stands.

    A client of HTTP takes 2 ms of a processor for each, and this a third of it: the app wants it, too.

    Raises:
        OSError, EOFError, ValueError: no connection, no answer, or not a good one.
    """
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    connected()
    try:
        # Version 1.0: the answer ends where the connection does (RFC 9112, 6.3).
        writer.write(f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        said = b""
        while piece := await reader.read(_PIECE):
            said += piece
            if len(said) > _MOST_BYTES:
                raise ValueError(f"more than {_MOST_BYTES} bytes")
    finally:
        writer.close()
    head, _, body = said.partition(b"\r\n\r\n")
    if not head:
        raise EOFError
    if head.split(b" ", 2)[1:2] != [b"200"]:
        raise ValueError(head[:100])
    return json.loads(body)
