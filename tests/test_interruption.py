"""What becomes of a signal that comes in the middle of something else."""

import os
import signal
import time
from types import SimpleNamespace

import pytest

from layerlab import interruption
from layerlab.interruption import ORDERS, handled


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_is_an_interruption_whatever_a_library_makes_of_it(order: signal.Signals) -> None:
    def half_imported() -> None:
        try:
            os.kill(os.getpid(), order)
        except KeyboardInterrupt as error:
            raise SystemError("half imported") from error

    inherited = signal.signal(order, signal.SIG_DFL)  # ignored where the tests run under nohup
    try:
        with pytest.raises(KeyboardInterrupt), handled():
            half_imported()
        assert signal.getsignal(order) is signal.SIG_DFL
    finally:
        signal.signal(order, inherited)


class Finalized:
    """Told to end while it is finalized, where Python can't raise it."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)


def test_an_order_that_comes_in_a_finalizer_comes_again() -> None:
    def work() -> None:
        Finalized()
        time.sleep(5)

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), handled():
        work()
    assert time.monotonic() - begun < 2


def test_an_order_that_comes_again_does_not_disturb_what_another_began() -> None:
    cleaned = False

    def work() -> None:
        nonlocal cleaned
        try:
            Finalized()
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            time.sleep(3 * interruption.AGAIN_SECONDS)
            cleaned = True

    with pytest.raises(KeyboardInterrupt), handled():
        work()
    assert cleaned


def test_an_order_that_comes_at_the_very_end_ends_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interruption, "AGAIN_SECONDS", 0.5)
    with handled():
        Finalized()
    time.sleep(0.6)


def test_where_orders_are_not_handled_an_interruption_is_told() -> None:
    told: list[object] = []
    problem = SimpleNamespace(exc_type=KeyboardInterrupt)
    interruption.again(told.append)(problem)
    assert told == [problem]


def test_a_mistake_of_ours_stays_one() -> None:
    with pytest.raises(KeyError), handled():
        raise KeyError("ours")


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handled():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
