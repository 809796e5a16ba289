"""Two recorded runs side by side: what is not the same about them, and what they measured."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from layerlab.compare import metric as metrics
from layerlab.compare import unpaired
from layerlab.compare.comparison import Comparison, Verdict
from layerlab.compare.metric import Metric
from layerlab.errors import LabError
from layerlab.record.rows import Sample
from layerlab.record.run import RunRecord

#: What makes another machine, and another engine: times can't be compared then.
_MACHINE = {
    "identity": "machine",
    "machine": "architecture",
    "processor": "processor",
    "processors": "number of processors",
    "memory_bytes": "bytes of memory",
    "kernel": "kernel",
    "system": "operating system",
}
_ENGINE = {
    "id": "engine's ID",
    "engine": "engine's version",
    "image_store": "image store",
    "buildx": "buildx",
    "platform": "platform",
    "cpus": "engine's processors",
}
_ELSE = {"python": "Python", "layerlab": "layerlab"}
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Recording:
    """A run with its samples, from a store or from a file."""

    #: As the user named it.
    name: str
    run: RunRecord
    samples: Sequence[Sample]


@dataclass(frozen=True)
class Differences:
    """What is not the same about two runs, in sentences."""

    machine: tuple[str, ...]
    engine: tuple[str, ...]
    #: What has a say in what is measured: bases, contexts, Dockerfiles.
    content: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether seconds can be compared."""
        return not (self.machine or self.engine)

    def __iter__(self) -> Any:
        return iter((*self.machine, *self.engine, *self.content, *self.other))


def differences(first: Recording, second: Recording) -> Differences:
    """What is not the same about two runs; what one of them did not record is said so, too."""
    a, b = first.run, second.run
    return Differences(
        tuple(_changed(a.host, b.host, _MACHINE, "machine")),
        (*_several(first, second), *_changed(a.engine, b.engine, _ENGINE, "engine")),
        (*_bases(a, b), *_digests(first, second)),
        tuple(_changed(a.host, b.host, _ELSE, "")),
    )


def _changed(
    first: Mapping[str, Any], second: Mapping[str, Any], names: Mapping[str, str], what: str
) -> list[str]:
    if what and (not first.get(next(iter(names))) or not second.get(next(iter(names)))):
        return [f"an older layerlab did not record which {what} it was"]
    return [
        f"another {title}: {first.get(key)}, then {second.get(key)}"
        for key, title in names.items()
        if first.get(key) != second.get(key)
    ]


def _several(first: Recording, second: Recording) -> list[str]:
    """An experiment of a run on several engines was measured on any of them."""
    return [
        f"{one.name} was measured on several engines: {', '.join(map(str, engines))}"
        for one in (first, second)
        if isinstance(engines := one.run.settings.get("engines"), list) and engines
    ]


def _bases(a: RunRecord, b: RunRecord) -> list[str]:
    def identities(run: RunRecord) -> dict[str, str]:
        return {
            str(one.get("name")): str(one.get("digest") or one.get("image_id")) for one in run.bases
        }

    then, now = identities(a), identities(b)
    return [
        f"another base image {name}: {then[name][:19]}, then {now[name][:19]}"
        for name in then
        if name in now and then[name] != now[name]
    ]


def _digests(first: Recording, second: Recording) -> list[str]:
    told = []
    variants = {sample.variant: None for sample in first.samples}
    for variant in variants:
        its = [[s for s in one.samples if s.variant == variant] for one in (first, second)]
        if not its[1]:
            continue
        for what, attribute in (("Dockerfile", "digest"), ("build context", "context")):
            then, now = ({getattr(s, attribute) for s in some} - {""} for some in its)
            if then and now and then != now:
                told.append(f"{variant}: another {what}: {_short(then)}, then {_short(now)}")
    return told


def _short(digests: set[str]) -> str:
    return "/".join(sorted(digest[:12] for digest in digests))


def default_baseline(recording: Recording) -> str | None:
    """The variant that others are compared with: the one that was named, else the first that was measured."""
    named = recording.run.settings.get("baseline")
    return str(named) if named else next((s.variant for s in recording.samples), None)


def compared(
    first: Recording, second: Recording, *, baseline: str | None, margin: float
) -> list[Comparison]:
    """What the second run measured beside the first, variant by variant and metric by metric.

    On another machine or engine, times are compared as ratios to ``baseline`` in the same round of the
    same run: the machine has a say in both.

    Raises:
        LabError: ratios are needed, and there is no baseline in both runs.
    """
    ratios = not differences(first, second).comparable
    baseline = baseline or default_baseline(first)
    both = [_values(first.samples), _values(second.samples)]
    if ratios and not all(any(key[3] == baseline for key in its) for its in both):
        raise LabError(
            f"the runs are of different machines or engines, and the baseline {baseline} is not in both: "
            "name one that is with --baseline"
        )
    units = {_key(one): one.unit for one in first.samples}
    found = []
    for key, first_rounds in both[0].items():
        second_rounds = both[1].get(key)
        experiment, scenario, name, variant = key
        if second_rounds is None or not metrics.compared(name):
            continue
        what = metrics.metric(experiment, scenario, name, units[key])
        if ratios and not what.exact:
            if variant == baseline:
                continue
            bases = [its.get((*key[:3], str(baseline)), {}) for its in both]
            pairs = zip((first_rounds, second_rounds), bases, strict=True)
            values = [_ratios(its, base) for its, base in pairs]
            # What is negligible of a ratio, the margin says.
            judged = replace(what, negligible=0.0)
            shown = replace(judged, title=f"{what.title} / {baseline}", unit="ratio")
        else:
            values = [list(first_rounds.values()), list(second_rounds.values())]
            judged = shown = what
        then, now = values
        said = unpaired.verdict(judged, then, now, margin)
        found.append(_comparison(shown, first.name, variant, then, now, margin, said))
    return found


def _comparison(
    what: Metric,
    name: str,
    variant: str,
    first: Sequence[float],
    second: Sequence[float],
    margin: float,
    said: Verdict,
) -> Comparison:
    needed, fewest = unpaired.rounds_needed(), min(len(first), len(second))
    few = said == Verdict.UNDECIDED and not what.exact and fewest < needed
    notes = (f"too few rounds: {fewest}, where {needed} in both runs could tell",) if few else ()
    return Comparison(
        metric=what,
        baseline=name,
        variant=variant,
        baseline_value=statistics.median(first) if first else None,
        variant_value=statistics.median(second) if second else None,
        variant_interval=None,
        effect=None if what.exact else unpaired.effect(first, second),
        noise=None,
        margin=margin,
        verdict=said,
        more_pairs=needed - fewest if few else None,
        notes=notes,
    )


def _values(samples: Sequence[Sample]) -> dict[Key, dict[int, float]]:
    """Each metric's valid values, round by round; a round's last turn counts."""
    found: dict[Key, dict[int, float]] = {}
    for one in samples:
        counted = one.round > 0 and not one.control and one.invalid is None
        if counted and one.value is not None:
            found.setdefault(_key(one), {})[one.round] = one.value
    return found


def _key(one: Sample) -> Key:
    return one.experiment, one.scenario, one.metric, one.variant


def _ratios(its: Mapping[int, float], base: Mapping[int, float]) -> list[float]:
    return [value / base[number] for number, value in its.items() if base.get(number)]
