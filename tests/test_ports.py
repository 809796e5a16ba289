"""A container's port and its errors, without an engine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from layerlab.engine.client import Client
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError, RunLost
from layerlab.run import container, diagnosis, ports
from layerlab.run.ports import PortTaken
from layerlab.run.saving import NoEvents


def test_where_no_port_is_free_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_PORTS", range(port, port + 1))
        with pytest.raises(LabError, match=r"no port from .* can be listened on: Address already"):
            ports.spare_port()


def test_a_port_that_was_taken_meanwhile_is_drawn_anew() -> None:
    tried: list[int] = []

    @contextmanager
    def start(port: int) -> Iterator[int]:
        tried.append(port)
        if len(tried) < 3:
            with ports.taken_told():
                raise LabError("docker run: port is already allocated")
        yield port

    with ports.with_spare_port(start) as port:
        assert port == tried[-1]
    assert len(tried) == 3

    @contextmanager
    def never(port: int) -> Iterator[int]:
        raise PortTaken("taken")
        yield port

    with pytest.raises(PortTaken), ports.with_spare_port(never):
        pytest.fail("it does not start")


@pytest.mark.parametrize(
    ("raised", "said"),
    [(NoEvents("a"), "a\n    log"), (LabError("a"), "a\n    log"), (RunLost("a"), "a")],
)
def test_an_error_keeps_its_class(
    monkeypatch: pytest.MonkeyPatch, raised: LabError, said: str
) -> None:
    monkeypatch.setattr(diagnosis, "log_tail", lambda *_: "\n    log")
    engine = Endpoint("unix:///nowhere", "--engine", Client("docker", {}))
    with pytest.raises(LabError) as error, container.with_log(engine, "name"):
        raise raised
    assert type(error.value) is type(raised)
    assert str(error.value) == said
