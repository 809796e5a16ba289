"""Verdicts: a variant beside the baseline, as a table and as the sentence that a person would say."""

import textwrap
from collections.abc import Iterator, Sequence

from layerlab.compare.comparison import Comparison, Effect, Verdict
from layerlab.show import tables
from layerlab.show.section import Section
from layerlab.show.tables import in_cell
from layerlab.text import counted, plain, shorten
from layerlab.units import bytes_text

#: The metrics that are shown, in this order; what else was measured is in the record.
ORDER = (
    "build.cold",
    "rebuild.no-change",
    "rebuild.source-edit",
    "rebuild.requirements-edit",
    "rebuild.unrelated-edit",
    "steps.cold",
    "steps.no-change",
    "steps.source-edit",
    "steps.requirements-edit",
    "steps.unrelated-edit",
    "image.unpacked",
    "image.files",
    "image.compressed",
    "image.waste",
    "image.layers",
    "run.start",
    "run.memory",
    "run.stop",
)
_VERDICT_COLUMNS, _TITLE_COLUMNS = 13, 26
_REASON_COLUMNS = 160
_MOST_NAMED = 3
#: Images that differ by less than this share are as large as each other to a person.
_ALIKE = 0.005
#: Seconds from which one digit after the point is enough.
_ONE_DIGIT = 0.4
#: From here on people say "times as long", below it "% longer".
_TIMES = 1.5


def sections(
    comparisons: Sequence[Comparison], margin: float, style: str, *, said: bool = True
) -> Iterator[Section]:
    """A section for each variant beside the baseline; ``margin`` is the one that was asked for.

    Its notes begin with what a person would say, if it is to be ``said`` here.
    """
    shown = ordered(comparisons)
    for variant in dict.fromkeys(one.variant for one in shown):
        its = [one for one in shown if one.variant == variant]
        title = f"{plain(variant)} beside {plain(its[0].baseline)}"
        if rounds := max(len(one.effect.pairs) if one.effect else 0 for one in its):
            title += f", {counted(rounds, 'round')}"
        person = (sentence(its),) if said else ()
        yield Section(title, table(its, style), (*person, *notes(its, margin)))


