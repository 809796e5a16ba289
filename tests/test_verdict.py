"""Verdicts: what is said of a variant, and how often that is wrong."""

import random

import pytest

from benchmarks.comparing import Machine, bench, covers
from layerlab.compare.comparison import Comparison, Turn, Verdict
from layerlab.compare.metric import metric
from layerlab.compare.noise import Conditions, disturbances
from layerlab.compare.verdict import compare

COLD = metric("layer-cache", "cold", "wall", "s")
EDIT = metric("layer-cache", "source-edit", "wall", "s")
SIZE = metric("image-size", "image", "unpacked", "bytes")
MEMORY = metric("shutdown", "plain", "memory", "bytes")
QUIET = (0.99, 1.01, 1.0, 1.005, 0.995, 1.0)
NOISY = (0.8, 1.3, 1.0, 0.9, 1.2, 1.0)


def turns(variant: str, *values: float | None, control: bool = False) -> list[Turn]:
    return [Turn(n, variant, value, control=control) for n, value in enumerate(values, 1)]


def times(factor: float, wavers: tuple[float, ...] = QUIET, seconds: float = 10) -> Comparison:
    """Six rounds in which the variant takes ``factor`` times as long, on a machine that wavers so."""
    old = [seconds * one for one in wavers]
    taken = [
        *turns("old", *old),
        *turns("new", *(factor * one for one in old[::-1])),
        *turns("old", *old[3:], *old[:3], control=True),
    ]
    return compare(COLD, taken, "old", "new", 0.05)


def test_what_is_slower_in_every_round_is_slower() -> None:
    found = times(1.2)
    assert found.verdict is Verdict.SLOWER
    assert found.effect is not None
    assert found.effect.ratio == pytest.approx(1.2, abs=0.01)
    assert (found.baseline_value, found.variant_value) == (10, 12)
    assert found.variant_interval is not None
    assert (found.variant_interval.low, found.variant_interval.high) == (11.88, 12.12)
    assert (found.more_pairs, found.notes) == (None, ())
    assert times(1 / 1.2).verdict is Verdict.FASTER


def test_a_sure_difference_inside_the_margin_does_not_matter() -> None:
    found = times(1.03)
    assert found.effect is not None
    assert found.effect.interval is not None
    assert found.effect.interval.low > 1
    assert found.verdict is Verdict.SAME


def test_what_cannot_be_told_says_how_many_more_pairs_would() -> None:
    found = times(1.045)
    assert found.verdict is Verdict.UNDECIDED
    found = times(1.0, NOISY)
    assert found.verdict is Verdict.UNDECIDED
    assert found.more_pairs is not None
    assert 10 <= found.more_pairs <= 200
    (note,) = found.notes
    assert note == (
        "this machine wavers by ±13% in cold build: "
        "differences below that can't be seen in 6 rounds"
    )


def test_two_rounds_say_nothing_of_seconds() -> None:
    taken = turns("old", 10, 10) + turns("new", 30, 30)
    found = compare(COLD, taken, "old", "new", 0.05)
    assert found.verdict is Verdict.UNDECIDED
    assert found.effect is not None
    assert found.effect.ratio == 3
    assert found.more_pairs == 4
    assert found.notes == ("2 rounds say nothing of seconds: about 4 more",)


def test_a_difference_that_nobody_feels_is_none() -> None:
    """0.15 s instead of 0.10 s is 50 % more, and 0.05 s."""
    taken = turns("old", *[0.1] * 6) + turns("new", *[0.15] * 6)
    found = compare(EDIT, taken, "old", "new", 0.05)
    assert found.verdict is Verdict.SAME
    assert found.margin == pytest.approx(1)


def test_without_a_control_turn_the_verdict_says_what_it_is_worth() -> None:
    found = compare(COLD, turns("old", *[10] * 6) + turns("new", *[12] * 6), "old", "new", 0.05)
    assert found.verdict is Verdict.SLOWER
    assert found.notes == (
        "the baseline was not measured against itself: up to 3.1% of such verdicts are chance",
    )


