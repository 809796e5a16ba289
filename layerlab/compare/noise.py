"""Noise: whether this machine is quiet enough for the question."""

import math
from dataclasses import dataclass

from layerlab.compare.comparison import Effect
from layerlab.compare.metric import Metric
from layerlab.text import counted

#: Of the processors' time, what others may use or take before it is said: below that, the noise of builds is larger.
_OTHERS = 0.1
_STEAL = 0.02


@dataclass(frozen=True)
class Conditions:
    """What a machine did while layerlab did nothing for a moment."""

    processors: int
    #: Mean number of processes that ran or wanted to, of the last minute; None where the system has none.
    load: float | None
    #: The share of all processors' time that others used, from 0 to 1; None where nobody can say.
    others: float | None
    #: The share that other machines on the same hardware took.
    steal: float | None
    #: Other runs of layerlab on this machine.
    runs: int = 0
    #: Builds of others on this engine.
    builds: int = 0


def disturbances(conditions: Conditions) -> tuple[str, ...]:
    """What makes the machine noisy, a sentence each; none where it is quiet."""
    found = []
    if conditions.runs:
        found.append(
            f"{counted(conditions.runs, 'other run')} of layerlab on this machine: "
            "seconds are only good when they have ended"
        )
    if conditions.builds:
        found.append(
            f"{counted(conditions.builds, 'other build')} on this engine: its builder is shared with them"
        )
    if conditions.others is not None and conditions.others > _OTHERS:
        found.append(
            f"other programs use {conditions.others:.0%} of the {_processors(conditions)}: "
            "end them, or take more rounds"
        )
    elif conditions.load is not None and conditions.load > conditions.processors:
        # What others did until just now, they may do again.
        found.append(
            f"load {conditions.load:.1f} on {_processors(conditions)} in the last minute: "
            "this machine was busy until now"
        )
    if conditions.steal is not None and conditions.steal > _STEAL:
        found.append(
            f"other machines on the same hardware took {conditions.steal:.0%} of the processors' time"
        )
    return tuple(found)


def wavers(metric: Metric, noise: Effect, margin: float) -> str | None:
    """A sentence where the baseline differs from itself by more than the margin; None where it does not."""
    if noise.interval is None:
        return None
    widest = math.expm1(max(abs(math.log(noise.interval.low)), abs(math.log(noise.interval.high))))
    if widest <= margin:
        return None
    rounds = sum(pair.ratio is not None for pair in noise.pairs)
    return (
        f"this machine wavers by ±{widest:.0%} in {metric.title}: "
        f"differences below that can't be seen in {rounds} rounds"
    )


def _processors(conditions: Conditions) -> str:
    return counted(conditions.processors, "processor")