def ordered(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons that are shown, in their order."""
    known = [one for one in comparisons if one.metric.name in ORDER]
    return sorted(known, key=lambda one: ORDER.index(one.metric.name))


def table(comparisons: Sequence[Comparison], style: str) -> str:
    """One metric a row: the baseline's value, the variant's, their ratio, its interval, the verdict.

    In a terminal it has at most 80 columns.
    """
    rows = [
        [
            _folded(one.metric.title, _TITLE_COLUMNS, style),
            value(one, one.baseline_value),
            value(one, one.variant_value),
            ratio(one),
            interval(one.effect),
            _folded(verdict(one), _VERDICT_COLUMNS, style),
        ]
        for one in comparisons
    ]
    headers = ["", "baseline", "variant", "ratio", "interval", "verdict"]
    return tables.table(rows, headers, style, left=(0, 5))


def noise(comparisons: Sequence[Comparison], style: str) -> str:
    """The baseline beside itself, a metric a row; "" where it was not measured twice."""
    rows = [
        [one.metric.title, f"{one.noise.ratio:.2f}", interval(one.noise)]
        for one in comparisons
        if one.noise
    ]
    return tables.table(rows, ["", "ratio", "interval"], style, left=(0,)) if rows else ""


def verdict(one: Comparison) -> str:
    """The verdict in words."""
    if one.verdict is Verdict.SAME:
        return "the same" if one.metric.exact else "no difference"
    if one.verdict is Verdict.VOID:
        return "not measured"
    if one.verdict is Verdict.UNDECIDED:
        more = one.more_pairs
        return f"cannot tell yet: about {counted(more, 'more pair')}" if more else "cannot tell"
    return one.verdict.value


def value(one: Comparison, number: float | None) -> str:
    """A value in a metric's unit; of counts without it, since their titles say what is counted."""
    if number is None:
        return "-"
    if one.metric.unit == "bytes":
        return bytes_text(round(number))
    digits = 0 if number >= 1000 else 1 if number >= 100 else 2
    return f"{number:.{digits}f} s" if one.metric.unit == "s" else f"{number:g}"


def ratio(one: Comparison) -> str:
    """What part of the baseline the variant has."""
    if one.effect:
        return _number(one.effect.ratio)
    if one.variant_value is None or not one.baseline_value:
        return "-"
    return _number(one.variant_value / one.baseline_value)


def interval(effect: Effect | None) -> str:
    """Where the true ratio is."""
    if effect is None or effect.interval is None:
        return "-"
    return f"{_number(effect.interval.low)}-{_number(effect.interval.high)}"


def notes(comparisons: Sequence[Comparison], margin: float) -> list[str]:
    """What a reader of the verdicts must know: intervals, void and outlying pairs, what each comparison notes.

    ``margin`` is the one that was asked for.
    """
    found: dict[str, None] = {}
    intervals = [
        (one.effect.interval.method, one.effect.interval.confidence)
        for one in comparisons
        if one.effect and one.effect.interval
    ]
    if intervals:
        found[
            "Ratio: the median of the paired ratios, below 1 is better; interval: "
            + ", ".join(f"{method}, {share:.1%} sure" for method, share in dict.fromkeys(intervals))
            + "."
        ] = None
    unfelt = {
        one.metric.unit: value(one, one.metric.negligible)
        for one in comparisons
        if one.verdict is Verdict.SAME and one.metric.negligible
    }
    if unfelt:
        limits = " or ".join(unfelt.values())
        found[
            f"No difference: surely within {_percent(margin)}, or within {limits}, which nobody notices."
        ] = None
    for one in comparisons:
        for pair in one.effect.pairs if one.effect else ():
            if pair.outlier and pair.ratio is not None:
                told = f"{one.metric.title}, round {pair.round}: {_number(pair.ratio)}"
                found[f"Far from the other pairs, and counted like them: {told}."] = None
    for one in comparisons:
        for note in one.notes:
            found[f"{note[:1].upper()}{note[1:].rstrip('.')}."] = None
    for reason, where in _voids(comparisons).items():
        found[f"Void: {', '.join(where)}: {reason}."] = None
    return list(found)


def sentence(comparisons: Sequence[Comparison]) -> str:
    """What was found of one variant, as a person would say it; "" where nothing was compared."""
    shown = {one.metric.name: one for one in ordered(comparisons)}
    if not shown:
        return ""
    name = plain(next(iter(shown.values())).variant)
    found = [one for one in shown.values() if one.verdict is not Verdict.SAME]
    if not found:
        return f"{name} makes no difference that matters."
    rebuild, image, cold = (
        told(shown[metric]) if metric in shown else ""
        for metric, told in (
            ("rebuild.source-edit", _rebuild),
            ("image.unpacked", _image),
            ("build.cold", _cold),
        )
    )
    parts = [f"{name} {rebuild}{f' and its image {image}' if image else ''}"] if rebuild else []
    parts += [f"The image of {name} {image}"] if image and not rebuild else []
    more = [cold] if cold else []
    more += [
        f"{what} {_change(shown[metric])}"
        for metric, what in _MORE.items()
        if metric in shown and shown[metric].verdict in _DIFFERS
    ]
    more += _unsure(list(shown.values()))
    if not parts and more:
        more[0] = f"With {name} {more[0]}"
    text = "; ".join([*parts, *more]) or f"{name} differs in small things alone"
    return f"{text}."


#: What is said of others only where it differs.
_MORE = {
    "rebuild.requirements-edit": "a rebuild after an edit of the dependencies takes",
    "run.start": "the first answer comes in",
    "run.memory": "the idle app has",
    "run.stop": "docker stop takes",
}
_DIFFERS = (Verdict.FASTER, Verdict.SLOWER, Verdict.SMALLER, Verdict.LARGER)


def _unsure(shown: Sequence[Comparison]) -> list[str]:
    """Of what nothing can be said, as a clause if there is any."""
    wavering = [one for one in shown if not one.metric.exact]
    titles = [one.metric.title for one in shown if one.verdict in (Verdict.UNDECIDED, Verdict.VOID)]
    if not titles:
        return []
    if len(titles) > _MOST_NAMED:
        whole = all(one.verdict is Verdict.UNDECIDED for one in wavering)
        what = "how long anything takes" if whole else f"{len(titles)} of {len(shown)} things"
        return [f"of {what} nothing can be said yet"]
    return [f"of {_listed(titles)} nothing can be said yet"]


def _rebuild(one: Comparison) -> str:
    when = "after a source edit"
    if one.verdict is Verdict.SAME:
        return f"rebuilds as fast as before {when}"
    if one.verdict is Verdict.FASTER and one.effect:
        part = one.effect.ratio
        if part <= 1 / _TIMES:
            return f"rebuilds {_times(1 / part)} times as fast {when} ({_seconds(one)})"
        return f"rebuilds in {_percent(1 - part)} less time {when} ({_seconds(one)})"
    if one.verdict is Verdict.SLOWER and one.effect:
        return f"takes {_longer(one.effect.ratio)} to rebuild {when} ({_seconds(one)})"
    return ""


def _image(one: Comparison) -> str:
    if one.verdict is Verdict.SAME:
        return "is as large as before"
    if one.verdict not in _DIFFERS or not one.baseline_value or one.variant_value is None:
        return ""
    change = one.variant_value - one.baseline_value
    share = abs(change) / one.baseline_value
    if share < _ALIKE:
        amount = bytes_text(round(abs(change)))
        return f"is about as large as before ({amount} {'less' if change < 0 else 'more'})"
    if change > 0 and share >= _TIMES - 1:
        return f"is {_times(1 + share)} times as large"
    return f"is {_percent(share)} {'smaller' if change < 0 else 'larger'}"


def _cold(one: Comparison) -> str:
    if one.verdict is Verdict.SAME:
        return "a cold build takes as long as before"
    return f"a cold build takes {_change(one)}" if one.verdict in _DIFFERS else ""


def _change(one: Comparison) -> str:
    """`12 % less (1.2 s instead of 1.4 s)`"""
    assert one.effect
    part = one.effect.ratio
    if one.metric.unit == "bytes":
        old, new = round(one.baseline_value or 0), round(one.variant_value or 0)
        how = f"{_percent(abs(1 - part))} {'less' if part < 1 else 'more'} memory"
        return f"{how} ({bytes_text(new)} instead of {bytes_text(old)})"
    how = f"{_percent(1 - part)} less time" if part < 1 else _longer(part)
    return f"{how} ({_seconds(one)})"


def _longer(part: float) -> str:
    return f"{_times(part)} times as long" if part >= _TIMES else f"{_percent(part - 1)} longer"


def _seconds(one: Comparison) -> str:
    old, new = one.baseline_value or 0.0, one.variant_value or 0.0
    digits = 1 if min(old, new) >= _ONE_DIGIT and f"{old:.1f}" != f"{new:.1f}" else 2
    return f"{new:.{digits}f} s instead of {old:.{digits}f} s"


def _times(factor: float) -> str:
    return f"{factor:.1f}" if factor < 10 else f"{factor:.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1f} %"


def _voids(comparisons: Sequence[Comparison]) -> dict[str, list[str]]:
    """Reason -> where it was, for every pair that is void."""
    found: dict[str, list[str]] = {}
    for one in comparisons:
        for pair in one.effect.pairs if one.effect else ():
            if pair.void:
                reason = shorten(pair.void.rstrip("."), _REASON_COLUMNS)
                found.setdefault(reason, []).append(f"{one.metric.title}, round {pair.round}")
    return found


def _number(number: float) -> str:
    """A ratio in at most four columns."""
    if number >= 1000:
        return f"{number / 1000:.0f}k"
    return f"{number:.{0 if number >= 100 else 1 if number >= 10 else 2}f}"


def _listed(words: Sequence[str]) -> str:
    quoted = [f"“{word}”" for word in words]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _folded(text: str, columns: int, style: str) -> str:
    """Text for a cell: in a terminal over several lines, elsewhere in one."""
    if style == "simple":
        return "\n".join(textwrap.wrap(text, columns))
    return in_cell(text, style)
