"""The layer-cache lab: cold builds and rebuilds after an edit, round by round."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from layerlab.build import cachemiss
from layerlab.build.buildx import Build
from layerlab.build.context import EDITS, Context, Edit
from layerlab.build.variant import Variant
from layerlab.compare.rounds import interleaved
from layerlab.errors import LabError, RunLost
from layerlab.lab import Lab, slug
from layerlab.record.samples import build_samples
from layerlab.show import layer_cache as shown
from layerlab.show import tables
from layerlab.show.buildtimes import timeline_svg
from layerlab.show.dots import samples_svg
from layerlab.show.plots import first_rows
from layerlab.show.section import Section
from layerlab.text import plain

EXPERIMENT = "layer-cache"
COLD = "cold"
SCENARIOS = (COLD, *(edit.scenario for edit in EDITS))
#: What an answer tells, the most interesting first.
_ASKED = (
    *((e.scenario, f"after an edit of {e.path}") for e in EDITS if e.scenario == "source-edit"),
    (COLD, "from nothing"),
)
#: The scenarios whose steps are drawn.
_PICTURED = (COLD, "source-edit")


@dataclass(frozen=True)
class Rebuilds:
    """What the layer-cache lab measured."""

    #: variant -> scenario -> the rounds' builds that are valid
    builds: dict[str, dict[str, list[Build]]]
    #: variant -> why it was not measured to the end
    problems: dict[str, LabError]
    #: How many rounds were asked for.
    count: int = field(default=0, kw_only=True)
    question: ClassVar[str] = shown.QUESTION

    def answer(self) -> str:
        """What an edit of the source costs; see :class:`layerlab.lab.Result`."""
        failed = [name for name in self.builds if name in self.problems]
        return shown.answer(self.builds, _ASKED, failed)

    def rounds(self, variant: Variant, scenario: str) -> list[Build]:
        """A scenario's builds.

        Raises:
            LabError: the variant's build failed, or a measurement was invalid.
        """
        if problem := self.problems.get(variant.name):
            raise problem
        return self.builds[variant.name][scenario]

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.lab.Result`."""
        yield Section(
            "layer cache: seconds and steps reused/total",
            tables.layer_cache(self.builds, SCENARIOS, style),
            (
                f"Seconds: wall clock of one build, median of {self.count} round{'s' * (self.count > 1)}.",
                "Steps: reused/all of RUN, COPY and ADD.",
            ),
        )
        for variant, by_scenario in self.builds.items():
            for scenario, builds in by_scenario.items():
                if builds:
                    title = f"{plain(variant)}: steps, {scenario}"
                    table = tables.steps(builds[-1], style, width)
                    yield Section(title, table, on_request="steps")

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """The steps of a cold build beside those of a rebuild, and every build's time."""
        builds = {name: its for name, its in self.builds.items() if its[COLD]}
        if not builds:
            return
        title, some = first_rows("A cold build beside the rebuild after an edit of main.py", builds)
        last = {
            name: {one: its[one][-1] for one in _PICTURED if its[one]} for name, its in some.items()
        }
        path = folder / "builds.svg"
        timeline_svg(title, last, path)
        yield title, path
        for scenario in (COLD, *(e.scenario for e in EDITS if e.path)):
            seconds = {
                name: [build.wall_seconds for build in its[scenario]]
                for name, its in builds.items()
                if its[scenario]
            }
            if seconds:
                title, some_seconds = first_rows(f"Seconds of every build: {scenario}", seconds)
                path = folder / f"{scenario}.svg"
                samples_svg(title, some_seconds, "s", path)
                yield title, path


def measure(lab: Lab, variants: Sequence[Variant]) -> Rebuilds:
    """Measure a cold build and each rebuild of each variant, round by round.

    Within a round the variants take turns at every scenario. A variant whose build fails is left
    out from there on; the others go on.
    """
    rounds = lab.settings.rounds
    builds: dict[str, dict[str, list[Build]]] = {
        variant.name: {scenario: [] for scenario in SCENARIOS} for variant in variants
    }
    result = Rebuilds(builds, lab.problems, count=rounds)
    with lab.screen.work("layer cache", len(variants) * len(SCENARIOS) * rounds):
        for number, order in interleaved(variants, rounds):
            contexts: dict[str, Context] = {}
            for edit in (None, *EDITS):
                for position, variant in enumerate(order, 1):
                    if variant.name in result.problems:
                        lab.screen.done()
                        continue
                    try:
                        built = _rebuild(lab, variant, edit, number, position, contexts)
                    except RunLost as problem:
                        result.problems.update({v.name: problem for v in variants})
                    except LabError as problem:
                        result.problems[variant.name] = problem
                    else:
                        result.builds[variant.name][scenario_of(edit)].append(built)
                    lab.screen.done()
            for context in contexts.values():
                shutil.rmtree(context.folder)
    lab.results[EXPERIMENT] = result
    return result


def _rebuild(
    lab: Lab,
    variant: Variant,
    edit: Edit | None,
    number: int,
    position: int,
    contexts: dict[str, Context],
) -> Build:
    nonce = f"{lab.run.id}-{slug(variant)}-{number}"
    if edit is None:
        contexts[variant.name] = lab.context(nonce, nonce)
    else:
        contexts[variant.name].apply(edit, nonce)
    scenario = scenario_of(edit)
    what = f"{scenario}, round {number}/{lab.settings.rounds}"
    built = lab.build(variant, contexts[variant.name], what, cold=edit is None)
    invalid = None
    if edit is None:
        invalid = cachemiss.invalid_cold(built)
    elif edit.path is None:
        invalid = cachemiss.invalid_no_change(built)
    for sample in build_samples(variant, scenario, number, position, built, invalid):
        lab.store.add(lab.run.id, sample, built.steps if sample.metric == "wall" else ())
    if invalid:
        raise LabError(
            f"{variant.path.name}: the measurement is void: {invalid}; is another program using "
            "or pruning this engine's build cache?"
        )
    return built


def scenario_of(edit: Edit | None) -> str:
    """The name of the scenario that an edit makes; None is the cold build."""
    return edit.scenario if edit else COLD
