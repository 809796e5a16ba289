"""Gates: limits for CI, held against verdicts and never against single means.

A gate names what must not be (:mod:`layerlab.compare.grammar` has how it is written). Every variant is held against it but
the baseline, which is what people have already. What is undecided does not break a gate.
"""

import difflib
import operator
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from layerlab.compare.comparison import Comparison, Verdict
from layerlab.compare.verdict import judge
from layerlab.errors import LabError
from layerlab.text import plain
from layerlab.units import change_text, value_text

#: Relations to the baseline: by a word, or `> +5%`.
SLOWER, LARGER, MORE = "slower", "larger", "> +"
#: Relations to a limit.
OPERATORS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_WORSE = {Verdict.SLOWER, Verdict.LARGER}
_NOT_WORSE = {Verdict.SAME, Verdict.FASTER, Verdict.SMALLER}


@dataclass(frozen=True)
class Gate:
    """A gate as it was written, and what it means."""

    text: str
    metric: str
    #: :data:`SLOWER`, :data:`LARGER` or :data:`MORE` than the baseline; or one of > >= < <= and a limit.
    relation: str
    #: The limit in ``unit``, or a share of the baseline; None for the margin of the comparison.
    limit: float | None = None
    #: Of a limit: "s", "bytes", or "" for a count.
    unit: str = ""

    @property
    def relative(self) -> bool:
        """Whether it is held against the baseline."""
        return self.relation in (SLOWER, LARGER, MORE)


class Outcome(StrEnum):
    """What a gate says of a variant."""

    BROKEN = "broken"
    KEPT = "kept"
    #: Undecided or not measured.
    UNTOLD = "untold"


@dataclass(frozen=True)
class Held:
    """A gate held against a comparison."""

    gate: Gate
    comparison: Comparison
    outcome: Outcome

    @property
    def line(self) -> str:
        """The gate and what was measured, in one line; names in it are as they came."""
        return f"{self.gate.text}: {_said(self)}"


def hold(gates: Sequence[Gate], comparisons: Sequence[Comparison]) -> list[Held]:
    """Each gate against each variant's comparison in its metric.

    Raises:
        LabError: a gate names a metric that was not measured, or a limit that is of another unit.
    """
    require(gates, {comparison.metric.name for comparison in comparisons})
    held = []
    for gate in gates:
        for comparison in comparisons:
            if comparison.metric.name == gate.metric:
                if wrong := mismatch(gate, comparison.metric.unit):
                    raise LabError(f"--fail-if `{plain(gate.text)}`: {wrong}")
                held.append(Held(gate, comparison, _outcome(gate, comparison)))
    return held


def told(gates: Sequence[Gate], comparisons: Sequence[Comparison]) -> tuple[bool, list[str]]:
    """Whether a variant breaks a gate; a line for each that one breaks, or of which nobody can tell yet.

    Raises:
        LabError: see :func:`hold`.
    """
    held = hold(gates, comparisons)
    broken = [f"failed: {one.line}" for one in held if one.outcome is Outcome.BROKEN]
    untold = [f"undecided: {one.line}" for one in held if one.outcome is Outcome.UNTOLD]
    return bool(broken), broken + untold


def require(gates: Sequence[Gate], metrics: Collection[str]) -> None:
    """See to it that every gate names one of these metrics.

    Raises:
        LabError: one does not; the text lists the metrics that there are.
    """
    for gate in gates:
        if gate.metric not in metrics:
            there = ", ".join(sorted(metrics)) or "none"
            raise LabError(
                f"--fail-if `{plain(gate.text)}`: this run does not measure "
                f"`{plain(gate.metric)}`{meant(gate.metric, metrics)}; it measures: {plain(there)}"
            )


def _outcome(gate: Gate, comparison: Comparison) -> Outcome:
    if not gate.relative:
        return _beside_limit(gate, comparison)
    if comparison.verdict is Verdict.VOID:
        return Outcome.UNTOLD
    if comparison.metric.exact:
        return _exact_excess(gate, comparison)
    effect = comparison.effect
    margin = comparison.margin if gate.limit is None else gate.limit
    verdict = judge(comparison.metric, effect, comparison.noise, margin)
    if verdict in _WORSE:
        return Outcome.BROKEN
    # What is surely not worse by that much need not be told from what is better.
    surely = effect and effect.interval and effect.interval.high <= 1 + margin
    return Outcome.KEPT if surely or verdict in _NOT_WORSE else Outcome.UNTOLD


