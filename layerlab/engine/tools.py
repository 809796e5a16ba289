"""The private engine's programs: signed packages, unpacked into one folder, nothing installed."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from layerlab.engine.client import Client
from layerlab.engine.lock import exclusive
from layerlab.engine.packages import Apt, Archive, Distribution, host_archives, unpack
from layerlab.engine.root import as_root
from layerlab.errors import LabError

# Debian's stable releases carry an engine that is too old to build with buildx; the next release's
# Go programs run on them (they ask for libc 2.34). Its runc does not: that comes from the host's.
NEWER_SUITE = {"bookworm": "forky", "trixie": "forky"}
ENGINE_PACKAGES = {
    "debian": [
        "docker.io",
        "docker-cli",
        "docker-buildx",
        "docker-compose",
        "containerd",
        "tini-static",
    ],
    "ubuntu": ["docker.io", "docker-buildx", "docker-compose-v2", "containerd"],
}
HOST_PACKAGES = ["runc", "iptables", "iproute2"]
# Of an older engine only the engine is taken. Everything around it, the client too, is the newest's:
# bookworm has no buildx and a Compose of version 1.
OLDER_PACKAGES = ["docker.io", "containerd"]
#: What a suite's engine is linked with and not every host has.
LIBRARIES = {"bookworm": ["libdevmapper1.02.1"]}
IPTABLES = [
    f"{family}tables{action}" for family in ("ip", "ip6") for action in ("", "-save", "-restore")
]


@dataclass(frozen=True)
class Tools:
    """The unpacked programs below ``folder``: a client, helpers, and one engine or several."""

    folder: Path
    #: The Debian suite whose engine is meant; None is the newest engine that this host can have.
    suite: str | None = None

    @property
    def engine(self) -> Path:
        """The engine's own packages."""
        return self.folder / (f"engine-{self.suite}" if self.suite else "engine")

    @property
    def programs(self) -> Path:
        """Wrappers for the host suite's programs, and links."""
        return self.folder / "bin"

    @property
    def client_folder(self) -> Path:
        """Holds ``docker`` alone, so that a user's PATH gains nothing else."""
        return self.folder / "client"

    @property
    def config(self) -> Path:
        """The client's configuration folder (DOCKER_CONFIG), with the plugins."""
        return self.folder / "config"

    @property
    def proxy(self) -> Path:
        """The engine's own program for published ports."""
        return self.engine / "usr/sbin/docker-proxy"

    @property
    def path(self) -> str:
        """The PATH on which the engine and its helpers find each other."""
        own = [self.programs, self.engine / "usr/sbin", self.engine / "usr/bin"]
        system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        return os.pathsep.join([*map(str, own), *system])

    @property
    def environ(self) -> dict[str, str]:
        """What an older engine needs to find the libraries that this host lacks."""
        found = _libraries(self.engine) if self.suite else []
        return {"LD_LIBRARY_PATH": os.pathsep.join(found)} if found else {}

    @property
    def client(self) -> Client:
        """The docker client that belongs to these tools, whichever engine they are for."""
        return Client(str(self.client_folder / "docker"), {"DOCKER_CONFIG": str(self.config)})

    @property
    def complete(self) -> bool:
        """Whether everything was unpacked (stamp and older engine appear when all of it is there)."""
        return (self.folder / "complete").exists() and self.engine.exists()


def engine_archives(distribution: Distribution, archives: list[Archive]) -> list[Archive]:
    """Where the newest engine's packages come from: the host's suites, or a newer one beside them."""
    newer = NEWER_SUITE.get(distribution.codename)
    return [Archive(archives[0].uri, (newer,))] if newer else archives


def prepare(tools: Tools, distribution: Distribution, progress: Callable[[str], None]) -> None:
    """Fetch, verify and unpack the programs, once; engines that share them wait for each other.

    Raises:
        LabError: the mirror does not answer, a signature is wrong, a package is missing, or
            another suite's engine is asked for where there is no Debian mirror.
    """
    if tools.complete:
        return
    busy = "waiting for another private engine that fetches the same packages"
    with exclusive(tools.folder.with_suffix(".lock"), progress, busy):
        if not (tools.folder / "complete").exists():
            _prepare_newest(tools, distribution, progress)
        if tools.suite and not tools.engine.exists():
            _prepare_older(tools, tools.suite, distribution, progress)


