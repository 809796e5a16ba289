"""Randomisation: how rarely chance alone gives a difference like the one that was seen."""

import math
import random
from collections.abc import Sequence

#: Up to ten rounds of three turns each are counted out; more are sampled.
_MOST_COUNTED = 59_049
_DRAWS = 10_000


def chance(rounds: Sequence[Sequence[float]]) -> float:
    """The share of all ways to name the turns of each round that give as large a difference, from 0 to 1.

    Each round has the variant's value first, then those of the baseline's turns, as logarithms. If variant and
    baseline are the same thing, their names could be dealt out anew within each round; the difference is
    that between the variant and the mean of the others, summed over the rounds and taken without its sign.
    No distribution is assumed, and a drift from round to round cancels. (Fisher, The Design of Experiments, 1935,
    section 21; Edgington & Onghena, Randomization Tests, 4th ed. 2007; sampled ones by Phipson & Smyth,
    Permutation P-values should never be zero, 2010.)
    """
    named = [_differences(values) for values in rounds]
    seen = abs(sum(differences[0] for differences in named))
    enough = seen - 1e-9 * (1 + seen)  # what is equal must not differ by the order of a sum
    ways = math.prod(len(differences) for differences in named)
    if ways <= _MOST_COUNTED:
        sums = [0.0]
        for differences in named:
            sums = [total + one for total in sums for one in differences]
        return len([total for total in sums if abs(total) >= enough]) / ways
    dealer = random.Random(0)
    drawn = zip(*(dealer.choices(differences, k=_DRAWS) for differences in named), strict=True)
    return (1 + len([one for one in drawn if abs(sum(one)) >= enough])) / (1 + _DRAWS)


def _differences(values: Sequence[float]) -> list[float]:
    """Each value less the mean of the others: what the round would show if that one were the variant."""
    total, others = sum(values), len(values) - 1
    return [value - (total - value) / others for value in values]
