"""Comparisons of a run: from its samples to what can be said of each variant in each metric."""

from collections.abc import Iterable

from layerlab.compare.comparison import Comparison, Turn
from layerlab.compare.metric import Metric, compared, metric
from layerlab.compare.verdict import compare
from layerlab.record.rows import Sample


def comparisons(samples: Iterable[Sample], baseline: str, margin: float) -> list[Comparison]:
    """Each variant beside the baseline, in each metric that both were measured in.

    Metrics and variants come in the order in which they were measured first. A failed or timed-out turn is a sample
    without a value, whose reason voids the pair of its round; ``margin`` is a share of the baseline, such as 0.05.
    """
    turns: dict[Metric, list[Turn]] = {}
    for sample in samples:
        if sample.round < 1 or not compared(sample.metric):
            continue
        of = metric(sample.experiment, sample.scenario, sample.metric, sample.unit)
        turns.setdefault(of, []).append(_turn(sample))
    found = []
    for of, taken in turns.items():
        variants = dict.fromkeys(turn.variant for turn in taken)
        if baseline in variants:
            found += [
                compare(of, taken, baseline, variant, margin)
                for variant in variants
                if variant != baseline
            ]
    return found


def _turn(sample: Sample) -> Turn:
    return Turn(sample.round, sample.variant, sample.value, sample.invalid, sample.control)
