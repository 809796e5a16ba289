"""From a run's samples to its comparisons."""

from dataclasses import replace

from layerlab.compare.comparison import Verdict
from layerlab.record.comparisons import comparisons
from layerlab.record.rows import Sample

WALL = Sample("layer-cache", "old", "d" * 64, "cold", 1, 1, "wall", 10.0, "s")
UNPACKED = Sample("image-size", "old", "d" * 64, "image", 1, 1, "unpacked", 100, "bytes")


def bench(rounds: int = 6) -> list[Sample]:
    """Old, new and old again, with a priming round and an image each."""
    found = []
    for number in range(rounds + 1):
        primed = 5 if number == 0 else 1
        found += [
            replace(WALL, round=number, value=10 * primed),
            replace(WALL, round=number, value=13.0 * primed, variant="new"),
            replace(WALL, round=number, value=10.1 * primed, control=True),
        ]
    return [*found, UNPACKED, replace(UNPACKED, variant="new", value=90)]


def test_every_metric_and_variant_is_beside_the_baseline_in_the_order_of_measuring() -> None:
    samples = [*bench(), *(replace(one, variant="copy") for one in bench() if one.variant == "old")]
    found = comparisons(samples, "old", 0.05)
    assert [(one.metric.name, one.variant, one.verdict) for one in found] == [
        ("build.cold", "new", Verdict.SLOWER),
        ("build.cold", "copy", Verdict.SAME),
        ("image.unpacked", "new", Verdict.SMALLER),
        ("image.unpacked", "copy", Verdict.SAME),
    ]
    assert {one.margin for one in found} == {0.05}
    effect, noise = found[0].effect, found[0].noise
    assert effect is not None
    assert noise is not None
    assert [pair.round for pair in effect.pairs] == [1, 2, 3, 4, 5, 6]
    assert round(noise.ratio, 6) == 1.01


def test_a_failed_turn_voids_its_round() -> None:
    failed = replace(WALL, round=7, variant="new", value=None, invalid="the build failed")
    found = comparisons([*bench(), replace(WALL, round=7), failed], "old", 0.05)
    assert found[0].effect is not None
    assert found[0].effect.pairs[-1].void == "new: the build failed"


def test_what_only_one_of_them_was_measured_in_is_not_compared() -> None:
    alone = [replace(WALL, scenario="x"), replace(WALL, scenario="y", variant="new")]
    assert comparisons(alone, "old", 0.05) == []
    assert comparisons(bench(), "new", 0.05)[0].variant == "old"
    assert comparisons(bench(), "gone", 0.05) == []


def test_values_of_which_less_is_not_better_are_not_compared() -> None:
    for name, unit in (("reused", "steps"), ("healthy, predicted", "s")):
        samples = [
            replace(WALL, variant=variant, metric=name, unit=unit) for variant in ("old", "new")
        ]
        assert comparisons(samples, "old", 0.05) == []
