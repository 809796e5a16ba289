"""Where layerlab keeps its files: a cache for each user, a record for each project; both for their owner alone."""

import os
from contextlib import suppress
from pathlib import Path

from layerlab.errors import LabError


def cache_folder() -> Path:
    """The user's cache for layerlab: engines and their programs, contexts and secrets of runs.

    Follows the XDG base directory specification: ``$XDG_CACHE_HOME``, else ``~/.cache``. It is made
    when it is missing, unless nothing can be written there.

    Raises:
        LabError: it is another user's, who could put programs into it that run as root.
    """
    base = os.environ.get("XDG_CACHE_HOME") or ""
    # The specification says that a relative path is to be ignored.
    home = Path(base) if base.startswith("/") else Path.home() / ".cache"
    folder = home / "layerlab"
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
        _close(folder)
        if folder.stat().st_uid != os.geteuid():
            raise LabError(
                f"{folder} belongs to another user: set XDG_CACHE_HOME to a folder of your own"
            )
    return folder


def record_folder(project: Path) -> Path:
    """The folder of a project's records (store, tables), made when it is missing."""
    folder = project / ".layerlab"
    _close(folder)
    return folder


def _close(folder: Path) -> None:
    """Make a folder, or see to it that one that is there is its owner's alone."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
