"""Who may come in: nobody but the owner, from nowhere but this machine; what each user can see of it."""

import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from layerlab.engine import bases
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.namespace import Link
from layerlab.engine.private import PrivateEngine, private_engine
from layerlab.folders import cache_folder
from layerlab.run import registry
from layerlab.run.diagnosis import listening

NOBODY = 65534
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(os.geteuid() != 0, reason="looks as another user and as a neighbour: root"),
]


@pytest.fixture
def engine(endpoint: Endpoint) -> PrivateEngine:
    own = private_engine()
    if endpoint.host != own.endpoint().host:
        pytest.skip("the session's engine is not a private one")
    return own


def as_nobody(text: str, *words: str | Path) -> str:
    """What a Python program of another user prints."""
    program = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    # The interpreter may be in a folder that is closed to others.
    return subprocess.run(
        [*program, "/usr/bin/python3", "-I", "-c", textwrap.dedent(text), *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    ).stdout.strip()


def published(endpoint: Endpoint, run: Run, image: str, publish: str) -> tuple[str, int]:
    """A container that answers, and its port: the name, and the port on the host."""
    serve = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8000)"
    words = ["run", "--detach", "--publish", publish, *run.label_words, image]
    name = endpoint.run(*words, "python3", "-c", serve, doing="serving").strip()
    port = endpoint.run("port", name, "8000/tcp", doing="asking for the port")
    return name, int(port.split()[0].rpartition(":")[2])


def link_of(engine: PrivateEngine) -> Link:
    return Link(**json.loads((engine.folder / "link.json").read_text()))


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


def test_the_socket_is_for_its_owner_alone(engine: PrivateEngine) -> None:
    connecting = """
        import socket, sys
        try:
            socket.socket(socket.AF_UNIX).connect(sys.argv[1])
        except OSError as error:
            print(type(error).__name__)
    """
    sockets = [path for path in engine.folder.rglob("*.sock*") if path.is_socket()]
    assert engine.socket in sockets
    assert any("containerd" in path.name for path in sockets)
    for path in sockets:
        assert as_nobody(connecting, path) == "PermissionError"
    assert engine.socket.stat().st_mode & 0o777 == 0o600


def test_nothing_of_the_cache_can_be_read_by_others(engine: PrivateEngine, run: Run) -> None:
    listing = """
        import os, sys
        for path in sys.argv[1:]:
            try:
                print(os.listdir(path))
            except OSError as error:
                print(type(error).__name__)
    """
    folders = (cache_folder(), engine.folder, engine.folder / "run", run.folder)
    assert as_nobody(listing, *folders).split() == ["PermissionError"] * len(folders)
    assert (engine.folder / "run/environ").stat().st_mode & 0o777 == 0o600


