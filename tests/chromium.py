"""A Chromium for the tests that look at pages: the user's own, or Debian's, unpacked into the cache."""

import os
import shutil
from pathlib import Path
from shlex import quote

from layerlab.engine.lock import exclusive
from layerlab.engine.packages import Apt, host_archives, this_distribution, unpack
from layerlab.errors import LabError
from layerlab.folders import cache_folder

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: DejaVu is what the report's figures are drawn for.
PACKAGES = ["chromium", "fonts-dejavu-core", "fontconfig-config"]
_FAMILIES = (("serif", "Serif"), ("monospace", "Sans Mono"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def program() -> Path:
    """A Chromium that runs here; fetched once, as signed Debian packages, where none is on the PATH.

    Raises:
        LabError: there is none, and none can be fetched.
    """
    if own := next(filter(None, map(shutil.which, NAMES)), None):
        return Path(own)
    folder = cache_folder() / "chromium"
    with exclusive(folder.with_suffix(".lock"), print, "waiting for another fetch of Chromium"):
        if not (folder / "root").exists():
            _fetch(folder)
        return _wrapped(folder)


def _fetch(folder: Path) -> None:
    distribution = this_distribution()
    if distribution is None or distribution.name != "debian":
        raise LabError(
            "the report can't be looked at without a browser: install Chromium or Google Chrome, so that "
            f"one of {', '.join(NAMES)} is on the PATH (layerlab fetches it by itself on Debian only)"
        )
    shutil.rmtree(folder, ignore_errors=True)
    apt = Apt(folder / "apt", distribution, host_archives(distribution))
    apt.update()
    unpack(apt.download_missing(PACKAGES), folder / "unpacking")
    shutil.rmtree(folder / "apt")
    (folder / "unpacking").rename(folder / "root")


def _wrapped(folder: Path) -> Path:
    """A command that finds the unpacked libraries and fonts."""
    root, fonts, wrapper = folder / "root", folder / "fonts.conf", folder / "chromium"
    # The links that make Debian's own settings whole are made at installation.
    aliases = "".join(
        f"<alias><family>{family}</family><prefer><family>DejaVu {own}</family></prefer></alias>"
        for family, own in _FAMILIES
    )
    aliases += (
        '<match><edit name="family" mode="append_last"><string>DejaVu Sans</string></edit></match>'
    )
    fonts.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f"<dir>{root}/usr/share/fonts</dir><dir>/usr/share/fonts</dir>"
        f"<cachedir>{folder}/fonts</cachedir>{aliases}</fontconfig>"
    )
    folders = sorted(root.glob("usr/lib/*-linux-gnu*"))
    libraries = [str(path) for one in folders for path in (one, one / "pulseaudio")]
    text = (
        "#!/bin/sh\n"
        f"export LD_LIBRARY_PATH={quote(os.pathsep.join(libraries))} FONTCONFIG_FILE={quote(str(fonts))}\n"
        f'exec {quote(str(root / "usr/lib/chromium/chromium"))} "$@"\n'
    )
    wrapper.write_text(text)
    wrapper.chmod(0o755)
    return wrapper
