"""How often layerlab's verdicts are right, in simulation, beside what a plain mean would have said.

    .venv/bin/python benchmarks/comparing.py [--trials 2000] [--seed 7]

Simulates runs of a variant beside the baseline on machines whose times waver as real ones do, with the rounds as
`bench` orders them, and hands the times to :func:`layerlab.compare.verdict.compare`. Beside it, what is usual: the
baseline as many times as there are rounds, then the variant as many times, and their means.

A time is exp(effect + drift + noise + spike) seconds:
- noise is normal with a standard deviation `sd`, and as much like that of the turn before as `memory` says, AR(1);
- a drift grows linearly over the run; a spike comes with a chance of 1 in 10 and adds exponentially 30 % on average.
"""

import argparse
import math
import random
import statistics
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from layerlab.compare.comparison import Comparison, Turn, Verdict
from layerlab.compare.metric import Metric
from layerlab.compare.rounds import interleaved
from layerlab.compare.verdict import LOOKS, compare, judge

SECONDS = Metric("build.cold", "cold build", "s", exact=False)
MARGIN = 0.05
ROUNDS = (6, 8, 12, 20)
_DIFFERENT = (Verdict.FASTER, Verdict.SLOWER)


@dataclass(frozen=True)
class Machine:
    """How the times of one and the same work waver."""

    name: str
    sd: float = 0.03
    #: The share by which times have grown at the end of a run.
    drift: float = 0.0
    #: The chance of a spike in a turn.
    spikes: float = 0.0
    #: How much of a turn's noise is that of the turn before, 0 to 1.
    memory: float = 0.0

    def times(self, turns: int, rng: random.Random) -> list[float]:
        """What a second of work takes, turn by turn."""
        times, noise = [], rng.gauss(0, self.sd)
        for turn in range(turns):
            fresh = rng.gauss(0, self.sd * math.sqrt(1 - self.memory**2))
            noise = self.memory * noise + fresh
            spike = rng.expovariate(1 / 0.3) if rng.random() < self.spikes else 0.0
            drift = math.log1p(self.drift) * turn / max(1, turns - 1)
            times.append(math.exp(drift + noise + spike))
        return times


MACHINES = (
    Machine("noise 3 %"),
    Machine("noise 15 %", sd=0.15),
    Machine("drift 20 %", drift=0.2),
    Machine("spikes", spikes=0.1),
    Machine("AR(1) 0.6, 5 %", sd=0.05, memory=0.6),
    Machine("all of them", sd=0.05, drift=0.2, spikes=0.1, memory=0.6),
)


def turns(machine: Machine, rounds: int, slower: float, rng: random.Random) -> list[Turn]:
    """The turns of a bench of a variant that takes ``slower`` (a share) more than the baseline."""
    entrants = (("old", False), ("new", False), ("old", True))
    order = [(number, *who) for number, those in interleaved(entrants, rounds) for who in those]
    times = machine.times(len(order), rng)
    return [
        Turn(number, name, time * (1 + slower * (name == "new")), control=control)
        for (number, name, control), time in zip(order, times, strict=True)
    ]


def bench(machine: Machine, rounds: int, slower: float, rng: random.Random) -> Comparison:
    """What layerlab says of a simulated bench."""
    return compare(SECONDS, turns(machine, rounds, slower, rng), "old", "new", MARGIN)


def covers(comparison: Comparison, ratio: float) -> bool:
    """Whether the interval holds the true ratio."""
    interval = comparison.effect and comparison.effect.interval
    return interval is not None and interval.low <= ratio <= interval.high


def sequential(machine: Machine, rounds: int, rng: random.Random) -> tuple[bool, bool]:
    """All of the baseline, then all of the variant, which is the same: does the 95 % interval of the difference of
    means (Welch's t, its quantile at the degrees of freedom of equal variances) hold 0, and did a gate on a mean
    that grew by 10 % fail?"""
    times = machine.times(2 * rounds, rng)
    old, new = times[:rounds], times[rounds:]
    difference = statistics.fmean(new) - statistics.fmean(old)
    error = math.sqrt((statistics.variance(old) + statistics.variance(new)) / rounds)
    quantile = {6: 2.228, 8: 2.145, 12: 2.074, 20: 2.024}[rounds]
    return abs(difference) <= quantile * error, difference > 0.1 * statistics.fmean(old)


def same_thing(job: tuple[Machine, int, int, int]) -> list[object]:
    """A line of the first table: what is said of a thing beside itself."""
    machine, rounds, trials, seed = job
    rng = random.Random(f"{seed} {machine} {rounds}")
    said = [bench(machine, rounds, 0, rng) for _ in range(trials)]
    verdicts = Counter(one.verdict for one in said)
    plain = [sequential(machine, rounds, rng) for _ in range(trials)]
    return [
        machine.name,
        rounds,
        sum(covers(one, 1) for one in said) / trials,
        sum(verdicts[one] for one in _DIFFERENT) / trials,
        verdicts[Verdict.SAME] / trials,
        sum(held for held, _ in plain) / trials,
        sum(failed for _, failed in plain) / trials,
    ]


