"""Recorded runs as tables: the list of them, two beside each other, and one of them whole."""

import shlex
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from layerlab.compare.comparison import Comparison, Verdict
from layerlab.compare.metric import metric
from layerlab.record.rows import Sample
from layerlab.record.run import RunRecord, State
from layerlab.show.section import Section
from layerlab.show.tables import in_cell, table
from layerlab.text import plain, shorten
from layerlab.units import bytes_text

#: Columns that all but the first of the list of runs take at most.
_BESIDE = 54
_NAMED = ("build.", "rebuild.", "image.", "steps.", "run.")
#: A range in which a ratio is less surely would be taken for more than it is.
_SURE = 0.95
NOTHING = "no difference that matters"
WORDS = {
    Verdict.SAME: NOTHING,
    Verdict.UNDECIDED: "cannot tell",
    Verdict.VOID: "not measured",
}


@dataclass(frozen=True)
class Listed:
    """A run as the list shows it."""

    run: RunRecord
    state: State
    samples: int
    invalid: int
    #: Tests that failed.
    failed: int


def history(runs: Sequence[Listed], width: int) -> str:
    """The runs as a table for ``width`` columns: what was asked stands under a run's id."""
    room = max(21, width - _BESIDE)
    rows = []
    for one in runs:
        run = one.run
        rounds = run.settings.get("rounds")
        rows.append(
            [
                f"{run.id}\n  {shorten(plain(_asked(run)), room - 2)}",
                f"{run.started[5:10]} {run.started[11:16]}",
                str(run.engine.get("engine", "?")).split("+")[0][:9],
                "-" if rounds is None else str(rounds),
                f"{one.samples:,}",
                f"{one.state}\n{_note(one)}".rstrip(),
            ]
        )
    headers = ["run", "UTC", "engine", "rounds", "samples", "state"]
    return table(rows, headers, "simple", left=(0, 1, 5))


def _asked(run: RunRecord) -> str:
    return " ".join([run.kind, *map(shlex.quote, run.words)])


def _note(one: Listed) -> str:
    if one.failed:
        return f"{one.failed} failed"
    if one.invalid:
        return f"{one.invalid} invalid"
    return "resumed" if one.run.resumed else ""


def compared(
    comparisons: Sequence[Comparison], style: str, *, everything: bool
) -> Iterator[tuple[str, str]]:
    """Two runs beside each other: a title and a table for each variant.

    What has no short name and no verdict is left out, unless ``everything`` is asked for.
    """
    shown = [one for one in comparisons if everything or worth_showing(one)]
    for variant in dict.fromkeys(one.variant for one in shown):
        rows = [
            [
                in_cell(shorten(plain(one.metric.title), 30), style),
                value_text(one.baseline_value, one.metric.unit),
                value_text(one.variant_value, one.metric.unit),
                ratio_text(one),
                verdict_text(one),
            ]
            for one in shown
            if one.variant == variant
        ]
        headers = ["", "first", "second", "ratio", "verdict"]
        yield plain(variant), table(rows, headers, style, left=(0, 4))


def worth_showing(one: Comparison) -> bool:
    """Whether a comparison is of a metric with a short name, or says something."""
    told = one.verdict not in (Verdict.SAME, Verdict.UNDECIDED, Verdict.VOID)
    return told or one.metric.name.startswith(_NAMED)


def value_text(value: float | None, unit: str) -> str:
    """A value with its unit, as tables show it."""
    if value is None:
        return "-"
    if unit == "bytes":
        return bytes_text(round(value))
    if unit == "s":
        return f"{value:.2f} s"
    return f"{value:.3f}" if unit == "ratio" else f"{value:g}"


def ratio_text(one: Comparison) -> str:
    """By which ratio the second differs from the first, and where that is, if anybody can say."""
    if one.effect is None:
        if not one.baseline_value or one.variant_value is None:
            return "-"
        return f"{one.variant_value / one.baseline_value:.3f}"
    interval = one.effect.interval
    sure = interval is not None and interval.confidence >= _SURE
    between = f" ({interval.low:.2f}-{interval.high:.2f})" if interval and sure else ""
    return f"{one.effect.ratio:.2f}{between}"


def verdict_text(one: Comparison) -> str:
    """What can be said, in a word or two."""
    if one.verdict == Verdict.SAME and one.metric.exact:
        return "the same"
    return WORDS.get(one.verdict, str(one.verdict))


def markdown(run: RunRecord, samples: Sequence[Sample], verdicts: Sequence[Comparison]) -> str:
    """A run as Markdown: its verdicts, and the medians of its samples."""
    head = (
        f"{run.kind} of {run.started[:16].replace('T', ' ')} UTC, Docker Engine "
        f"{run.engine.get('engine', '(not recorded)')}"
    )
    parts = [f"## Run {in_cell(plain(run.id), 'github')}", in_cell(plain(head), "github")]
    for section in (_verdicts(verdicts), _medians(samples)):
        if section:
            parts += [f"### {section.title}", section.table, *section.notes]
    return "\n\n".join(parts) + "\n"


def _verdicts(verdicts: Sequence[Comparison]) -> Section | None:
    rows = [
        [
            in_cell(plain(one.metric.name), "github"),
            in_cell(plain(one.variant), "github"),
            in_cell(plain(one.baseline), "github"),
            value_text(one.variant_value, one.metric.unit),
            value_text(one.baseline_value, one.metric.unit),
            ratio_text(one),
            verdict_text(one),
        ]
        for one in verdicts
    ]
    headers = ["metric", "variant", "baseline", "its median", "baseline's", "ratio", "verdict"]
    return Section("Verdicts", table(rows, headers, "github", left=(0, 1, 2, 6))) if rows else None


def _medians(samples: Sequence[Sample]) -> Section | None:
    values: dict[tuple[str, str, str, str, str], list[float]] = {}
    for one in samples:
        if one.round > 0 and one.invalid is None and one.value is not None and not one.control:
            key = (one.experiment, one.scenario, one.metric, one.unit, one.variant)
            values.setdefault(key, []).append(one.value)
    rows = [
        [
            in_cell(plain(metric(*key[:4]).name), "github"),
            in_cell(plain(key[4]), "github"),
            value_text(statistics.median(its), key[3]),
            value_text(min(its), key[3]),
            value_text(max(its), key[3]),
            len(its),
        ]
        for key, its in values.items()
    ]
    if not rows:
        return None
    invalid = sum(one.invalid is not None for one in samples)
    notes = (f"{invalid} invalid samples are left out.",) if invalid else ()
    headers = ["metric", "variant", "median", "min", "max", "samples"]
    return Section("Samples", table(rows, headers, "github", left=(0, 1)), notes)
