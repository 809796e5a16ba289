"""The layer-cache lab's answer: what an edit of the source costs, and what it reuses."""

import statistics
from collections.abc import Collection, Mapping, Sequence

from layerlab.build.buildx import Build
from layerlab.show.sentence import named, sentence

QUESTION = "What does a rebuild reuse, and what does an edit cost?"


def answer(
    builds: Mapping[str, Mapping[str, Sequence[Build]]],
    asked: Sequence[tuple[str, str]],
    failed: Collection[str],
) -> str:
    """The variants with the lowest and the highest median, and what they reuse.

    ``builds`` maps variant -> scenario -> the rounds' builds; ``asked`` are scenarios by their
    importance, each with how a sentence tells of it: the first one that was measured counts.
    """
    for scenario, told in asked:
        found = {
            name: by_scenario[scenario]
            for name, by_scenario in builds.items()
            if by_scenario.get(scenario)
        }
        if found:
            medians = {name: seconds(rounds) for name, rounds in found.items()}
            low, high = (
                min(medians, key=medians.__getitem__),
                max(medians, key=medians.__getitem__),
            )
            first = f"{told}, {named(low)} is back in {_cost(found[low])}"
            other = f"{named(high)} needs {_cost(found[high])}" if high != low else None
            return sentence([first, other], failed)
    return sentence([], failed)


def seconds(rounds: Sequence[Build]) -> float:
    """The median of some builds' wall times."""
    return statistics.median(build.wall_seconds for build in rounds)


def _cost(rounds: Sequence[Build]) -> str:
    counts = {(build.reused, len(build.counted)) for build in rounds}
    if len(counts) > 1:
        reuse = "reuses more in some rounds than in others"
    else:
        reused, of = counts.pop()
        reuse = f"reuses {reused} of {of} steps" if reused else "reuses nothing"
    return f"{seconds(rounds):.2f} s and {reuse}"
