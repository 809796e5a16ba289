"""Verdicts as a page's table: each variant beside the baseline, metric by metric."""

from collections.abc import Sequence

from layerlab.compare.comparison import Comparison, Effect, Verdict
from layerlab.compare.metric import Metric
from layerlab.show.cells import Cells
from layerlab.show.units import bytes_text

_WORDS = {
    Verdict.SAME: "no difference that matters",
    Verdict.UNDECIDED: "cannot tell yet",
    Verdict.VOID: "not measured",
}
_HEADERS = ("metric", "variant", "baseline", "variant", "ratio", "interval", "verdict")
_RIGHT = (False, False, True, True, True, True, False)


def cells(comparisons: Sequence[Comparison]) -> Cells:
    """One comparison a row; the variant's name is left out where there is one alone."""
    rows = [
        (
            one.metric.title,
            one.variant,
            value(one.baseline_value, one.metric),
            value(one.variant_value, one.metric),
            ratio(one),
            interval(one.effect),
            verdict(one),
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


def value(number: float | None, metric: Metric) -> str:
    """A value with its unit; a dash where there is none."""
    if number is None:
        return "-"
    if metric.unit == "bytes":
        return bytes_text(round(number))
    return f"{number:.2f} s" if metric.unit == "s" else f"{number:,.10g} {metric.unit}"


def ratio(one: Comparison) -> str:
    """The variant's part of the baseline."""
    if one.effect:
        return f"{one.effect.ratio:.3f}"
    if one.variant_value is None or not one.baseline_value:
        return "-"
    return f"{one.variant_value / one.baseline_value:.3f}"


def interval(effect: Effect | None) -> str:
    """Where the true ratio is."""
    span = effect.interval if effect else None
    return f"{span.low:.3f} to {span.high:.3f}" if span else "-"


def verdict(one: Comparison) -> str:
    """The verdict in words."""
    word = _WORDS.get(one.verdict, one.verdict.value)
    if one.verdict is Verdict.SAME and one.metric.exact:
        word = "the same"
    if one.verdict is Verdict.UNDECIDED and one.more_pairs is not None:
        word += f": about {one.more_pairs} more pairs"
    return word
