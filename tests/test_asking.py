"""Requests to apps that answer oddly: each ends in time, and with no more than so many bytes."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import IncompleteRead

import pytest

from layerlab.errors import LabError
from layerlab.run import asking
from layerlab.run.container import Container

HEAD = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def served(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads a request on each connection, and leaves the rest to ``answer``."""

    def serve(taken: socket.socket) -> None:
        with taken, suppress(OSError):
            taken.recv(1000)
            answer(taken)

    def accept() -> None:
        with suppress(OSError):
            while True:
                taken, _ = server.accept()
                threading.Thread(target=serve, args=(taken,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)


def drip(head: bytes) -> Callable[[socket.socket], None]:
    def answer(taken: socket.socket) -> None:
        taken.sendall(head)
        while True:
            taken.sendall(b"x")
            time.sleep(0.05)

    return answer


@pytest.mark.parametrize("head", [b"", HEAD, HEAD + b"\r\n"], ids=["nothing", "status", "head"])
def test_an_answer_that_drips_ends_in_time(head: bytes) -> None:
    begun = time.monotonic()
    with served(drip(head)) as url, pytest.raises(TimeoutError):
        asking.get(url, "/", 0.2)
    assert time.monotonic() - begun < 2


def test_its_head_is_enough_where_no_more_is_asked_for() -> None:
    with served(drip(HEAD + b"\r\n")) as url:
        assert asking.get(url, "/", 5, most_bytes=0) == asking.Answer(200, b"", whole=False)


@pytest.mark.parametrize("length", [b"", b"content-length: 99999999999\r\n"], ids=["none", "long"])
def test_an_endless_answer_is_not_read_on(length: bytes) -> None:
    def flood(taken: socket.socket) -> None:
        taken.sendall(HEAD + length + b"\r\n")
        while True:
            taken.sendall(b"x" * 65536)

    with served(flood) as url:
        answer = asking.get(url, "/", 5, most_bytes=100_000)
        assert (len(answer.body), answer.whole) == (100_000, False)
        app = Container("name", url)
        with pytest.raises(LabError, match="does not answer /info well: more than 1 MB"):
            app.get("/info")
        assert app.unhealthy() is None


def test_one_that_is_cut_off() -> None:
    with (
        served(lambda taken: taken.sendall(HEAD + b"content-length: 9\r\n\r\nabc")) as url,
        pytest.raises(IncompleteRead),
    ):
        asking.get(url, "/", 5)


def test_a_connection_is_used_again_and_made_anew_where_it_was_closed() -> None:
    connections: list[socket.socket] = []

    def answer(taken: socket.socket) -> None:
        connections.append(taken)
        for _ in range(2):
            taken.sendall(HEAD + b"content-length: 2\r\n\r\nok")
            taken.recv(1000)
        taken.sendall(HEAD + b"connection: close\r\n\r\nbye")

    with served(answer) as url, asking.asking(url) as asker:
        said = [asker.get("/", 5).body for _ in range(4)]
    assert said == [b"ok", b"ok", b"bye", b"ok"]
    assert len(connections) == 2


def test_nobody_listens() -> None:
    with pytest.raises(asking.NoConnection):
        asking.get("http://127.0.0.1:1", "/", 5)


def test_json_that_is_too_deep_is_one_sentence() -> None:
    body = b"[" * 100_000
    head = HEAD + f"content-length: {len(body)}\r\n\r\n".encode()
    with (
        served(lambda taken: taken.sendall(head + body)) as url,
        pytest.raises(LabError, match="does not answer /info well"),
    ):
        Container("name", url).get("/info")
