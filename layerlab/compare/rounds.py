"""The order in which variants take their turns."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def interleaved(items: Sequence[T], rounds: int) -> Iterator[tuple[int, list[T]]]:
    """Rounds from 1, each with the order in which the items take their turn in it.

    Every other round is reversed (A B C, C B A), so that a machine that grows slower or faster during
    the run weighs on all of them alike.
    """
    for number in range(1, rounds + 1):
        yield number, list(items) if number % 2 else list(reversed(items))
