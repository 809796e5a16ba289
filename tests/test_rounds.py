"""The order of the rounds."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerlab.compare.rounds import interleaved


def orders(items: str, rounds: int) -> list[str]:
    return ["".join(order) for _, order in interleaved(items, rounds)]


@pytest.mark.parametrize(
    ("items", "rounds", "expected"),
    [
        ("ABC", 0, []),
        ("ABC", 1, ["ABC"]),
        ("A", 3, ["A", "A", "A"]),
        ("", 2, ["", ""]),
        ("AB", 5, ["AB", "BA", "BA", "AB", "AB"]),
        ("ABC", 7, ["ABC", "CBA", "BCA", "ACB", "CAB", "BAC", "ABC"]),
        ("ABCD", 4, ["ABCD", "DCBA", "BDAC", "CADB"]),
    ],
)
def test_the_first_round_is_the_items_own_order_and_every_other_is_reversed(
    items: str, rounds: int, expected: list[str]
) -> None:
    assert orders(items, rounds) == expected
    assert [number for number, _ in interleaved(items, rounds)] == list(range(1, rounds + 1))


def test_three_entrants_stand_in_all_six_orders_in_six_rounds() -> None:
    assert len(set(orders("ABC", 6))) == 6


@given(st.integers(2, 9))
def test_a_whole_design_has_each_item_in_each_place_and_after_each_other_equally_often(
    count: int,
) -> None:
    items = "ABCDEFGHI"[:count]
    whole = orders(items, 2 * count)
    places = Counter((place, item) for order in whole for place, item in enumerate(order))
    followed = Counter(pair for order in whole for pair in pairwise(order))
    assert set(places.values()) == {2}
    assert len(places) == count * count
    assert set(followed.values()) == {2}
    assert len(followed) == count * (count - 1)


@given(st.integers(2, 6), st.integers(1, 6))
def test_a_steady_drift_weighs_alike_on_all_in_an_even_number_of_rounds(
    count: int, half: int
) -> None:
    turns = "".join(orders("ABCDEF"[:count], 2 * half))
    times = Counter[str]()
    for time, item in enumerate(turns):
        times[item] += time
    assert len(set(times.values())) == 1


def test_a_round_can_be_changed_without_changing_the_next() -> None:
    items = ["a", "b"]
    for _, order in interleaved(items, 2):
        assert sorted(order) == ["a", "b"]
        order.clear()
    assert items == ["a", "b"]
