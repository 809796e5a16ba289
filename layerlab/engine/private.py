"""Our own private engine: unpacked, started and stopped beside whatever else the host runs.

It lives in network, process and mount namespaces of its own. Nothing on the host is replaced and
nothing listens on TCP; its socket is for its owner alone; what its containers publish answers on
the host's loopback. When its first process ends, the kernel ends all that it ever started.

One with ``over_tls`` is as an engine of another machine: it answers on its own address, too, to who has
its client's certificate, and what its containers publish answers there alone.
"""

import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from layerlab.engine import certificates, tls
from layerlab.engine.command import last_lines, run
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.launch import Launch
from layerlab.engine.lock import exclusive
from layerlab.engine.namespace import PREFIX, Link, close_link, is_up, open_link, plan
from layerlab.engine.packages import this_distribution
from layerlab.engine.process import children, comes_true, order
from layerlab.engine.root import as_root, can_be_root
from layerlab.engine.tools import Tools, prepare
from layerlab.errors import LabError
from layerlab.folders import cache_folder

START_SECONDS = 60
STOP_SECONDS = 30
#: The kernel's limit for a Unix socket's path, less the longest that the engine adds to its folder.
LONGEST_FOLDER = 107 - len("/exec/containerd/containerd-debug.sock")


def lacking() -> str | None:
    """What this machine lacks to run a private engine, as a clause; None when it lacks nothing."""
    if sys.platform != "linux":
        return "a private engine needs Linux; install Docker Desktop"
    if this_distribution() is None:
        return "a private engine needs Debian or Ubuntu; install Docker Engine and buildx"
    if not can_be_root():
        return (
            "a private engine needs root; run as root, allow `sudo` without a password, or install "
            "Docker Engine and buildx"
        )
    return None


