"""The interval of a median: between which values the true one is, and how sure that is."""

import random
import statistics
from collections.abc import Sequence

from layerlab.compare.comparison import Interval

#: With fewer values even all of them together are less than 90 % sure: nothing is said.
FEWEST = 5
#: Up to here all values together are the interval; a bootstrap of so few covers too little.
_MOST_FOR_RANGE = 8
_CONFIDENCE = 0.95
_RESAMPLES = 2_000
_NORMAL = statistics.NormalDist()


def of_median(values: Sequence[float]) -> Interval | None:
    """The interval of the median of what was drawn independently; None for fewer than five values.

    Up to eight values it is their range: the true median is outside only if all values fall on the same side
    of it, whatever their distribution, so that the confidence is 1 - 2**(1 - n), 96.9 % for six (Thompson, On
    confidence ranges for the median, Annals of Mathematical Statistics 7, 1936). Above that it is the
    bias-corrected bootstrap at 95 % (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, section 14.3,
    with an acceleration of 0), with the same resamples each time.
    """
    count = len(values)
    if count < FEWEST:
        return None
    if count <= _MOST_FOR_RANGE:
        return Interval(min(values), max(values), 1 - 2.0 ** (1 - count), "min-max")
    return _bootstrap(values)


def _bootstrap(values: Sequence[float]) -> Interval:
    count = len(values)
    drawn = random.Random(0).choices(values, k=count * _RESAMPLES)
    medians = sorted(
        statistics.median(drawn[start : start + count]) for start in range(0, len(drawn), count)
    )
    observed = statistics.median(values)
    # A resample's median is often the observed one itself, which counts half to each side.
    below = sum(one < observed for one in medians) + sum(one == observed for one in medians) / 2
    bias = _NORMAL.inv_cdf(min(max(below, 1), _RESAMPLES - 1) / _RESAMPLES)
    edge = _NORMAL.inv_cdf((1 + _CONFIDENCE) / 2)
    low, high = (
        medians[round(_NORMAL.cdf(2 * bias + side) * (_RESAMPLES - 1))] for side in (-edge, edge)
    )
    return Interval(low, high, _CONFIDENCE, "bootstrap")
