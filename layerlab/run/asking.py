"""Requests to an app that nobody vouches for: each ends in time, and gives no more than so many bytes."""

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

from layerlab.text import shorten

#: What is read of an answer at most; no answer of an app here has so much.
MOST_BYTES = 1_000_000
#: What a request may raise.
FAILURES = (OSError, HTTPException)
_REASON = 200


class NoConnection(OSError):
    """Nobody takes a connection."""


@dataclass(frozen=True)
class Answer:
    """What an app answered."""

    status: int
    body: bytes
    #: False where there is more of it than was read.
    whole: bool


class Asker:
    """One connection to an app, made anew where the app has closed it; see :func:`asking`."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def get(self, path: str, seconds: float, most_bytes: int = MOST_BYTES) -> Answer:
        """What the app answers at a path; it has ``seconds`` until the last byte that is read.

        Raises:
            NoConnection, OSError, HTTPException: no connection, no answer, or one that is cut off.
        """
        deadline = time.monotonic() + seconds
        connection = self._connection
        if connection.sock is None:
            connection.timeout = seconds
            try:
                connection.connect()
            except OSError as error:
                raise NoConnection(*error.args) from error
        connection.response_class = lambda sock, **more: HTTPResponse(  # type: ignore[assignment]
            _Readable(sock, deadline),  # type: ignore[arg-type]
            **more,
        )
        try:
            connection.sock.settimeout(_left(deadline))
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(most_bytes) if most_bytes else b""
            whole = answer.isclosed() or len(body) < most_bytes
            if answer.length and len(body) < most_bytes:
                raise IncompleteRead(body, answer.length)
        except FAILURES:
            connection.close()
            raise
        if not whole:
            connection.close()
        return Answer(answer.status, body, whole)


@contextmanager
def asking(url: str) -> Iterator[Asker]:
    """A connection to an app, made with the first request; closed at the end."""
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port)
    try:
        yield Asker(connection)
    finally:
        connection.close()


def get(url: str, path: str, seconds: float, most_bytes: int = MOST_BYTES) -> Answer:
    """As :meth:`Asker.get`, on a connection of its own."""
    with asking(url) as asker:
        return asker.get(path, seconds, most_bytes)


def reason(error: Exception) -> str:
    """Why a request failed; what the app sent may be a part of it."""
    return shorten(str(error) or type(error).__name__, _REASON)


class _Readable:
    """A socket that can be read until a moment."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._sock, self._deadline))


class _Reading(io.RawIOBase):
    # A socket's own limit is for each piece of an answer: an app that sends a byte now and then would
    # keep a reader for days.

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left(self._deadline))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