def sockets_of(pid: int | str) -> set[tuple[str, int]]:
    """What listens in the network of a process."""
    tables = [Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6")]
    return {
        (one.address, one.port)
        for table in tables
        if table.exists()
        for one in listening(table.read_text())
    }


def test_nothing_listens_on_a_public_address(
    engine: PrivateEngine, endpoint: Endpoint, run: Run, slim: str
) -> None:
    before = sockets_of("self")
    [base] = bases.ensure(endpoint, [registry.IMAGE], standins=False, progress=lambda _: None)
    names = []
    ports = []
    # The second is how people publish who do not think of it.
    for publish in ("127.0.0.1::8000", "8000"):
        name, port = published(endpoint, run, slim, publish)
        names.append(name)
        ports.append(port)
    with registry.serving(endpoint, run, base.reference) as serving:
        ports.append(serving.port)
        for port in ports:
            assert until(lambda port=port: answers("127.0.0.1", port))  # type: ignore[misc]
        opened = sockets_of("self") - before
    assert {(address, port) for address, port in opened if port in ports} == {
        ("127.0.0.1", port) for port in ports
    }
    assert {address for address, _ in opened} <= {"127.0.0.1", "::1"}
    for name in names:
        endpoint.run("rm", "--force", name, doing="ending it")


@contextmanager
def neighbour(engine: PrivateEngine) -> Iterator[tuple[str, Callable[[str, int], bool]]]:
    """A machine beside this one, to which this one is the way to all of 198.18.0.0/15.

    Gives this host's address on their network, and what tells whether a port answers from there.
    """
    own = engine.tools.programs / "ip"
    ip = str(own if own.exists() else "ip")
    there = subprocess.Popen(["unshare", "--net", "sleep", "300"])
    enter = ["nsenter", f"--net=/proc/{there.pid}/ns/net"]

    def do(*words: str) -> None:
        subprocess.run([ip, *words], check=True)

    def do_there(*words: str) -> None:
        subprocess.run([*enter, ip, *words], check=True)

    def reaches(address: str, port: int) -> bool:
        text = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)"
        words = [*enter, sys.executable, "-I", "-c", text, address, str(port)]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    network = Path(f"/proc/{there.pid}/ns/net")
    try:
        assert until(lambda: network.readlink() != Path("/proc/self/ns/net").readlink())
        do(
            *["link", "add", "beside0", "type", "veth", "peer", "name", "eth0", "netns"],
            str(there.pid),
        )
        do("addr", "add", "203.0.113.1/30", "dev", "beside0")
        do("link", "set", "beside0", "up")
        do_there("addr", "add", "203.0.113.2/30", "dev", "eth0")
        do_there("link", "set", "eth0", "up")
        do_there("route", "add", "default", "via", "203.0.113.1")
        yield "203.0.113.1", reaches
    finally:
        there.kill()
        there.wait()
        subprocess.run([ip, "link", "del", "beside0"], capture_output=True, check=False)


def test_a_neighbour_on_the_network_reaches_nothing_of_it(
    engine: PrivateEngine, endpoint: Endpoint, run: Run, slim: str
) -> None:
    """This machine forwards packets for the engine, so a neighbour may send it some for there."""
    link = link_of(engine)
    with neighbour(engine) as (here, reaches), socket.create_server((here, 0)) as control:
        assert reaches(here, control.getsockname()[1])  # so the way is there
        for publish in ("127.0.0.1::8000", "8000"):
            name, port = published(endpoint, run, slim, publish)
            assert until(lambda port=port: answers("127.0.0.1", port))  # type: ignore[misc]
            for address in (here, link.gateway, link.address):
                assert not reaches(address, port), f"{address}:{port}, published by {publish}"
            endpoint.run("rm", "--force", name, doing="ending it")


def test_a_container_reaches_what_it_asks_for(
    engine: PrivateEngine, endpoint: Endpoint, run: Run, slim: str
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        gateway = link_of(engine).gateway
        text = f"import socket; socket.create_connection(('{gateway}', {port}), 5)"
        words = ["run", "--rm", *run.label_words, slim, "python3", "-c", text]
        endpoint.run(*words, doing="asking this host from a container")


def test_no_command_line_shows_a_password(
    engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every user can read /proc/PID/cmdline: all of them are watched while an engine starts."""
    monkeypatch.setenv("http_proxy", "http://user:hunter2-canary@127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "localhost")
    folder = Path(f"/tmp/layerlab-watched-{os.getpid()}")
    folder.mkdir(mode=0o700)
    own = PrivateEngine(folder / "engine", engine.tools)
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = file.read_bytes()
                except OSError:
                    continue
                if b"hunter2-canary" in words or str(own.scripts).encode() in words:
                    seen.add(words.replace(b"\0", b" ").decode(errors="replace"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        own.start(lambda _: None)
        said = Path(f"/proc/{own.process()}/environ").read_bytes()
    finally:
        over.set()
        thread.join()
        own.remove()
        folder.rmdir()
    assert any(str(own.scripts) in words for words in seen)
    assert not [words for words in seen if "hunter2-canary" in words]
    assert b"hunter2-canary" in said  # the engine itself has it, for pulls
