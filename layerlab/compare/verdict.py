"""The verdict: what can be said of a variant beside the baseline, and what can't be said yet.

Of what wavers (seconds, memory) there is a difference when all of these hold:

1. the interval of the median ratio excludes 1;
2. the median ratio is beyond the margin, 1/(1+m) to 1+m;
3. where the baseline had a second turn in its rounds: at most 1 in 200 ways to deal out the names within
   the rounds gives as large a difference (:mod:`layerlab.compare.randomisation`).

The third bounds the false alarms, whatever the distribution of the noise: the first alone would give 3 in 100 with six
rounds of a noisy machine. It took the place of "outside of what the baseline does to itself", which found less and gave
more false alarms (``docs/numbers.md`` has the figures). There is no difference that matters when the whole interval is
inside the margin.
"""

import math
import statistics
from collections.abc import Iterable, Sequence

from layerlab.compare import pairs
from layerlab.compare.comparison import Comparison, Effect, Turn, Verdict
from layerlab.compare.interval import of_median
from layerlab.compare.metric import Metric
from layerlab.compare.noise import wavers
from layerlab.compare.randomisation import chance
from layerlab.text import counted
from layerlab.units import value_text

#: The share of the baseline that a difference must exceed to matter, unless a user says otherwise.
DEFAULT_MARGIN = 0.05
#: The chance of a false alarm that a verdict may have.
_LEVEL = 1 / 200
#: Three turns a round can be named in 3**6 = 729 ways: with fewer rounds nothing is as rare as that.
ENOUGH_PAIRS = 6
#: After so many rounds; see :func:`looks`.
LOOKS = (6, 9, 12, 16, 20)
#: From here on more pairs narrow the interval; the range of up to eight does not.
_NARROWING_PAIRS = 9
#: Nobody waits for more.
_MOST_MORE_PAIRS = 200
#: A median of n values has 1.2533 times the standard error of their mean (asymptotically, of a normal distribution).
_MEDIAN_FACTOR = math.sqrt(math.pi / 2)
_NAMES = {"s": "seconds"}


def looks(number: int, first: int) -> bool:
    """Whether a bench that goes on until it is decided looks at its verdicts after so many rounds.

    Every look is one more chance to be wrong, and seven or eight rounds tell no more than six; with these
    looks, simulation (`benchmarks/comparing.py`) finds the false alarms that docs/numbers.md gives.
    """
    if number <= first or number > LOOKS[-1]:
        return number == first or (number > LOOKS[-1] and number % 5 == 0)
    return number in LOOKS


def compare(
    metric: Metric, turns: Iterable[Turn], baseline: str, variant: str, margin: float
) -> Comparison:
    """A variant beside the baseline in one metric, by the turns of both; ``margin`` is a share such as 0.05.

    Turns of other variants are left out, and so is round 0, which is priming.
    """
    counted = [turn for turn in turns if turn.round > 0 and turn.variant in (baseline, variant)]
    of_baseline = _values(turn for turn in counted if turn.variant == baseline)
    of_variant = _values(turn for turn in counted if turn.variant == variant)
    middle = statistics.median(of_baseline) if of_baseline else None
    if middle and metric.negligible:
        margin = max(margin, metric.negligible / middle)
    effect = noise = interval = more = None
    if metric.exact:
        verdict, notes = _exact(metric, of_baseline, of_variant, baseline, variant, margin)
    else:
        effect = pairs.effect(counted, baseline, variant)
        noise = pairs.noise(counted, baseline)
        interval = of_median(of_variant)
        verdict = judge(metric, effect, noise, margin)
        if verdict is Verdict.UNDECIDED and effect:
            more = more_pairs(effect, margin)
        notes = _notes(metric, effect, noise, margin, verdict, more)
    if verdict is Verdict.VOID or metric.exact:
        notes += _voids(counted)
    return Comparison(
        metric=metric,
        baseline=baseline,
        variant=variant,
        baseline_value=middle,
        variant_value=statistics.median(of_variant) if of_variant else None,
        variant_interval=interval,
        effect=effect,
        noise=noise,
        margin=margin,
        verdict=verdict,
        more_pairs=more,
        notes=tuple(notes),
    )


def judge(metric: Metric, effect: Effect | None, noise: Effect | None, margin: float) -> Verdict:
    """The verdict on a metric that wavers, by the rule at the top; ``margin`` is taken as it is given."""
    if effect is None:
        return Verdict.VOID
    if effect.interval is None:
        return Verdict.UNDECIDED
    less, more = (
        (Verdict.FASTER, Verdict.SLOWER)
        if metric.unit == "s"
        else (Verdict.SMALLER, Verdict.LARGER)
    )
    low, high = 1 / (1 + margin), 1 + margin
    if low <= effect.interval.low and effect.interval.high <= high:
        return Verdict.SAME
    excludes_one = effect.interval.low > 1 or effect.interval.high < 1
    if excludes_one and not low <= effect.ratio <= high and _rare(effect, noise):
        return more if effect.ratio > 1 else less
    return Verdict.UNDECIDED


