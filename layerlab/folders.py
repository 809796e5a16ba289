"""Where layerlab keeps its files: a cache for each user, a record for each project; both for their owner alone."""

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from layerlab.errors import LabError

#: In a project: its records.
RECORD = ".layerlab"


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


def called_from() -> Path:
    """The folder that a user's paths are relative to: the bootstrap script goes to its own."""
    return Path(os.environ.get("LAYERLAB_CALLED_FROM") or Path.cwd())


def record_folder(project: Path) -> Path:
    """The folder of a project's records (store, tables), made when it is missing."""
    folder = project / RECORD
    _close(folder)
    return folder


def store_file(project: Path) -> Path:
    """The file with all samples of a project; it need not exist."""
    return project / RECORD / "store.sqlite"


def write_record(path: Path, text: str) -> None:
    """Write a file that only its owner can read; whoever looks sees the old one or the whole new one.

    Raises:
        OSError: it can't be written; the old one is as it was.
    """
    _remove_strays(path)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123
            fcntl.flock(file, fcntl.LOCK_EX)  # for as long as this process lives
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _close(folder: Path) -> None:
    """Make a folder, or see to it that one that is there is its owner's alone."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def _remove_strays(path: Path) -> None:
    """Remove what killed processes were writing in place of ``path``."""
    for stray in path.parent.glob(f".{path.name}-*"):
        with suppress(OSError), stray.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stray.unlink()
