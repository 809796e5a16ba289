"""Engines for a while: empty, beside others, gone with what they held; also when their run is killed."""

import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from layerlab.engine import fresh, relay
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.root import as_root
from layerlab.errors import LabError

pytestmark = pytest.mark.engine
ASKING = """
import socket
with socket.create_connection(("127.0.0.1", 5000)) as one:
    one.sendall(b"ping")
    print(one.recv(9).decode(), end="")
"""
KILLED = """
import sys, time
from layerlab.engine import fresh
with fresh.engine("test-killed", "overlay2", lambda _: None) as one:
    print(one.process(), flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _beside_our_own(endpoint: Endpoint) -> None:
    if not endpoint.private:
        pytest.skip("such engines are started beside layerlab's own one only")


def test_it_is_empty_and_gone_afterwards() -> None:
    with fresh.engine("test-fresh", "overlay2", lambda _: None) as one:
        client = one.endpoint().connect()
        assert client.images.list() == []
        client.volumes.create("kept-by-nobody")
        client.close()
        assert fresh.remove_dead() == []  # this one lives
        process = one.process()
    assert process is not None
    assert not one.folder.exists()
    assert one.process() is None
    with fresh.engine("test-fresh", "overlay2", lambda _: None) as again:
        client = again.endpoint().connect()
        assert client.volumes.list() == []
        client.close()


def test_that_of_a_killed_run_is_removed() -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline().strip().isdigit()
        run.kill()
    assert fresh.remove_dead() == ["engine test-killed-newest-overlay2"]
    assert fresh.remove_dead() == []


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_what_a_port_carried_is_closed(endpoint: Endpoint) -> None:
    with (
        fresh.engine("test-relay", "overlay2", lambda _: None) as one,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        pid = one.process()
        before = descriptors()
        with relay.leading(one, 5000, ("127.0.0.1", server.getsockname()[1])):
            for _ in range(20):
                words = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", ASKING]
                with subprocess.Popen(as_root(words), stdout=subprocess.PIPE) as asking:
                    far, _ = server.accept()
                    with far:
                        assert far.recv(9) == b"ping"
                        far.sendall(b"pong")
                    assert asking.stdout is not None
                    assert asking.stdout.read() == b"pong"
            # The last one may still be open for a moment, beside the port itself.
            assert descriptors() <= before + 3
        assert descriptors() == before


def test_a_port_leads_out_of_an_engine(endpoint: Endpoint) -> None:
    with (
        fresh.engine("test-relay", "overlay2", lambda _: None) as one,
        relay.leading(one, 5000, ("127.0.0.1", 1)),
    ):
        with (
            pytest.raises(LabError, match=r"port 5000 can't be opened in the engine.*\n.*in use"),
            relay.leading(one, 5000, ("127.0.0.1", 1)),
        ):
            pytest.fail("the port is taken")
        # It is open in that engine's network alone.
        with pytest.raises(httpx.ConnectError):
            httpx.get("http://127.0.0.1:5000/", trust_env=False)
    with pytest.raises(LabError, match="does not run"), relay.leading(one, 5000, ("127.0.0.1", 1)):
        pytest.fail("the engine is gone")
