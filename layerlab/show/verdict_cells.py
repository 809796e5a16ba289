"""Verdicts as a page's table: each variant beside the baseline, metric by metric."""

from collections.abc import Sequence

from layerlab.compare.comparison import Comparison
from layerlab.show import verdicts
from layerlab.show.cells import Cells

_HEADERS = ("metric", "variant", "baseline", "variant", "ratio", "interval", "verdict")
_RIGHT = (False, False, True, True, True, True, False)


def cells(comparisons: Sequence[Comparison]) -> Cells:
    """One comparison a row; the variant's name is left out where there is one alone."""
    rows = [
        (
            one.metric.title,
            one.variant,
            verdicts.value(one, one.baseline_value),
            verdicts.value(one, one.variant_value),
            verdicts.ratio(one),
            verdicts.interval(one.effect),
            verdicts.verdict(one),
        )
        for one in comparisons
    ]
    if len({one.variant for one in comparisons}) > 1:
        headers = (*_HEADERS[:3], "its value", *_HEADERS[4:])
        return Cells(headers, tuple(rows), _RIGHT)
    kept = [place for place in range(len(_HEADERS)) if place != 1]
    return Cells(
        tuple(_HEADERS[place] for place in kept),
        tuple(tuple(row[place] for place in kept) for row in rows),
        tuple(_RIGHT[place] for place in kept),
    )


def title(comparisons: Sequence[Comparison]) -> str:
    """Which variants stand beside which baseline."""
    variants = {one.variant for one in comparisons}
    what = variants.pop() if len(variants) == 1 else "Each variant"
    return f"{what} beside {comparisons[0].baseline}"


def notes(comparisons: Sequence[Comparison]) -> list[str]:
    """What a reader of the verdicts must know, each once."""
    found = dict.fromkeys(note for one in comparisons for note in one.notes)
    for one in comparisons:
        if one.effect and one.effect.interval:
            span = one.effect.interval
            found.setdefault(f"Intervals: {span.method}, {span.confidence:.1%} sure.")
    return list(found)
