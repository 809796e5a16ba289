"""What a run that is gone on with has already measured of its rounds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from layerlab.build.buildx import Build
from layerlab.build.progress import Step
from layerlab.record.rows import Kept, Sample
from layerlab.record.store import SUPERSEDED

Turn = tuple[int, str, str]


@dataclass(frozen=True)
class Earlier:
    """The rounds of an experiment that were measured to their end."""

    #: How many there are, from round 1.
    complete: int = 0
    #: variant -> scenario -> the builds of these rounds
    builds: Mapping[str, Mapping[str, Sequence[Build]]] = field(default_factory=dict)
    #: variant -> the invalid sample for which it was not measured to the end
    failures: Mapping[str, Sample] = field(default_factory=dict)
    #: The variants that were primed.
    primed: Collection[str] = ()

    def of(self, variant: str, scenario: str) -> list[Build]:
        """The builds of a scenario."""
        return list(self.builds.get(variant, {}).get(scenario, ()))


def earlier(
    kept: Sequence[Kept],
    steps: Mapping[int, Sequence[Step]],
    variants: Collection[str],
    scenarios: Collection[str],
) -> Earlier:
    """An experiment's complete rounds, from its samples and their steps.

    A round is complete when each variant has a build of each scenario in it, or failed in it or before.
    """
    turns: dict[Turn, dict[str, Kept]] = {}
    failures: dict[str, Sample] = {}
    primed = set()
    for one in kept:
        sample = one.sample
        if sample.invalid is not None:
            if not sample.invalid.startswith(SUPERSEDED):
                failures.setdefault(sample.variant, sample)
        elif sample.round == 0:
            primed.add(sample.variant)
        else:
            turn = (sample.round, sample.variant, sample.scenario)
            turns.setdefault(turn, {})[sample.metric] = one
    builds = {
        turn: _build(its, steps) for turn, its in turns.items() if {"wall", "reused"} <= its.keys()
    }
    complete = 0
    while variants and all(
        (variant in failures and failures[variant].round <= complete + 1)
        or all((complete + 1, variant, scenario) in builds for scenario in scenarios)
        for variant in variants
    ):
        if not any(turn[0] == complete + 1 for turn in builds):
            break  # No round of nothing but failures.
        complete += 1
    return Earlier(
        complete,
        {
            variant: {
                scenario: [
                    builds[number, variant, scenario]
                    for number in range(1, complete + 1)
                    if (number, variant, scenario) in builds
                ]
                for scenario in scenarios
            }
            for variant in variants
        },
        {name: sample for name, sample in failures.items() if sample.round <= complete},
        primed,
    )


def _build(its: Mapping[str, Kept], steps: Mapping[int, Sequence[Step]]) -> Build:
    """A build as it was measured, by its samples' metrics."""
    values = {metric: one.sample.value or 0.0 for metric, one in its.items()}
    return Build(
        exit_code=0,
        wall_seconds=values["wall"],
        engine_seconds=values.get("engine", 0.0),
        context_bytes=int(values.get("context", 0)),
        steps=tuple(steps.get(its["wall"].id, ())),
        failure=None,
    )
