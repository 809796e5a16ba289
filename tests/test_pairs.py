"""Pairs, effects and their intervals, by numbers worked by hand."""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerlab.compare import pairs
from layerlab.compare.comparison import Effect, Turn
from layerlab.compare.interval import of_median
from layerlab.compare.randomisation import chance

times = st.floats(0.01, 1000)


def turns(variant: str, *values: float | None, control: bool = False) -> list[Turn]:
    return [Turn(n, variant, value, control=control) for n, value in enumerate(values, 1)]


def effect(taken: list[Turn]) -> Effect:
    found = pairs.effect(taken, "old", "new")
    assert found is not None
    return found


def ratios(found: Effect) -> list[float | None]:
    return [pair.ratio and round(pair.ratio, 9) for pair in found.pairs]


def test_the_effect_is_the_median_of_the_rounds_ratios() -> None:
    found = effect(turns("old", 1, 2, 4, 5, 10) + turns("new", 1.1, 1, 6, 5, 30))
    assert ratios(found) == [1.1, 0.5, 1.5, 1.0, 3.0]
    assert found.ratio == pytest.approx(1.1)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (0.5, 3)
    assert found.interval.confidence == 0.9375


def test_a_round_s_baseline_is_the_geometric_mean_of_its_two_turns() -> None:
    found = effect(turns("old", 2, 4) + turns("old", 8, 4, control=True) + turns("new", 8, 2))
    assert ratios(found) == [2, 0.5]


def test_where_one_turn_of_the_baseline_failed_the_other_stands_alone() -> None:
    taken = turns("old", None, 4) + turns("old", 8, None, control=True) + turns("new", 8, 2)
    assert ratios(effect(taken)) == [1, 0.5]
    assert [pair.void for pair in (pairs.noise(taken, "old") or effect(taken)).pairs] == [None] * 2


def test_priming_counts_nowhere() -> None:
    primed = [Turn(0, "old", 100), Turn(0, "new", 1), Turn(0, "old", 7, control=True)]
    taken = turns("old", 1, 1) + turns("old", 1, 1, control=True) + turns("new", 2, 2)
    assert effect(primed + taken) == effect(taken)
    assert pairs.noise(primed + taken, "old") == pairs.noise(taken, "old")


def test_a_failed_turn_voids_its_pair_and_says_why() -> None:
    taken = [
        *turns("old", 1, 1, None, 1, 0.0),
        Turn(1, "new", 2),
        Turn(2, "new", 9, "[2/4] COPY was cached"),
        Turn(3, "new", 2),
        Turn(5, "new", 2),
        Turn(6, "new", None, "timed out after 900 s"),
    ]
    found = effect(taken)
    assert ratios(found) == [2, None, None, None, None, None]
    assert [pair.void for pair in found.pairs] == [
        None,
        "new: [2/4] COPY was cached",
        "old: no value",
        "new: not measured in this round",
        "old: a value of 0 has no ratio",
        "new: timed out after 900 s",
    ]
    assert found.interval is None


def test_a_turn_that_was_measured_anew_is_its_last_one() -> None:
    taken = [*turns("old", 1), Turn(1, "new", None, "engine went away"), Turn(1, "new", 3)]
    assert ratios(effect(taken)) == [3]


def test_no_valid_pair_is_no_effect() -> None:
    assert pairs.effect(turns("old", 1), "old", "new") is None
    assert pairs.noise(turns("old", 1), "old") is None


def test_the_noise_is_the_baseline_beside_itself() -> None:
    taken = turns("old", 2, 2, None) + turns("old", 1, 3, 3, control=True) + turns("new", 9)
    found = pairs.noise(taken, "old")
    assert found is not None
    assert ratios(found) == [0.5, 1.5, None]
    assert found.ratio == 1
    assert found.pairs[2].void == "old: no value"


def test_an_outlier_is_flagged_and_kept() -> None:
    quiet = [1.0, 1.01, 0.99, 1.02, 0.98]
    found = effect(turns("old", *[1] * 6) + turns("new", *quiet, 1.5))
    assert [pair.outlier for pair in found.pairs] == [False] * 5 + [True]
    assert found.interval is not None
    assert found.interval.high == 1.5
    assert found.ratio == pytest.approx(1.005)


@given(st.lists(st.tuples(times, times), min_size=1, max_size=8), times)
def test_an_effect_does_not_depend_on_the_unit(rounds: list[tuple[float, float]], k: float) -> None:
    def of(scale: float) -> Effect:
        old, new = zip(*rounds, strict=True)
        return effect(
            turns("old", *(scale * one for one in old))
            + turns("new", *(scale * one for one in new))
        )

    assert of(k).ratio == pytest.approx(of(1).ratio)


@pytest.mark.parametrize(
    ("count", "confidence"), [(5, 0.9375), (6, 0.96875), (7, 0.984375), (8, 0.9921875)]
)
def test_up_to_eight_values_are_their_own_interval(count: int, confidence: float) -> None:
    found = of_median([*range(count)])
    assert found is not None
    assert (found.low, found.high, found.confidence) == (0, count - 1, confidence)
    assert found.method == "min-max"


def test_four_values_say_nothing() -> None:
    assert of_median([1, 2, 3, 4]) is None


@settings(max_examples=20)
@given(st.lists(times, min_size=9, max_size=15))
def test_a_bootstrap_is_among_the_values_about_their_median_and_always_the_same(
    values: list[float],
) -> None:
    found = of_median(values)
    assert found is not None
    assert found.method == "bootstrap"
    assert found.confidence == 0.95
    assert min(values) <= found.low <= statistics.median(values) <= found.high <= max(values)
    assert of_median(values) == found


def test_more_values_give_a_narrower_interval() -> None:
    values = [math.sin(n * 7.3) for n in range(60)]
    few, many = of_median(values[:10]), of_median(values)
    assert few is not None
    assert many is not None
    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize(
    ("rounds", "share"),
    [
        # The variant is the slowest in every round: of the 3**6 ways only this one and its mirror.
        ([[9, 0, 0]] * 6, 1 / 729),
        ([[9, 0, 4.5]] * 6, 2 / 729),
        # Two turns a round: 2**6 ways.
        ([[9, 0]] * 6, 2 / 64),
        ([[1, 1, 1]] * 6, 1.0),
        ([[1, 0], [0, 1]], 1.0),
    ],
)
def test_how_rarely_chance_gives_as_much_is_counted_out(
    rounds: list[list[float]], share: float
) -> None:
    assert chance(rounds) == pytest.approx(share)


def test_chance_is_sampled_where_there_are_too_many_ways_and_is_never_nothing() -> None:
    assert 0 < chance([[9, 0, 1]] * 14) < 0.001
    assert chance([[0, 0, 0]] * 14) == 1
    # 11 rounds are sampled: about what 10 rounds, which are counted, have.
    alike = [[0.3, 0, 0.2], [-0.1, 0, 0.1], [0.4, 0, -0.2], [0, 0.3, 0.1], [0.2, 0, 0]]
    assert chance([*alike, *alike, [0, 0, 0]]) == pytest.approx(chance([*alike, *alike]), abs=0.02)
