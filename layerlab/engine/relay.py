"""A port on a private engine's own loopback that leads to what this machine can reach.

An engine in a network namespace of its own sees neither this machine's loopback nor another engine's. The
port is opened in its namespace by a helper that hands the open socket to this process, which does the rest
from here: no route, no packet filter and no setting of the engine is touched.
"""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from layerlab.engine.command import last_lines
from layerlab.engine.private import PrivateEngine
from layerlab.engine.root import as_root
from layerlab.errors import LabError

HELPER_SECONDS = 20
END_SECONDS = 5
#: Between two tries to accept, where this machine has no descriptor left.
PAUSE_SECONDS = 0.05
PIECE = 1 << 18
#: Runs in the engine's network namespace, as root.
_HELPER = """
import socket, sys
opened = socket.create_server(("127.0.0.1", int(sys.argv[2])))
with socket.socket(socket.AF_UNIX) as asking:
    asking.connect(sys.argv[1])
    socket.send_fds(asking, [b"."], [opened.fileno()])
"""


@contextmanager
def leading(engine: PrivateEngine, port: int, target: tuple[str, int]) -> Iterator[None]:
    """Have ``127.0.0.1:port``, as ``engine`` sees it, lead to ``target`` as this machine sees it.

    Raises:
        LabError: the engine does not run, or the port is taken there.
    """
    inside = _opened(engine, port)
    closing = Event()
    connections: list[_Connection] = []
    thread = Thread(target=_accept, args=(inside, target, closing, connections), daemon=True)
    thread.start()
    try:
        yield
    finally:
        closing.set()
        _shut(inside)
        thread.join(END_SECONDS)
        inside.close()
        for one in connections:
            one.end()


def _opened(engine: PrivateEngine, port: int) -> socket.socket:
    pid = engine.process()
    if pid is None:
        raise LabError(f"the engine at {engine.socket} does not run")
    with ExitStack() as stack:
        # Beside the engine, and removed with it should this process be killed.
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=engine.folder))
        path = str(Path(folder) / "socket")
        waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
        waiting.bind(path)
        waiting.listen(1)
        waiting.settimeout(HELPER_SECONDS)
        words = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-I", "-c", _HELPER]
        try:
            done = subprocess.run(
                as_root([*words, path, str(port)]),
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=HELPER_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"opening port {port} in an engine took too long") from error
        if done.returncode != 0:
            raise LabError(
                f"port {port} can't be opened in the engine at {engine.socket}:"
                f"{last_lines(done.stderr, 1)}"
            )
        handing = stack.enter_context(waiting.accept()[0])
        _, (descriptor, *_), _, _ = socket.recv_fds(handing, 1, 1)
    return socket.socket(fileno=descriptor)


class _Connection:
    """One connection, carried both ways; both of its ends are closed when both ways are done."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self._ends = (near, far)
        self._thread = Thread(target=self._carry, daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def end(self) -> None:
        for one in self._ends:
            _shut(one)
        self._thread.join(END_SECONDS)

    def _carry(self) -> None:
        near, far = self._ends
        with near, far:
            back = Thread(target=_copy, args=(far, near), daemon=True)
            back.start()
            _copy(near, far)
            back.join()


def _accept(
    inside: socket.socket, target: tuple[str, int], closing: Event, connections: list[_Connection]
) -> None:
    while not closing.is_set():
        try:
            near, _ = inside.accept()
        except OSError:
            closing.wait(PAUSE_SECONDS)
            continue
        try:
            far = socket.create_connection(target, timeout=HELPER_SECONDS)
        except OSError:
            near.close()
            continue
        far.settimeout(None)
        connections[:] = [one for one in connections if not one.over]
        connections.append(_Connection(near, far))


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _shut(one: socket.socket) -> None:
    """End what waits on a socket, in whichever thread."""
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
