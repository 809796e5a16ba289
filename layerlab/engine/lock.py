"""A lock between this user's processes: what one of them does, the others wait for."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def exclusive(file: Path, progress: Callable[[str], None], busy: str) -> Iterator[None]:
    """Hold ``file`` as a lock; ``progress`` hears ``busy`` when another process holds it.

    The kernel gives it back when this process ends, however it ends.
    """
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w") as lock:
            _take(lock.fileno(), fcntl.LOCK_EX, progress, busy)
            # Its last holder may have removed it with its folder: then the next to come makes
            # another, and this one keeps nobody out.
            if _is_still_there(file, lock):
                yield
                return


def hold_shared(file: Path, progress: Callable[[str], None], busy: str) -> None:
    """Hold ``file`` together with other processes for as long as this one lives, however it ends.

    ``progress`` hears ``busy`` when another process has :func:`try_exclusive`.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # The descriptor is never closed: its end is this process's.
    lock = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _take(lock, fcntl.LOCK_SH, progress, busy)


@contextmanager
def try_exclusive(file: Path) -> Iterator[bool]:
    """Whether no process holds ``file`` by :func:`hold_shared`; while that is so, none begins to."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _take(lock: int, kind: int, progress: Callable[[str], None], busy: str) -> None:
    """Wait for a lock, not without a word."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        progress(busy)
        fcntl.flock(lock, kind)


def _is_still_there(file: Path, lock: IO[str]) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(lock.fileno()))
    except FileNotFoundError:
        return False
