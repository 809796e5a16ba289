"""Debian and Ubuntu packages, fetched by the host's own apt and unpacked beside the host.

Nothing is installed: apt runs with lists, cache and sources of its own, and it checks every package
against the signature of the distribution's archive as it does for the host. The mirror is the one
that the host's apt is configured with.
"""

import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from layerlab.engine.command import run
from layerlab.errors import LabError

KEYRINGS = {
    "debian": (
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "/usr/share/keyrings/debian-archive-keyring.pgp",
    ),
    "ubuntu": ("/usr/share/keyrings/ubuntu-archive-keyring.gpg",),
}
COMPONENTS = {"debian": ("main",), "ubuntu": ("main", "universe")}


@dataclass(frozen=True)
class Distribution:
    """The host's distribution, as ``/etc/os-release`` names it."""

    name: str
    codename: str

    @property
    def components(self) -> tuple[str, ...]:
        return COMPONENTS[self.name]

    @property
    def keyring(self) -> Path | None:
        """The archive's keyring; None leaves the choice to apt's trusted keys."""
        return next((Path(path) for path in KEYRINGS[self.name] if Path(path).exists()), None)


@dataclass(frozen=True)
class Archive:
    """A place that packages come from: one mirror and some of its suites."""

    uri: str
    suites: tuple[str, ...]


def this_distribution() -> Distribution | None:
    """The host's distribution where it is Debian or Ubuntu, else None."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return None
    name, codename = release.get("ID", ""), release.get("VERSION_CODENAME", "")
    if name not in COMPONENTS or not codename or shutil.which("apt-get") is None:
        return None
    return Distribution(name, codename)


def parse_archives(index_targets: str, distribution: Distribution) -> list[Archive]:
    """The host's archives of its own release, from ``apt-get indextargets`` output.

    ``index_targets`` has lines of ``Repo-URI|Release|Component|Origin``; apt leaves ``$(ORIGIN)`` as
    it is where it has not fetched an archive's lists. Third-party archives, which our keyring does not
    vouch for, may have the release's name and ``main``, too (PPAs, packages.microsoft.com): they are
    told by their origin, by suites of their own (``bookworm-pgdg``), and on Ubuntu by the lack of
    ``universe``.
    """
    pockets = [distribution.codename + pocket for pocket in ("", "-updates", "-security")]
    components: dict[tuple[str, str], set[str]] = {}
    for line in index_targets.splitlines():
        uri, release, component, origin = (*line.split("|"), "", "", "", "")[:4]
        own = origin.startswith("$(") or origin.lower() in ("", distribution.name)
        if uri and own and release in pockets:
            components.setdefault((uri, release), set()).add(component)
    suites: dict[str, list[str]] = {}
    for (uri, release), found in components.items():
        if found.issuperset(distribution.components):
            suites.setdefault(uri, []).append(release)
    return [Archive(uri, tuple(names)) for uri, names in suites.items()]


def host_archives(distribution: Distribution) -> list[Archive]:
    """The archives of the host's release that its apt is configured with, the main one first.

    Raises:
        LabError: the host's apt names no archive of its own release.
    """
    # A fresh machine's apt has fetched no lists; it then names its sources only on this wish, and
    # with it never their origin.
    listing = _index_targets() or _index_targets("-o", "APT::Get::IndexTargets::ReleaseInfo=false")
    archives = parse_archives(listing, distribution)
    if not any(distribution.codename in archive.suites for archive in archives):
        raise LabError(
            f"this machine's apt names no package source for {distribution.name} "
            f"{distribution.codename}: add one to /etc/apt/sources.list.d, or install Docker Engine"
        )
    return sorted(archives, key=lambda archive: distribution.codename not in archive.suites)


def _index_targets(*options: str) -> str:
    return run(
        [
            "apt-get",
            *options,
            "indextargets",
            "--format",
            "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)",
            "Created-By: Packages",
        ],
        doing="reading the host's package sources",
    )


class Apt:
    """The host's apt with sources, lists and cache of its own in ``folder``."""

    def __init__(self, folder: Path, distribution: Distribution, archives: list[Archive]) -> None:
        self.folder = folder
        self.sources = folder / "archives.sources"
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self.sources.write_text(
            "\n".join(self._stanza(archive, distribution) for archive in archives)
        )

    @staticmethod
    def _stanza(archive: Archive, distribution: Distribution) -> str:
        lines = [
            "Types: deb",
            f"URIs: {archive.uri}",
            f"Suites: {' '.join(archive.suites)}",
            f"Components: {' '.join(distribution.components)}",
        ]
        if distribution.keyring:
            lines.append(f"Signed-By: {distribution.keyring}")
        return "\n".join(lines) + "\n"

    def _options(self) -> list[str]:
        settings = {
            "Dir::Etc::sourcelist": self.sources,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": self.folder / "lists",
            "Dir::Cache": self.folder / "cache",
            # Only the index of packages is read; translations and icons are megabytes more.
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
            "Acquire::Retries": "3",
            # Whatever the host's own apt is told: what the archive's key does not vouch for is refused.
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            # Nothing of dpkg's is changed, so its lock, which only root may take, is not needed.
            "Debug::NoLocking": "true",
            # apt's sandbox user cannot enter a home folder that is closed to others.
            "APT::Sandbox::User": "root",
        }
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

    def update(self) -> None:
        """Fetch the signed lists of packages."""
        run(
            ["apt-get", *self._options(), "-q", "update"],
            doing="fetching the lists of packages",
            environ={**os.environ, "LC_ALL": "C"},
        )

    def download(self, packages: list[str]) -> list[Path]:
        """Fetch just these packages, without what they depend on."""
        # An empty folder each time: apt leaves a file that is there already as it is, unchecked.
        target = Path(tempfile.mkdtemp(prefix="debs-", dir=self.folder))
        run(
            ["apt-get", *self._options(), "-q", "download", *packages],
            doing=f"fetching {', '.join(packages)}",
            cwd=target,
        )
        return sorted(target.glob("*.deb"))

    def download_missing(self, packages: list[str]) -> list[Path]:
        """Fetch these packages and what they need, less what this host has installed already."""
        run(
            [
                "apt-get",
                *self._options(),
                "-q",
                "install",
                "--yes",
                "--download-only",
                "--no-install-recommends",
                *packages,
            ],
            doing=f"fetching {', '.join(packages)}",
            environ={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        )
        return sorted((self.folder / "cache/archives").glob("*.deb"))


def unpack(packages: list[Path], root: Path) -> None:
    """Unpack packages' files below ``root``; no script of theirs is run."""
    root.mkdir(parents=True, exist_ok=True)
    for package in packages:
        run(["dpkg", "-x", package, root], doing=f"unpacking {package.name}")
