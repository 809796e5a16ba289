"""Pairs: a variant beside the baseline, round by round."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from layerlab.compare.comparison import Effect, Pair, Turn
from layerlab.compare.interval import FEWEST, of_median

#: A modified z-score beyond this is an outlier, and what makes MAD / 0.6745 a normal's standard deviation (Iglewicz
#: & Hoaglin, How to Detect and Handle Outliers, 1993; Leys et al., Journal of Experimental Social Psychology 49, 2013).
_OUTLIER_Z = 3.5
_NORMAL_QUARTILE = 0.6745


def effect(turns: Iterable[Turn], baseline: str, variant: str) -> Effect | None:
    """A variant beside the baseline in one metric; None where no pair is valid.

    The baseline of a round in which it had two turns is their geometric mean, which wavers less than one does;
    where one of them is invalid it is the other alone. Round 0 is priming and does not count; a turn
    that was measured anew in its round is the last one.
    """
    kept = list(turns)
    first = _by_round(kept, baseline, control=False)
    second = _by_round(kept, baseline, control=True)
    other = _by_round(kept, variant, control=False)
    pairs = []
    for number in sorted(first.keys() | second.keys() | other.keys()):
        one, two, of_variant = first.get(number), second.get(number), other.get(number)
        beside = [value for value in (_value(one), _value(two)) if value is not None]
        value = _value(of_variant)
        if value is None:
            pairs.append(Pair(number, None, _why_void(of_variant, variant)))
        elif not beside:
            pairs.append(Pair(number, None, _why_void(one or two, baseline)))
        else:
            pairs.append(Pair(number, value / math.prod(beside) ** (1 / len(beside))))
    return _effect(pairs)


def noise(turns: Iterable[Turn], baseline: str) -> Effect | None:
    """The baseline beside itself: its control turn / its first turn; None where it never had both."""
    kept = list(turns)
    first = _by_round(kept, baseline, control=False)
    second = _by_round(kept, baseline, control=True)
    pairs = []
    for number, two in sorted(second.items()):
        before, after = _value(first.get(number)), _value(two)
        if before is None:
            pairs.append(Pair(number, None, _why_void(first.get(number), baseline)))
        elif after is None:
            pairs.append(Pair(number, None, _why_void(two, baseline)))
        else:
            pairs.append(Pair(number, after / before))
    return _effect(pairs)


def log_spread(ratios: Sequence[float]) -> float:
    """The standard deviation of log ratios, by their median absolute deviation: outliers do not move it."""
    logs = [math.log(ratio) for ratio in ratios]
    middle = statistics.median(logs)
    return statistics.median(abs(one - middle) for one in logs) / _NORMAL_QUARTILE


def lack(turn: Turn) -> str | None:
    """Why a turn makes no pair; None where it does."""
    if turn.value is None or turn.void:
        return turn.void
    return None if turn.value > 0 else f"a value of {turn.value:g} has no ratio"


def _effect(pairs: Sequence[Pair]) -> Effect | None:
    ratios = [pair.ratio for pair in pairs if pair.ratio is not None]
    if not ratios:
        return None
    middle = statistics.median(ratios)
    spread = log_spread(ratios) if len(ratios) >= FEWEST else 0.0
    flagged = tuple(
        replace(pair, outlier=abs(math.log(pair.ratio / middle)) > _OUTLIER_Z * spread)
        if pair.ratio is not None and spread
        else pair
        for pair in pairs
    )
    return Effect(middle, of_median(ratios), flagged)


def _by_round(turns: Iterable[Turn], variant: str, *, control: bool) -> Mapping[int, Turn]:
    return {
        turn.round: turn
        for turn in turns
        if turn.round > 0 and turn.variant == variant and turn.control == control
    }


def _value(turn: Turn | None) -> float | None:
    return None if turn is None or lack(turn) else turn.value


def _why_void(turn: Turn | None, name: str) -> str:
    return f"{name}: {lack(turn) if turn else 'not measured in this round'}"