def test_what_was_never_measured_is_void_and_says_why() -> None:
    failed = [Turn(1, "new", None, "the build failed: exit code 1")]
    found = compare(COLD, turns("old", 10, 10) + failed, "old", "new", 0.05)
    assert (found.verdict, found.effect, found.variant_value) == (Verdict.VOID, None, None)
    assert found.notes == ("round 1, new: the build failed: exit code 1",)
    found = compare(SIZE, failed, "old", "new", 0.05)
    assert found.verdict is Verdict.VOID


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(99, Verdict.SMALLER), (100, Verdict.SAME), (101, Verdict.LARGER), (0, Verdict.SMALLER)],
)
def test_of_bytes_one_is_enough_and_one_round_too(value: int, verdict: Verdict) -> None:
    taken = [*turns("old", 100, 100), Turn(0, "new", 7), *turns("new", value)]
    found = compare(SIZE, taken, "old", "new", 0.05)
    assert (found.verdict, found.effect, found.notes) == (verdict, None, ())


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ((1000, 1002), (1001, 1001), Verdict.SAME),
        ((1000, 1002), (1003, 1003), Verdict.LARGER),
        ((1000, 1002), (900, 999), Verdict.SMALLER),
        ((1000, 2000), (1500, 1500), Verdict.UNDECIDED),
    ],
)
def test_bytes_that_are_not_the_same_in_every_round_are_told(
    old: tuple[int, int], new: tuple[int, int], verdict: Verdict
) -> None:
    found = compare(SIZE, turns("old", *old) + turns("new", *new), "old", "new", 0.05)
    assert found.verdict is verdict
    assert found.notes[0].startswith("old is not the same in every round: from 1.00 kB to ")


def test_memory_wavers_and_is_smaller_or_larger() -> None:
    taken = [
        *turns("old", 50e6, 51e6, 50e6, 49e6, 50e6, 50e6),
        *turns("old", 50e6, 50e6, 51e6, 50e6, 49e6, 50e6, control=True),
        *turns("new", 80e6, 81e6, 80e6, 79e6, 80e6, 80e6),
    ]
    assert compare(MEMORY, taken, "old", "new", 0.05).verdict is Verdict.LARGER
    # 0.5 MB of 2 MB is a quarter, and nothing.
    small = turns("old", *[2e6] * 6) + turns("new", *[2.5e6] * 6)
    assert compare(MEMORY, small, "old", "new", 0.05).verdict is Verdict.SAME


@pytest.mark.parametrize(
    "machine",
    [
        Machine("noise", sd=0.15),
        Machine("drift", drift=0.2),
        Machine("spikes", spikes=0.1),
        Machine("autocorrelation", sd=0.05, memory=0.6),
    ],
    ids=lambda machine: machine.name,
)
def test_the_interval_covers_and_nothing_differs_from_itself(machine: Machine) -> None:
    """`benchmarks/comparing.py` has the figures; this has few trials, and room for their chance."""
    rng = random.Random(1)
    said = [bench(machine, 6, 0, rng) for _ in range(200)]
    assert sum(covers(one, 1) for one in said) >= 186
    assert sum(one.verdict in (Verdict.FASTER, Verdict.SLOWER) for one in said) <= 2


def test_the_bootstrap_covers() -> None:
    rng = random.Random(1)
    said = [bench(Machine("", drift=0.2, spikes=0.1), 12, 0, rng) for _ in range(25)]
    assert sum(covers(one, 1) for one in said) >= 21


def test_a_tenth_slower_is_found_nine_times_of_ten_in_noise_of_3_percent() -> None:
    rng = random.Random(1)
    said = [bench(Machine("", sd=0.03), 6, 0.1, rng).verdict for _ in range(100)]
    assert said.count(Verdict.SLOWER) >= 90
    assert Verdict.FASTER not in said


def test_more_rounds_find_smaller_differences() -> None:
    rng = random.Random(1)
    few, many = (
        sum(
            bench(Machine("", sd=0.05), rounds, 0.1, rng).verdict is Verdict.SLOWER
            for _ in range(12)
        )
        for rounds in (6, 14)
    )
    assert many > few


def test_a_quiet_machine_needs_no_warning() -> None:
    assert disturbances(Conditions(2, load=0.4, others=0.02, steal=0.0)) == ()
    assert disturbances(Conditions(2, load=None, others=None, steal=None)) == ()


def test_what_disturbs_is_said_one_sentence_each() -> None:
    assert disturbances(Conditions(2, 3.1, others=0.4, steal=0.05, runs=1, builds=2)) == (
        "1 other run of layerlab on this machine: seconds are only good when they have ended",
        "2 other builds on this engine: its builder is shared with them",
        "other programs use 40% of the 2 processors: end them, or take more rounds",
        "other machines on the same hardware took 5% of the processors' time",
    )
    assert disturbances(Conditions(1, 3.14, others=0.0, steal=None)) == (
        "load 3.1 on 1 processor in the last minute: this machine was busy until now",
    )