def found(job: tuple[float, int, float, int, int]) -> float:
    """The share of benches that call a slower variant slower."""
    sd, rounds, slower, trials, seed = job
    rng = random.Random(f"{seed} {sd} {rounds} {slower}")
    machine = Machine("", sd=sd)
    return (
        sum(bench(machine, rounds, slower, rng).verdict is Verdict.SLOWER for _ in range(trials))
        / trials
    )


def rules(job: tuple[float, float, int, int]) -> list[object]:
    """A line of the table of rules: how often each says "slower" or "faster" in six rounds."""
    sd, slower, trials, seed = job
    rng = random.Random(f"{seed} {sd} {slower} rules")
    machine = Machine("", sd=sd)
    alone = beyond = kept = 0
    for _ in range(trials):
        said = bench(machine, 6, slower, rng)
        assert said.effect is not None
        if judge(SECONDS, said.effect, None, MARGIN) not in _DIFFERENT:
            continue
        alone += 1
        kept += said.verdict in _DIFFERENT
        noise = said.noise and said.noise.interval
        beyond += noise is not None and not noise.low <= said.effect.ratio <= noise.high
    return [sd, slower, alone / trials, beyond / trials, kept / trials]


def until_decided(job: tuple[Machine, float, int, int]) -> list[object]:
    """A line of the last table: a bench that looks several times, and ends when its verdict stands."""
    machine, slower, trials, seed = job
    rng = random.Random(f"{seed} {machine} {slower} looks")
    ends: Counter[Verdict] = Counter()
    rounds = 0
    for _ in range(trials):
        taken = turns(machine, LOOKS[-1], slower, rng)
        for look in LOOKS:
            seen = [turn for turn in taken if turn.round <= look]
            verdict = compare(SECONDS, seen, "old", "new", MARGIN).verdict
            if verdict is not Verdict.UNDECIDED:
                break
        ends[verdict] += 1
        rounds += look
    kinds = (Verdict.SLOWER, Verdict.FASTER, Verdict.SAME, Verdict.UNDECIDED)
    return [machine.name, slower, *(ends[kind] / trials for kind in kinds), rounds / trials]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--trials", type=int, default=2000)
    options.add_argument("--seed", type=int, default=7)
    chosen = options.parse_args()
    trials, seed = chosen.trials, chosen.seed
    with ProcessPoolExecutor() as pool:
        print(f"{trials} trials a line, seed {seed}, margin {MARGIN:.0%}\n")
        print("| a thing beside itself | rounds | interval holds 1 | false alarms | same |", end="")
        print(" sequential: holds 0 | mean +10 % |\n|---|---|---|---|---|---|---|")
        jobs = [(machine, n, trials, seed) for machine in MACHINES for n in ROUNDS]
        for name, rounds, *shares in pool.map(same_thing, jobs):
            print(f"| {name} | {rounds} |", *(f"{share:.1%} |" for share in shares), flush=True)

        noises = (0.01, 0.02, 0.03, 0.05, 0.08, 0.15)
        print("\n| 10 % slower, noise |", *(f"{n} rounds |" for n in ROUNDS))
        print("|---|" + "---|" * len(ROUNDS))
        for sd in noises:
            shares = pool.map(found, [(sd, n, 0.1, trials, seed) for n in ROUNDS])
            print(f"| {sd:.0%} |", *(f"{share:.1%} |" for share in shares), flush=True)

        print("\n| six rounds, noise | slower by | the interval alone |", end="")
        print(
            " and beyond the baseline's own range | and rarer than 1 in 200 |\n" + "|---" * 5 + "|"
        )
        kinds = [
            (sd, size, 10 * trials, seed) for size in (0, 0.1) for sd in (0.02, 0.03, 0.05, 0.15)
        ]
        for sd, size, *shares in pool.map(rules, kinds):
            print(f"| {sd:.0%} | {size:.0%} |", *(f"{one:.2%} |" for one in shares), flush=True)

        sizes = (0.06, 0.07, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5)
        print("\n| six rounds, noise |", *(f"{size:.0%} slower |" for size in sizes))
        print("|---|" + "---|" * len(sizes))
        for sd in noises:
            shares = pool.map(found, [(sd, 6, size, trials, seed) for size in sizes])
            print(f"| {sd:.0%} |", *(f"{share:.0%} |" for share in shares), flush=True)

        print(f"\n| until decided, looks after {', '.join(map(str, LOOKS))} rounds |", end="")
        print(" slower by | slower | faster | same | undecided | rounds |\n" + "|---" * 7 + "|")
        for name, slower, *shares, rounds in pool.map(
            until_decided, [(m, size, trials, seed) for m in MACHINES for size in (0, 0.1)]
        ):
            cells = (f"{share:.1%} |" for share in shares)
            print(f"| {name} | {slower:.0%} |", *cells, f"{rounds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
