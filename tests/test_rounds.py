"""The order of the rounds."""

import pytest

from layerlab.compare.rounds import interleaved


@pytest.mark.parametrize(
    ("rounds", "order"),
    [(0, []), (1, [(1, "ABC")]), (3, [(1, "ABC"), (2, "CBA"), (3, "ABC")])],
)
def test_every_other_round_is_reversed(rounds: int, order: list[tuple[int, str]]) -> None:
    assert [(n, "".join(items)) for n, items in interleaved("ABC", rounds)] == order


def test_a_steady_drift_weighs_alike_on_all_in_an_even_number_of_rounds() -> None:
    turns = [item for _, order in interleaved("ABCD", 4) for item in order]
    times = {item: sum(i for i, turn in enumerate(turns) if turn == item) for item in "ABCD"}
    assert len(set(times.values())) == 1


def test_a_round_can_be_changed_without_changing_the_next() -> None:
    items = ["a", "b"]
    for _, order in interleaved(items, 2):
        order.clear()
    assert items == ["a", "b"]
