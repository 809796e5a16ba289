"""A private engine for a while: empty when it begins, gone with all its images when it ends."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from layerlab.engine.lock import exclusive
from layerlab.engine.private import PrivateEngine, private_engine
from layerlab.engine.tools import Tools
from layerlab.folders import cache_folder


@contextmanager
def engine(
    purpose: str,
    image_store: str,
    progress: Callable[[str], None],
    *,
    suite: str | None = None,
) -> Iterator[PrivateEngine]:
    """An engine with an image store ("containerd", or the classic one), of this user's unpacked programs.

    Its folder is named by ``purpose``: a second process with the same purpose waits, and what a killed one
    left is removed first. ``suite`` is the Debian suite that its programs come from, the newest when None.

    Raises:
        LabError: this machine can't have one, or it does not start.
    """
    name = f"{purpose}-{suite or 'newest'}-{image_store}"
    own = PrivateEngine(
        _folder() / name,
        Tools(private_engine().tools.folder, suite),
        containerd_store=image_store == "containerd",
    )
    with exclusive(
        _lock(own.folder), progress, f"waiting for another run that needs an engine for {purpose}"
    ):
        own.remove()
        try:
            own.start(progress)
            yield own
        finally:
            own.remove()


def remove_dead() -> list[str]:
    """Stop and delete the engines of killed runs; returns what was removed."""
    removed = []
    for folder in _folder().glob("*/"):
        with _lock(folder).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            PrivateEngine(folder, private_engine().tools).remove()
            removed.append(f"engine {folder.name}")
    return removed


def _folder() -> Path:
    return cache_folder() / "fresh"


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
