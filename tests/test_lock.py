"""The lock between processes: one holder, also where a holder removes the lock's folder."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from layerlab.engine.lock import exclusive, try_exclusive


def quiet(_: str) -> None:
    pass


def taken(file: Path) -> tuple[threading.Event, threading.Event, threading.Thread, list[str]]:
    """Another holder, as soon as it can be one: (holds now, may let go, its thread, what it heard)."""
    holds, go, heard = threading.Event(), threading.Event(), list[str]()

    def hold() -> None:
        with exclusive(file, heard.append, "waiting"):
            holds.set()
            go.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    return holds, go, thread, heard


def waits(holds: threading.Event, heard: Callable[[], bool]) -> bool:
    for _ in range(500):
        if heard():
            return not holds.wait(0.1)
        if holds.wait(0.01):
            return False
    return False


def test_the_second_waits_and_is_told(tmp_path: Path) -> None:
    file = tmp_path / "new" / "lock"
    with exclusive(file, quiet, "waiting"):
        holds, go, thread, heard = taken(file)
        assert waits(holds, lambda: heard == ["waiting"])
    assert holds.wait(10)
    go.set()
    thread.join()


def test_nobody_waits_for_a_lock_that_was_given_back(tmp_path: Path) -> None:
    heard: list[str] = []
    for _ in range(2):
        with exclusive(tmp_path / "lock", heard.append, "waiting"):
            pass
    assert heard == []


def test_a_removed_lock_keeps_nobody_out_and_nobody_relies_on_it(tmp_path: Path) -> None:
    """`engine remove` deletes the folder that holds its lock, while others wait for it."""
    file = tmp_path / "engine" / "lock"
    with exclusive(file, quiet, "waiting"):
        holds, go, thread, heard = taken(file)
        assert waits(holds, lambda: heard == ["waiting"])
        shutil.rmtree(file.parent)
    assert holds.wait(10)
    # The one that waited holds the lock that others see, not the one that is gone.
    third_holds, third_go, third, third_heard = taken(file)
    assert waits(third_holds, lambda: third_heard == ["waiting"])
    go.set()
    assert third_holds.wait(10)
    third_go.set()
    thread.join()
    third.join()


def test_nobody_is_alone_while_a_process_shares(tmp_path: Path) -> None:
    file = tmp_path / "new" / "users"
    program = f"""
from pathlib import Path
from layerlab.engine.lock import hold_shared
hold_shared(Path({str(file)!r}), print, "busy")
hold_shared(Path({str(file)!r}), print, "busy")
print("shared", flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shared\n"
        with try_exclusive(file) as nobody:
            assert not nobody
        process.communicate("end\n")
    with try_exclusive(file) as nobody:
        assert nobody