def _prepare_newest(
    tools: Tools, distribution: Distribution, progress: Callable[[str], None]
) -> None:
    shutil.rmtree(tools.folder, ignore_errors=True)
    archives = host_archives(distribution)
    progress("fetching the engine's signed packages")
    engine = Apt(tools.folder / "apt-engine", distribution, engine_archives(distribution, archives))
    engine.update()
    unpack(engine.download(ENGINE_PACKAGES[distribution.name]), tools.folder / "engine")
    progress("fetching the helpers that this machine lacks")
    host = Apt(tools.folder / "apt-host", distribution, archives)
    host.update()
    unpack(host.download_missing(HOST_PACKAGES), tools.folder / "host")
    _link(tools)
    for apt in ("apt-engine", "apt-host"):
        shutil.rmtree(tools.folder / apt)
    (tools.folder / "complete").touch()


def _prepare_older(
    tools: Tools, suite: str, distribution: Distribution, progress: Callable[[str], None]
) -> None:
    if distribution.name != "debian":
        raise LabError(
            f"the engine of Debian {suite} comes from a Debian mirror, and this machine's apt names "
            f"those of {distribution.name}: use the newest engine"
        )
    progress(f"fetching the signed packages of Debian {suite}'s engine")
    work = tools.folder / f"work-{suite}"
    shutil.rmtree(work, ignore_errors=True)
    mirror = host_archives(distribution)[0].uri
    apt = Apt(work / "apt", distribution, [Archive(mirror, (suite,))])
    apt.update()
    packages = apt.download(OLDER_PACKAGES)
    if libraries := LIBRARIES.get(suite):
        packages += apt.download_missing(libraries)
    unpack(packages, work / "engine")
    (work / "engine").rename(tools.engine)
    shutil.rmtree(work)


def _libraries(root: Path) -> list[str]:
    """The library folders among unpacked packages."""
    tops = (root / "usr/lib", root / "lib")
    return [str(folder) for top in tops for folder in sorted(top.glob("*-linux-gnu*"))]


def _link(tools: Tools) -> None:
    host, engine = tools.folder / "host", tools.folder / "engine"
    tools.programs.mkdir()
    libraries = _libraries(host)
    for program in [*(host / "usr/sbin").glob("*"), *(host / "usr/bin").glob("*")]:
        _wrap(tools.programs / program.name, program, libraries)
    # iproute2 keeps `ip` in /bin on releases before the merged /usr.
    for program in [*(host / "bin").glob("*"), *(host / "sbin").glob("*")]:
        if not (tools.programs / program.name).exists():
            _wrap(tools.programs / program.name, program, libraries)
    _link_iptables(tools, libraries)
    for init in ("tini-static", "docker-init"):  # Debian's name and Ubuntu's
        if (engine / "usr/bin" / init).exists():
            (tools.programs / "docker-init").symlink_to(engine / "usr/bin" / init)
            break
    tools.client_folder.mkdir()
    (tools.client_folder / "docker").symlink_to(engine / "usr/bin/docker")
    plugins = tools.config / "cli-plugins"
    plugins.mkdir(parents=True)
    for plugin in engine.glob("usr/lib*/docker/cli-plugins/docker-*"):
        (plugins / plugin.name).symlink_to(plugin)
    missing = {"docker-buildx", "docker-compose"} - {link.name for link in plugins.iterdir()}
    if missing:
        raise LabError(f"the engine's packages lack {', '.join(sorted(missing))}: install Docker")


def _link_iptables(tools: Tools, libraries: list[str]) -> None:
    """iptables under its usual names, on the packet filter that this kernel has."""
    for kind in ("nft", "legacy"):
        program = tools.folder / f"host/usr/sbin/xtables-{kind}-multi"
        if not program.exists():
            return  # The host has iptables installed; its own is on the PATH.
        for name in IPTABLES:
            (tools.programs / name).unlink(missing_ok=True)
            _wrap(tools.programs / name, program, libraries, name)
        listing = as_root([tools.programs / "iptables", "-t", "nat", "-S"])
        if subprocess.run(listing, capture_output=True, check=False).returncode == 0:
            return


def _wrap(wrapper: Path, program: Path, libraries: list[str], *words: str) -> None:
    """A wrapper in whose process alone the unpacked libraries are found."""
    modules = next((f"{folder}/xtables" for folder in libraries if "usr/lib" in folder), "")
    wrapper.write_text(
        "#!/bin/sh\n"
        f"export LD_LIBRARY_PATH={quote(':'.join(libraries))} XTABLES_LIBDIR={quote(modules)}\n"
        f'exec {quote(str(program))} {" ".join(words)} "$@"\n'
    )
    wrapper.chmod(0o755)
