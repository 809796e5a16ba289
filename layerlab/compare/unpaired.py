"""Two sets of measurements that do not belong together pair by pair: is one of them lower?"""

import math
import statistics
from collections.abc import Sequence

from layerlab.compare.comparison import Effect, Interval, Verdict
from layerlab.compare.metric import Metric
from layerlab.compare.verdict import judge

#: How often a difference may be found where there is none.
FALSE_ALARMS = 0.05
METHOD = "mann-whitney"


def chance(first: int, second: int) -> float:
    """How often two sets of so many values, of the same thing, come apart: all of one above the other.

    It is the two-sided probability of the most extreme rank sum, whatever the values' distribution
    (H. B. Mann and D. R. Whitney, Annals of Mathematical Statistics 18, 1947: U = 0 in one of the
    C(n + m, n) orders, all of which are as likely).
    """
    return min(1.0, 2 / math.comb(first + second, first))


def rounds_needed() -> int:
    """In how many rounds each of two runs must have measured something for a verdict on it."""
    return next(count for count in range(1, 99) if chance(count, count) <= FALSE_ALARMS)


def effect(first: Sequence[float], second: Sequence[float]) -> Effect | None:
    """By which ratio the second set differs from the first; None where a ratio has no meaning.

    Its interval is [min / max, max / min], the widest that the same test's inversion gives (Hodges and
    Lehmann, 1963): it excludes 1 just when the sets come apart.
    """
    if not first or not second or min(*first, *second) <= 0:
        return None
    ratio = statistics.median(second) / statistics.median(first)
    interval = Interval(
        min(second) / max(first),
        max(second) / min(first),
        1 - chance(len(first), len(second)),
        METHOD,
    )
    return Effect(ratio, interval, ())


def verdict(
    metric: Metric, first: Sequence[float], second: Sequence[float], margin: float
) -> Verdict:
    """What two runs' values of a metric say: the second beside the first.

    Exact metrics differ by any difference. Of others, one is lower only where all its values are and there
    are enough of them; beyond that the rule of :func:`layerlab.compare.verdict.judge` holds.
    """
    if not first or not second:
        return Verdict.VOID
    if metric.exact:
        if set(first) == set(second):
            return Verdict.SAME
        if max(second) < min(first) or min(second) > max(first):
            return Verdict.SMALLER if max(second) < min(first) else Verdict.LARGER
        return Verdict.UNDECIDED  # What is said to be exact differs within a run.
    found = effect(first, second)
    enough = chance(len(first), len(second)) <= FALSE_ALARMS
    if found is None or not enough:
        return Verdict.UNDECIDED
    return judge(metric, found, None, max(margin, metric.negligible / statistics.median(first)))
