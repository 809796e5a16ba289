"""A run that is watched from beside it: its store as another program reads it, and its end."""

import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

LIMIT_SECONDS = 240


def rows(project: Path, query: str) -> list[tuple[object, ...]]:
    """What the store of a project has; [] while it is just being made."""
    store = project / ".layerlab/store.sqlite"
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def wait_for(process: subprocess.Popen[str], condition: Callable[[], object]) -> None:
    """Wait until something is so, before the run ends."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
