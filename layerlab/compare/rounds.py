"""The order in which variants take their turns."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def interleaved(items: Sequence[T], rounds: int) -> Iterator[tuple[int, list[T]]]:
    """Rounds from 1, each with the order in which the items take their turn in it.

    Odd rounds follow the rows of a Williams design, even rounds reverse the one before: A B C, C B A, B C A,
    A C B, C A B, B A C, and so on from the start. A machine that grows slower or faster weighs on all items
    alike after each pair of rounds; when the design is complete (twice as many rounds as items), each item
    has also followed each other one equally often, so that what a turn leaves to the next evens out.
    (Williams, Experimental designs balanced for the estimation of residual effects of treatments,
    Australian Journal of Scientific Research A 2, 1949.)
    """
    order: list[T] = []
    for number in range(1, rounds + 1):
        order = _row(items, number // 2) if number % 2 else order[::-1]
        yield number, list(order)


def _row(items: Sequence[T], row: int) -> list[T]:
    """A row of the design, relabelled so that the first is the items' own order."""
    count = len(items)
    # 0, 1, k-1, 2, k-2, …: the differences of neighbours are all different.
    zigzag = [(place + 1) // 2 * (1 if place % 2 else -1) % count for place in range(count)]
    label = dict(zip(zigzag, items, strict=True))
    return [label[(place + row) % count] for place in zigzag]
