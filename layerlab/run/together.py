"""Things done at the same time: their waits overlap, and no thread outlives an interruption."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, TypeVar

from layerlab.errors import LabError, RunLost

#: After so long what still begins is interrupted again: it may have been between two steps.
_AGAIN_SECONDS = 0.5
T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def each(
    items: Sequence[T],
    do: Callable[[T], R],
    *,
    at_once: int,
    interrupt: Callable[[], None],
) -> Iterator[Iterator[tuple[T, R | LabError]]]:
    """Do the same with each of some items, ``at_once`` at a time; gives each with its result, as they end.

    A problem of one item is its result. When the body ends early (Ctrl-C, a lost run), ``interrupt`` has
    to make those end that are under way; the others are not begun.

    Raises:
        RunLost: of any item.
    """
    with ThreadPoolExecutor(at_once, thread_name_prefix="layerlab") as pool:
        futures = {pool.submit(do, item): item for item in items}

        def results() -> Iterator[tuple[T, R | LabError]]:
            for future in as_completed(futures):
                try:
                    yield futures[future], future.result()
                except RunLost:
                    raise
                except LabError as problem:
                    yield futures[future], problem

        try:
            yield results()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            interrupt()
            raise


class Started(Generic[T]):
    """What :func:`together` has started."""

    def __init__(self) -> None:
        #: In the order of the managers: what each gave, or why it gave nothing.
        self.values: list[T | LabError] = []
        #: What was saved against one after another; of the ends, too, when all is over.
        self.saved_seconds = 0.0


@contextmanager
def together(
    managers: Sequence[AbstractContextManager[T]], *, interrupt: Callable[[], None]
) -> Iterator[Started[T]]:
    """Enter context managers at the same time; one that raises a LabError stops no other.

    All that were entered are left at the end, at the same time, and not told of an exception. After
    Ctrl-C ``interrupt`` has to make those end that are on their way; it is called until they have.
    """
    started: Started[T] = Started()
    took: list[float] = []

    def enter(one: AbstractContextManager[T]) -> T:
        begun = time.monotonic()
        try:
            return one.__enter__()
        finally:
            took.append(time.monotonic() - begun)

    def leave(one: AbstractContextManager[T]) -> None:
        begun = time.monotonic()
        one.__exit__(None, None, None)
        took.append(time.monotonic() - begun)

    with ThreadPoolExecutor(max(1, len(managers))) as pool:
        begun = time.monotonic()
        entering: list[Future[T]] = []
        try:
            for one in managers:
                entering.append(pool.submit(enter, one))
            started.values = list(map(_value, entering))
            started.saved_seconds -= time.monotonic() - begun
            yield started
        finally:
            while wait(entering, timeout=0).not_done:
                interrupt()
                wait(entering, timeout=_AGAIN_SECONDS)
            begun = time.monotonic()
            pairs = zip(managers, entering, strict=False)
            wait([pool.submit(leave, one) for one, future in pairs if not future.exception()])
            started.saved_seconds += sum(took) - (time.monotonic() - begun)


def _value(future: Future[T]) -> T | LabError:
    try:
        return future.result()
    except LabError as error:
        return error
