"""Processes of root's, seen and ended from outside; and this one, with the one that started it."""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from layerlab.engine.root import as_root

#: Linux, include/uapi/linux/prctl.h.
_PR_SET_PDEATHSIG = 1


def order(pid: int, what: signal.Signals) -> None:
    """Signal a process of root's; the program `kill` is not on every machine."""
    words = as_root(["sh", "-c", 'kill -s "$1" "$2"', "sh", str(int(what)), str(pid)])
    subprocess.run(words, capture_output=True, check=False)


def children(pid: int) -> list[int]:
    """The processes whose parent is ``pid``."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The command's name, in parentheses, may hold spaces and parentheses.
            parent = status.read_text().rpartition(")")[2].split()[1]
            if parent == str(pid):
                found.append(int(status.parent.name))
    return found


def comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; returns whether it came true within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def end_with_parent() -> None:
    """Have the kernel end this process should the thread that started it die (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
