"""Several things at once: their waits overlap, and no thread outlives an interruption."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from layerlab.errors import LabError, RunLost

T = TypeVar("T")
R = TypeVar("R")


def together(
    items: Sequence[T],
    do: Callable[[T], R],
    *,
    at_once: int,
    interrupt: Callable[[], None],
) -> Iterator[tuple[T, R | LabError]]:
    """Do the same with each of some items, ``at_once`` at a time; each with its result, as they end.

    A problem of one item is its result. When the caller stops early (Ctrl-C) or the run is lost,
    ``interrupt`` has to make those end that are under way; the others are not begun.

    Raises:
        RunLost: of any item.
    """
    with ThreadPoolExecutor(at_once, thread_name_prefix="layerlab") as pool:
        futures = {pool.submit(do, item): item for item in items}
        try:
            for future in as_completed(futures):
                try:
                    result: R | LabError = future.result()
                except RunLost:
                    raise
                except LabError as problem:
                    result = problem
                yield futures[future], result
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            interrupt()
            raise
