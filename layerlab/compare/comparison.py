"""A comparison: a variant beside the baseline in one metric, with how sure that is."""

from dataclasses import dataclass
from enum import StrEnum

from layerlab.compare.metric import Metric


@dataclass(frozen=True)
class Turn:
    """What one turn of a variant measured in one metric."""

    round: int
    variant: str
    #: In the metric's unit; None where the run failed or timed out.
    value: float | None
    #: Why the value must not be used.
    invalid: str | None = None
    #: The baseline's second turn in a round, which tells how much the same thing differs from itself.
    control: bool = False

    @property
    def void(self) -> str | None:
        """Why it has no value that may be used; None where it has."""
        return self.invalid or (None if self.value is not None else "no value")


@dataclass(frozen=True)
class Pair:
    """The variant and the baseline in one round."""

    round: int
    #: Variant / baseline; None where the pair is void.
    ratio: float | None
    #: Why it is void.
    void: str | None = None
    #: Far from the other pairs (by MAD): shown, and used like them.
    outlier: bool = False


@dataclass(frozen=True)
class Interval:
    """Where the true ratio is, with this confidence."""

    low: float
    high: float
    #: From 0 to 1.
    confidence: float
    #: "min-max" or "bootstrap".
    method: str


@dataclass(frozen=True)
class Effect:
    """How a variant differs from the baseline: a ratio below 1 is better."""

    #: The median of the valid pairs' ratios.
    ratio: float
    #: None where there are too few pairs to say.
    interval: Interval | None
    pairs: tuple[Pair, ...]


class Verdict(StrEnum):
    """What can be said."""

    FASTER = "faster"
    SLOWER = "slower"
    SMALLER = "smaller"
    LARGER = "larger"
    #: Inside the margin; of exact metrics: not one byte or step differs, save as a note says.
    SAME = "same"
    UNDECIDED = "undecided"
    #: Not measured, or every pair is void.
    VOID = "void"


@dataclass(frozen=True)
class Comparison:
    """A variant beside the baseline in one metric."""

    metric: Metric
    baseline: str
    variant: str
    #: Medians of the valid values, in the metric's unit; None where there is none.
    baseline_value: float | None
    variant_value: float | None
    #: Of the variant's median, in the metric's unit; None for exact metrics and of too few values.
    variant_interval: Interval | None
    #: None for exact metrics, and where no pair is valid.
    effect: Effect | None
    #: The baseline beside itself; None where it was not measured twice in a round.
    noise: Effect | None
    #: The share of the baseline that a difference must exceed to matter, e.g. 0.05; more than was asked for
    #: where that share would be less than anybody notices (:attr:`Metric.negligible`).
    margin: float
    verdict: Verdict
    #: About how many more pairs would decide; None where it is decided, or no number of rounds would.
    more_pairs: int | None = None
    #: What a reader must know: too few rounds, a machine that is too noisy for the question.
    notes: tuple[str, ...] = ()
