"""Several things at once: results as they end, and an end to all when the caller stops."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from layerlab.errors import LabError, RunLost
from layerlab.run.together import each, together


def test_each_item_with_its_result_or_its_problem() -> None:
    def do(item: int) -> int:
        if item == 2:
            raise LabError("two")
        return item * 10

    with each([1, 2, 3], do, at_once=2, interrupt=lambda: None) as results:
        found = dict(results)
    assert (found[1], found[3]) == (10, 30)
    assert str(found[2]) == "two"


@pytest.mark.parametrize("cause", [KeyboardInterrupt, RunLost])
def test_an_interruption_ends_what_is_under_way_and_begins_no_more(
    cause: type[BaseException],
) -> None:
    ended, begun = threading.Event(), []

    def do(item: int) -> None:
        begun.append(item)
        if item == 1 and cause is RunLost:
            raise RunLost("gone")
        if item > 1:
            ended.wait(10)

    def caller() -> None:
        with each([1, 2, 3, 4], do, at_once=2, interrupt=ended.set) as results:
            for _ in results:
                raise KeyboardInterrupt

    with pytest.raises(cause):
        caller()
    assert ended.is_set()
    assert 4 not in begun


def test_what_is_on_its_way_is_ended_after_an_interruption() -> None:
    ended = threading.Event()
    left: list[str] = []
    main = threading.get_ident()

    @contextmanager
    def starting(name: str) -> Iterator[None]:
        if name == "slow":
            time.sleep(0.2)
            signal.pthread_kill(main, signal.SIGINT)
            assert ended.wait(20)
        try:
            yield
        finally:
            left.append(name)

    begun = time.monotonic()
    with (
        pytest.raises(KeyboardInterrupt),
        together([starting("slow"), starting("quick")], interrupt=ended.set),
    ):
        pytest.fail("it does not begin")
    assert time.monotonic() - begun < 5
    assert sorted(left) == ["quick", "slow"]
