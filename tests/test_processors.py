"""What the processors did, by the kernel's own account."""

import time

from layerlab.engine.processors import Spent, Times, read, spending

STAT = "cpu  100 10 40 1000 50 5 5 40 7 3\ncpu0 50 5 20 500 25 2 3 20 3 1\n"


def test_guests_are_counted_once() -> None:
    """proc_stat(5): guest time is in user time already."""
    assert read(STAT) == Times(busy=1.6, idle=10.5, steal=0.4)


def test_who_sleeps_waits_and_who_works_does_not() -> None:
    with spending() as slept:
        time.sleep(0.3)
    assert 0.3 <= slept.wall < 2
    assert slept.waiting is not None
    assert slept.waiting <= slept.wall


def test_parts_add_up() -> None:
    assert Spent(1.0, 0.5) + Spent(2.0, 1.0) == Spent(3.0, 1.5)
    assert Spent(1.0) + Spent(2.0, 1.0) == Spent(3.0, 1.0)
    assert Spent(1.0) + Spent(2.0) == Spent(3.0)
