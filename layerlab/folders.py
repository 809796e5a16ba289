"""Where layerlab keeps its files: a cache for each user, a record for each project."""

import os
import tempfile
from pathlib import Path

#: In a project: its records.
RECORD = ".layerlab"


def cache_folder() -> Path:
    """The user's cache for layerlab: the private engine, downloaded packages, stand-in bases.

    Follows the XDG base directory specification: ``$XDG_CACHE_HOME``, else ``~/.cache``.
    """
    base = os.environ.get("XDG_CACHE_HOME") or ""
    # The specification says that a relative path is to be ignored.
    home = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return home / "layerlab"


def record_folder(project: Path) -> Path:
    """The folder of a project's records (store, tables), made when it is missing."""
    folder = project / RECORD
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def store_file(project: Path) -> Path:
    """The file with all samples of a project; it need not exist."""
    return project / RECORD / "store.sqlite"


def write_record(path: Path, text: str) -> None:
    """Write a file that only its owner can read; whoever looks sees the old one or the whole new one.

    Raises:
        OSError: it can't be written; the old one is as it was.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
