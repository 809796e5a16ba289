"""One start of a private engine: its settings, its scripts, its first process."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from layerlab.engine import tls
from layerlab.engine.namespace import Link
from layerlab.engine.root import as_root, write_environ
from layerlab.engine.tools import Tools

SCRIPTS = Path(__file__).parent / "scripts"
PROXIES = ("http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Launch:
    """What an engine is started with."""

    folder: Path
    socket: Path
    #: Where it gets its scripts from; they stay as they are now for as long as it runs.
    scripts: Path
    log: Path
    #: The parent of its control groups.
    cgroup: str
    tools: Tools
    link: Link
    containerd_store: bool
    #: The folder with the certificates with which it answers over TCP, too; None where it does not.
    certificates: Path | None

    def begin(self) -> subprocess.Popen[bytes]:
        """Write what the engine reads and start its first process, which outlives this one."""
        (self.folder / "daemon.json").write_text(json.dumps(self.settings(), indent=2))
        self._write_scripts()
        words = ["env", "-i", f"PATH={self.tools.path}"]
        words += ["unshare", "--mount", "--propagation", "slave"]
        words += ["sh", str(self.scripts / "outer.sh")]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                as_root(words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )

    def environ(self) -> dict[str, str]:
        """The whole environment of the engine and its scripts."""
        environ = {
            "PATH": self.tools.path,
            **self.tools.environ,
            "HOME": str(self.folder),
            "ENGINE_FOLDER": str(self.folder),
            "ENGINE_SCRIPTS": str(self.scripts),
            "ENGINE_LINK": self.link.name,
            "ENGINE_GATEWAY": self.link.gateway,
            "ENGINE_ADDRESS": self.link.address,
            "ENGINE_MTU": str(self.link.mtu),
            "ENGINE_PORTS": "{} {}".format(*self.link.ports),
            # Each RUN would call iptables four times to shield its container from neighbours on
            # the link; this link's only neighbour is the host itself.
            "DOCKER_INSECURE_NO_IPTABLES_RAW": "1",
        }
        proxies = {k: v for k, v in os.environ.items() if k.lower() in PROXIES}
        return environ | proxies  # for pulls

    def settings(self) -> dict[str, object]:
        """The engine's daemon.json (docs.docker.com, "dockerd", daemon configuration file)."""
        special: dict[str, object] = {}
        if self.containerd_store:
            special["features"] = {"containerd-snapshotter": True}
        if self.certificates:
            special |= {
                # On the link's address alone, which only this host reaches.
                "hosts": [f"unix://{self.socket}", f"tcp://{self.link.address}:{tls.PORT}"],
                "tlsverify": True,
                "tlscacert": str(self.certificates / tls.AUTHORITY),
                "tlscert": str(self.certificates / tls.CERTIFICATE),
                "tlskey": str(self.certificates / tls.KEY),
                # The ports of another machine are not on this one's loopback.
                "userland-proxy-path": str(self.tools.proxy),
            }
        return {
            "data-root": str(self.folder / "data"),
            "exec-root": str(self.folder / "exec"),
            "pidfile": str(self.folder / "docker.pid"),
            "hosts": [f"unix://{self.socket}"],
            "group": str(os.getgid()),
            "cgroup-parent": f"/{self.cgroup}",
            # The host's systemd does not know the processes of our process namespace by number.
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "userland-proxy-path": str(self.scripts / "proxy.sh"),
            "mtu": self.link.mtu,
            "builder": {"gc": {"enabled": True, "defaultKeepStorage": "10GB"}},
            "log-driver": "json-file",
            "log-opts": {"max-size": "20m"},
            **special,
        }

    def _write_scripts(self) -> None:
        self.scripts.mkdir()
        for script in SCRIPTS.glob("*.sh"):
            copy = self.scripts / script.name
            copy.write_bytes(script.read_bytes())
            copy.chmod(0o755)
        # Everybody sees command lines, and a proxy's address may hold a password.
        write_environ(self.scripts / "environ", self.environ())
        (self.scripts / "proxy.env").write_text(
            f"ENGINE_FOLDER={quote(str(self.folder))}\n"
            f"ENGINE_ADDRESS={self.link.address}\n"
            f"ENGINE_PROXY={quote(str(self.tools.proxy))}\n"
        )