def _exact_excess(gate: Gate, comparison: Comparison) -> Outcome:
    if comparison.verdict is Verdict.UNDECIDED:
        return Outcome.UNTOLD
    ours, theirs = comparison.variant_value or 0, comparison.baseline_value or 0
    # To the byte, whatever a float makes of 1.05 * 100.
    allowed = Fraction(theirs) * (1 + Fraction(str(gate.limit or 0)))
    excess = comparison.verdict is Verdict.LARGER and ours > allowed
    return Outcome.BROKEN if excess else Outcome.KEPT


def _beside_limit(gate: Gate, comparison: Comparison) -> Outcome:
    """A limit is broken by an interval that is wholly beyond it, and kept by one wholly within."""
    limit, interval = gate.limit or 0.0, comparison.variant_interval
    if comparison.metric.exact and comparison.variant_value is not None:
        ends = [comparison.variant_value]
    elif interval:
        ends = [interval.low, interval.high]
    else:
        return Outcome.UNTOLD
    told = {OPERATORS[gate.relation](end, limit) for end in ends}
    if len(told) > 1:
        return Outcome.UNTOLD
    return Outcome.BROKEN if told.pop() else Outcome.KEPT


def _said(held: Held) -> str:
    one = held.comparison
    what = f"cannot tell of {one.variant}:" if held.outcome is Outcome.UNTOLD else one.variant
    measured = _beside_baseline(one) if held.gate.relative else _alone(one)
    if measured is None:
        return f"{what} {'; '.join(one.notes) or 'not measured'}"
    more = f"; about {one.more_pairs} more rounds" if one.more_pairs else ""
    return f"{what} {measured}{more if held.outcome is Outcome.UNTOLD else ''}"


def _alone(one: Comparison) -> str | None:
    if one.variant_value is None:
        return None
    unit, interval = one.metric.unit, one.variant_interval
    value = value_text(one.variant_value, unit)
    if interval is None:
        return value
    return f"{value} ({value_text(interval.low, unit)} to {value_text(interval.high, unit)})"


def _beside_baseline(one: Comparison) -> str | None:
    if one.variant_value is None or one.baseline_value is None:
        return None
    ours, theirs = (value_text(v, one.metric.unit) for v in (one.variant_value, one.baseline_value))
    return f"{ours}, {_change(one)}beside {one.baseline} {theirs}"


def _change(one: Comparison) -> str:
    if one.effect is None:
        # Nothing has no share.
        return f"{change_text((one.variant_value or 0) / b)} " if (b := one.baseline_value) else ""
    interval = one.effect.interval
    if interval is None:
        return f"{change_text(one.effect.ratio)} "
    among = f"({change_text(interval.low)} to {change_text(interval.high)})"
    return f"{change_text(one.effect.ratio)} {among} "


def mismatch(gate: Gate, unit: str) -> str | None:
    """What is wrong with a gate for a metric of this unit; None where nothing is."""
    if gate.relation == SLOWER and unit != "s":
        return f"{gate.metric} is in {unit}: write `{LARGER}` instead of `{SLOWER}`"
    if gate.relation == LARGER and unit == "s":
        return f"{gate.metric} is in seconds: write `{SLOWER}` instead of `{LARGER}`"
    if gate.relative or gate.unit == (unit if unit in ("s", "bytes") else ""):
        return None
    if unit == "s":
        return f"{gate.metric} is in seconds: write a limit such as `2 s` or `500 ms`"
    if unit == "bytes":
        return f"{gate.metric} is in bytes: write a limit such as `200MB` or `1.5 GiB`"
    return f"{gate.metric} is in {unit}: write a number without a unit, such as `12`"


def meant(name: str, names: Collection[str]) -> str:
    """A question whether one of these names was meant; empty where none is close."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean `{plain(close[0])}`?" if close else ""
