"""Comparisons of a run's variants with its baseline."""

import statistics
from collections.abc import Sequence

from layerlab.compare.comparison import Comparison, Verdict
from layerlab.compare.metric import compared, metric
from layerlab.record.store import Sample


def comparisons(samples: Sequence[Sample], baseline: str, margin: float) -> list[Comparison]:
    """Each variant beside the baseline, metric by metric."""
    values: dict[tuple[str, str, str, str], dict[str, list[float]]] = {}
    for one in samples:
        counted = one.round > 0 and one.invalid is None and not one.control
        if counted and one.value is not None and compared(one.metric):
            key = (one.experiment, one.scenario, one.metric, one.unit)
            values.setdefault(key, {}).setdefault(one.variant, []).append(one.value)
    found = []
    for key, by_variant in values.items():
        what = metric(*key)
        for variant, its in by_variant.items():
            if variant == baseline or baseline not in by_variant:
                continue
            before, after = statistics.median(by_variant[baseline]), statistics.median(its)
            said = Verdict.UNDECIDED
            if what.exact:
                said = Verdict.SMALLER if after < before else Verdict.LARGER
                said = Verdict.SAME if after == before else said
            found.append(
                Comparison(what, baseline, variant, before, after, None, None, None, margin, said)
            )
    return found