@dataclass(frozen=True)
class PrivateEngine:
    """The engine whose files are below ``folder``."""

    folder: Path
    #: Programs that it shares with other engines; None gives it the newest ones for itself.
    shared: Tools | None = None
    #: Keep images in the containerd image store (Engine 24 or newer), not in the classic one.
    containerd_store: bool = False
    #: Be reached as an engine of another machine is; see :meth:`from_afar`.
    over_tls: bool = False

    @property
    def tools(self) -> Tools:
        return self.shared or Tools(self.folder / "tools")

    @property
    def socket(self) -> Path:
        return self.folder / "docker.sock"

    @property
    def scripts(self) -> Path:
        """The start scripts as they were when the engine started; a checkout may move or change."""
        return self.folder / "run"

    @property
    def tls_folder(self) -> Path:
        """Those of one with ``over_tls``, while it runs, as :func:`layerlab.engine.certificates.make` has them."""
        return self.folder / "tls"

    @property
    def cgroup(self) -> str:
        """The parent of the control groups of all that runs in this engine."""
        return f"layerlab-{hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]}"

    @property
    def running(self) -> bool:
        """Whether the engine lives and answers."""
        return self.process() is not None and self.answers()

    @property
    def log(self) -> Path:
        return self.folder / "engine.log"

    def endpoint(self, origin: str = "private engine") -> Endpoint:
        """How to reach this engine; it need not be running."""
        return Endpoint(f"unix://{self.socket}", origin, self.tools.client, private=True)

    def from_afar(self) -> Endpoint:
        """How to reach one with ``over_tls`` over TCP: to layerlab an engine like any other of another machine.

        Raises:
            LabError: it does not run, or was started without.
        """
        link = self.link()
        if link is None or not self.tls_folder.exists():
            raise LabError(
                f"the engine in {self.folder} does not answer over TCP: start it with TLS"
            )
        variables = {tls.VERIFY: "1", tls.FOLDER: str(self.tls_folder / "client")}
        host = f"tcp://{link.address}:{tls.PORT}"
        return Endpoint(host, "private engine over TLS", self.tools.client, variables)

    def link(self) -> Link | None:
        """Its link to the host's network, None where it has none: it does not run."""
        try:
            return Link(**json.loads((self.folder / "link.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def process(self) -> int | None:
        """The process that holds the engine's namespaces, or None when the engine is dead."""
        try:
            pid = int((self.folder / "pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        # A stale file may name a process that has nothing to do with us.
        ours = os.fsencode(self.scripts / "inner.sh") in words
        return pid if ours else None

    def answers(self) -> bool:
        """Whether the engine answers on its socket, and its containerd answers the engine.

        dockerd goes on without a containerd that was killed, and then fails every build and run;
        what shows it is that ``/version`` no longer lists the component.
        """
        try:
            transport = httpx.HTTPTransport(uds=str(self.socket))
            with httpx.Client(transport=transport, timeout=5) as client:
                components = client.get("http://engine/version").json()["Components"]
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        return any(component["Name"] == "containerd" for component in components)

    def start(self, progress: Callable[[str], None]) -> Endpoint:
        """Have the engine running: unpack, start or restart it, whatever it takes.

        Raises:
            LabError: this machine can't have one, or it does not start (with its last log lines).
        """
        if self.running:
            return self.reached()
        if lack := lacking():
            raise LabError(lack)
        if len(os.fsencode(self.folder)) > LONGEST_FOLDER:
            raise LabError(
                f"the folder {self.folder} is too long for the engine's sockets "
                f"(at most {LONGEST_FOLDER} bytes): set XDG_CACHE_HOME to a shorter one"
            )
        with self._alone(progress):
            if not self.running:
                distribution = this_distribution()
                assert distribution is not None  # lacking() has seen to it
                prepare(self.tools, distribution, progress)
                self._end()
                progress("starting the private engine")
                self._launch(progress)
        return self.reached()

    def reached(self) -> Endpoint:
        """How runs reach it while it runs.

        Raises:
            LabError: one with ``over_tls`` does not run.
        """
        return self.from_afar() if self.over_tls else self.endpoint()

    def stop(self) -> None:
        """Stop the engine with all its containers; images, volumes and the build cache stay."""
        if self.folder.exists():
            with self._alone(lambda _: None):
                self._end()

    def remove(self) -> None:
        """Stop the engine and delete all in its folder; programs that it shares stay."""
        if not self.folder.exists():
            return
        with self._alone(lambda _: None):
            self._end()
            run(as_root(["rm", "-rf", "--", self.folder]), doing="removing the private engine")

    def _alone(self, progress: Callable[[str], None]) -> AbstractContextManager[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        busy = "waiting for another run that is starting the private engine"
        return exclusive(self.folder / "lock", progress, busy)

    def _end(self) -> None:
        """End the engine if it lives, and take away what it left on the host."""
        if pid := self.process():
            # tini passes TERM on to dockerd, which stops its containers; should that take too
            # long, killing the outer process makes the kernel end everything inside.
            for child in children(pid):
                order(child, signal.SIGTERM)
            if not comes_true(lambda: self.process() is None, STOP_SECONDS):
                order(pid, signal.SIGKILL)
                comes_true(lambda: self.process() is None, STOP_SECONDS)
        if link := self.link():
            close_link(self.tools, link)
        files = ("pid", "docker.pid", "docker.sock", "hostnet", "link.json", "exec", "run", "tls")
        leftovers = [self.folder / name for name in files]
        run(as_root(["rm", "-rf", "--", *leftovers]), doing="clearing a dead engine's files")
        # The control groups of what ran in it; only empty ones can go.
        groups = f"find /sys/fs/cgroup -depth -type d -path '*/{self.cgroup}*' -exec rmdir {{}} +"
        subprocess.run(as_root(["sh", "-c", groups]), capture_output=True, check=False)

    def _launch(self, progress: Callable[[str], None]) -> None:
        # Until its link is up, an engine's network looks free to the next one.
        busy = "waiting for another private engine that is being linked to the network"
        with exclusive(cache_folder() / "links.lock", progress, busy):
            link = plan(self.tools, f"{PREFIX}{secrets.token_hex(4)}")
            (self.folder / "link.json").write_text(json.dumps(asdict(link)))
            open_link(self.tools, link)
            if self.over_tls:
                certificates.make(self.tls_folder, link.address)
            launched = Launch(
                self.folder,
                self.socket,
                self.scripts,
                self.log,
                self.cgroup,
                self.tools,
                link,
                self.containerd_store,
                self.tls_folder / "server" if self.over_tls else None,
            ).begin()
            comes_true(
                lambda: launched.poll() is not None or is_up(self.tools, link), START_SECONDS
            )
        ready = comes_true(lambda: launched.poll() is not None or self.answers(), START_SECONDS)
        if not ready or launched.poll() is not None:
            tail = last_lines(self.log.read_text(errors="replace"))
            self._end()
            raise LabError(f"the private engine did not start; its last lines:{tail}")
        if os.geteuid() != 0:
            run(
                as_root(["chown", str(os.getuid()), self.socket]),
                doing="handing the engine's socket to this user",
            )
        run(as_root(["chmod", "600", self.socket]), doing="closing the engine's socket to others")


def private_engine() -> PrivateEngine:
    """This user's private engine; it need not exist yet."""
    return PrivateEngine(cache_folder() / "engine")
