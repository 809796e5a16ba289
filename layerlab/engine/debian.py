"""Debian bookworm's root file system, made from signed packages: what every stand-in stands on."""

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from layerlab.engine.command import run
from layerlab.engine.packages import (
    Apt,
    Archive,
    Distribution,
    host_archives,
    this_distribution,
    unpack,
)
from layerlab.engine.root import as_root, can_be_root, write_environ
from layerlab.errors import LabError

SUITE = "bookworm"
# The keyring's place in bookworm, whatever it is called on this machine.
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
#: Certificate authorities that this machine's owner added; the image trusts them, too.
AUTHORITIES = Path("/usr/local/share/ca-certificates")


def debian_archives(distribution: Distribution, archives: Sequence[Archive]) -> list[Archive]:
    """Bookworm's archives on the mirrors of a Debian host of any release."""

    def renamed(suite: str) -> str:
        return SUITE + suite.removeprefix(distribution.codename)

    return [
        Archive(archive.uri, tuple(renamed(suite) for suite in archive.suites))
        for archive in archives
    ]


def sources(archives: Sequence[Archive], keyring: str | Path) -> str:
    """The archives as apt's deb822 sources."""
    return "\n".join(
        f"Types: deb\nURIs: {archive.uri}\nSuites: {' '.join(archive.suites)}\n"
        f"Components: main\nSigned-By: {keyring}\n"
        for archive in archives
    )


@cache
def bookworm() -> tuple[Archive, ...]:
    """Where this host's apt would find Debian bookworm.

    Raises:
        LabError: the host is not Debian, so nothing here names a Debian mirror.
    """
    distribution = this_distribution()
    if distribution is None or distribution.name != "debian":
        raise LabError(
            "stand-ins are built from Debian packages, and this machine's apt names no Debian "
            "mirror: pull the images on a machine that reaches a registry and bring them here "
            "with `docker save` and `docker load`"
        )
    return tuple(debian_archives(distribution, host_archives(distribution)))


def proxies() -> dict[str, str]:
    """The environment's proxy for packages, which a build's RUN needs as much as this host."""
    names = ("http_proxy", "https_proxy", "no_proxy")
    found = {name: os.environ.get(name) or os.environ.get(name.upper()) for name in names}
    return {name: value for name, value in found.items() if value}


def write_root(
    recipe: Path, tools: Path, work: Path, tar: Path, progress: Callable[[str], None]
) -> None:
    """Write bookworm's root file system to ``tar``, as the scripts in ``recipe`` shape it.

    ``tools`` is where mmdebstrap is kept between runs, ``work`` an empty folder for this run.

    Raises:
        LabError: no root, no Debian mirror, or a package failed.
    """
    if not can_be_root():
        raise LabError(
            "stand-ins are unpacked as root, and this user may not use sudo without a password: "
            "run `sudo -v` first, or pull the images where a registry answers"
        )
    archives = bookworm()
    _fetch_mmdebstrap(tools, work, progress)
    progress("unpacking Debian bookworm for the stand-ins")
    distribution = this_distribution()
    keyring = (distribution and distribution.keyring) or KEYRING
    fetch, keep, root = (work / part for part in ("fetch.sources", "image.sources", "root"))
    fetch.write_text(sources(archives, keyring))
    keep.write_text(sources(archives, KEYRING))
    root.mkdir()
    # sudo passes no environment on, and everybody sees command lines: an address may hold a password.
    environ = work / "environ"
    write_environ(environ, proxies())
    script: list[str | Path] = ["sh", recipe / "bootstrap.sh", root, tools, recipe, fetch, keep]
    # A mount namespace of its own: no mount outlives the command, however it ends.
    run(
        as_root(
            [
                *("unshare", "--mount", "sh", "-c"),
                *('. "$1"; shift; exec "$@" >"$0"', tar, environ, *script),
            ]
        ),
        doing="unpacking Debian bookworm",
    )


def _fetch_mmdebstrap(tools: Path, work: Path, progress: Callable[[str], None]) -> None:
    """Unpack mmdebstrap to ``tools``, once, from this host's own package sources."""
    if tools.exists():
        return
    distribution = this_distribution()
    assert distribution is not None  # bookworm() has seen it
    progress("fetching mmdebstrap")
    apt = Apt(work / "apt", distribution, host_archives(distribution))
    apt.update()
    # A host that has mmdebstrap installed misses nothing, and one without perl's modules many.
    unpack(apt.download_missing(["mmdebstrap"]) + apt.download(["mmdebstrap"]), work / "tools")
    (work / "tools").rename(tools)