def more_pairs(effect: Effect, margin: float) -> int | None:
    """About how many more pairs would decide; None where it is more than anybody waits for.

    By the normal distribution, for the effect and the spread that were seen: the difference must be rarer than 1 in 200
    if it is beyond the margin, and the interval must end inside the margin if it is not.
    """
    ratios = [pair.ratio for pair in effect.pairs if pair.ratio is not None]
    have = len(ratios)
    if have < 3:
        return ENOUGH_PAIRS - have
    size, edge = abs(math.log(effect.ratio)), math.log1p(margin)
    if size > edge:
        errors, room = statistics.NormalDist().inv_cdf(1 - _LEVEL / 2), size
    else:
        errors, room = statistics.NormalDist().inv_cdf(0.975) * _MEDIAN_FACTOR, edge - size
    if not room:
        return None
    needed = math.ceil((errors * pairs.log_spread(ratios) / room) ** 2)
    if max(needed, have) > ENOUGH_PAIRS or have == ENOUGH_PAIRS:
        needed = max(needed, _NARROWING_PAIRS)
    more = max(needed, ENOUGH_PAIRS, have + 1) - have
    return more if more <= _MOST_MORE_PAIRS else None


def _rare(effect: Effect, noise: Effect | None) -> bool:
    """Whether chance hardly ever gives such a difference; taken for granted without a control turn."""
    if noise is None:
        return True
    control = {pair.round: pair.ratio for pair in noise.pairs}
    rounds = []
    for pair in effect.pairs:
        if pair.ratio is None:
            continue
        # As logarithms, with the baseline's first turn at 0 and the baseline of the round midway.
        beside = control.get(pair.round)
        if beside is None:
            rounds.append([math.log(pair.ratio), 0.0])
        else:
            other = math.log(beside)
            rounds.append([math.log(pair.ratio) + other / 2, 0.0, other])
    return chance(rounds) <= _LEVEL


def _exact(
    metric: Metric,
    of_baseline: Sequence[float],
    of_variant: Sequence[float],
    baseline: str,
    variant: str,
    margin: float,
) -> tuple[Verdict, list[str]]:
    """The verdict on a metric that does not waver.

    One that differs from round to round all the same is judged by all its values: when those of the variant are all on
    one side of the baseline's, it differs; when all are as close as the margin, it does not.
    """
    if not of_baseline or not of_variant:
        return Verdict.VOID, []
    notes = [
        f"{name} is not the same in every round: from {value_text(min(values), metric.unit)} "
        f"to {value_text(max(values), metric.unit)}"
        for name, values in ((baseline, of_baseline), (variant, of_variant))
        if min(values) != max(values)
    ]
    if max(of_variant) < min(of_baseline):
        return Verdict.SMALLER, notes
    if min(of_variant) > max(of_baseline):
        return Verdict.LARGER, notes
    together = (*of_baseline, *of_variant)
    if max(together) <= min(together) * (1 + margin):
        return Verdict.SAME, notes
    return Verdict.UNDECIDED, notes


def _notes(
    metric: Metric,
    effect: Effect | None,
    noise: Effect | None,
    margin: float,
    verdict: Verdict,
    more: int | None,
) -> list[str]:
    if effect is None:
        return []
    notes = []
    count = sum(pair.ratio is not None for pair in effect.pairs)
    if effect.interval is None:
        unit = _NAMES.get(metric.unit, metric.unit)
        rounds = f"{counted(count, 'round')} say{'s' * (count == 1)}"
        notes.append(
            f"{rounds} nothing of {unit}: about {more} more" if more else f"{rounds} nothing"
        )
    elif verdict is Verdict.UNDECIDED:
        if noise and (said := wavers(metric, noise, margin)):
            notes.append(said)
        if more is None:
            notes.append(f"{_MOST_MORE_PAIRS} more rounds would hardly tell")
    elif verdict is not Verdict.SAME and noise is None:
        notes.append(
            "the baseline was not measured against itself: "
            f"up to {1 - effect.interval.confidence:.1%} of such verdicts are chance"
        )
    return notes


def _voids(turns: Iterable[Turn]) -> list[str]:
    return [f"round {turn.round}, {turn.variant}: {turn.void}" for turn in turns if turn.void]


def _values(turns: Iterable[Turn]) -> list[float]:
    return [turn.value for turn in turns if turn.value is not None and not turn.void]
