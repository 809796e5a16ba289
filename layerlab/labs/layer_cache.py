"""The layer-cache lab: cold builds and rebuilds after an edit, round by round."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from layerlab.build import cachemiss
from layerlab.build.buildx import Build
from layerlab.build.context import EDITS, Context, Edit
from layerlab.build.variant import Variant
from layerlab.compare.rounds import interleaved
from layerlab.compare.verdict import ENOUGH_PAIRS
from layerlab.errors import LabError, RunLost
from layerlab.lab import Lab
from layerlab.show import layer_cache as shown
from layerlab.show import tables
from layerlab.show.buildtimes import timeline_svg
from layerlab.show.dots import samples_svg
from layerlab.show.plots import first_rows
from layerlab.show.section import Section
from layerlab.text import counted, plain

EXPERIMENT = "layer-cache"
COLD = "cold"
PRIMING = "priming"
SCENARIOS = (COLD, *(edit.scenario for edit in EDITS))
#: What an answer tells, the most interesting first.
_ASKED = (
    *((e.scenario, f"after an edit of {e.path}") for e in EDITS if e.scenario == "source-edit"),
    (COLD, "from nothing"),
)
_TOO_FEW = (
    f"So few rounds are no verdict on seconds: --rounds {ENOUGH_PAIRS} --baseline NAME gives one."
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
        """What an edit of the source costs; see :class:`layerlab.result.Result`."""
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
        """The results as tables; see :class:`layerlab.result.Result`."""
        yield Section(
            "layer cache: seconds and steps reused/total",
            tables.layer_cache(self.builds, SCENARIOS, style),
            (
                f"Seconds: wall clock of one build, median of {counted(self.count, 'round')}.",
                "Steps: reused/all of RUN, COPY and ADD.",
                *([_TOO_FEW] if self.count < ENOUGH_PAIRS else []),
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

    Each variant is built once before, which is never counted: what is slow for once (a base that is
    read for the first time) is nobody's. Within a round the variants take turns at every scenario. A
    variant whose build fails is left out from there on; the others go on. A run that is gone on with
    begins after its last complete round.
    """
    rounds = lab.settings.rounds
    earlier = lab.earlier(EXPERIMENT, variants, SCENARIOS)
    builds: dict[str, dict[str, list[Build]]] = {
        variant.name: {one: earlier.of(variant.name, one) for one in SCENARIOS}
        for variant in variants
    }
    result = Rebuilds(builds, lab.problems, count=rounds)
    for variant in variants:
        if (failed := earlier.failures.get(variant.name)) and failed.invalid:
            told = failed.invalid if failed.value is None else _void(variant, failed.invalid)
            result.problems.setdefault(variant.name, LabError(told))
    left = [one for one in interleaved(variants, rounds) if one[0] > earlier.complete]
    turns = len(variants) * (len(SCENARIOS) * len(left) + bool(left))
    with lab.screen.work("layer cache", turns):
        for position, variant in enumerate(variants if left else (), 1):
            if variant.name not in {*result.problems, *earlier.primed}:
                with _kept_problems(result, variants, variant):
                    _prime(lab, variant, position)
            lab.screen.done()
        for number, order in left:
            contexts: dict[str, Context] = {}
            for edit in (None, *EDITS):
                for position, variant in enumerate(order, 1):
                    if variant.name in result.problems:
                        lab.screen.done()
                        continue
                    with _kept_problems(result, variants, variant):
                        built = _rebuild(lab, variant, edit, number, position, contexts)
                        result.builds[variant.name][scenario_of(edit)].append(built)
                    lab.screen.done()
            for context in contexts.values():
                shutil.rmtree(context.folder)
    lab.results[EXPERIMENT] = result
    return result


@contextmanager
def _kept_problems(
    result: Rebuilds, variants: Sequence[Variant], variant: Variant
) -> Iterator[None]:
    """A variant's problem is kept for its tests; one that ends the run is every variant's."""
    try:
        yield
    except RunLost as problem:
        result.problems.update({v.name: problem for v in variants})
    except LabError as problem:
        result.problems[variant.name] = problem


def _prime(lab: Lab, variant: Variant, position: int) -> None:
    """Build a variant of the app as it is, from the cache where that has it."""
    context = lab.context(f"{PRIMING}-{variant.slug}", None)
    built = _build(lab, variant, context, PRIMING, (0, position), PRIMING, cold=False)
    lab.keep_build(variant, PRIMING, built, number=0, position=position, invalid=None)
    shutil.rmtree(context.folder)


def _build(
    lab: Lab,
    variant: Variant,
    context: Context,
    scenario: str,
    turn: tuple[int, int],
    what: str,
    *,
    cold: bool,
) -> Build:
    """One build of a round and position; that it failed is recorded, too."""
    try:
        return lab.build(variant, context, what, cold=cold)
    except RunLost:
        raise
    except LabError as problem:
        number, position = turn
        lab.keep(
            EXPERIMENT,
            variant,
            scenario,
            ("wall", None, "s"),
            number=number,
            position=position,
            invalid=str(problem),
            context=context.digest,
        )
        raise


def _void(variant: Variant, invalid: str) -> str:
    return (
        f"{variant.path.name}: the measurement is void: {invalid}; is another program using "
        "or pruning this engine's build cache?"
    )


def _rebuild(
    lab: Lab,
    variant: Variant,
    edit: Edit | None,
    number: int,
    position: int,
    contexts: dict[str, Context],
) -> Build:
    nonce = f"{lab.run.nonce}-{variant.slug}-{number}"
    if edit is None:
        contexts[variant.name] = lab.context(nonce, nonce)
    else:
        contexts[variant.name].apply(edit, nonce)
    scenario = scenario_of(edit)
    what = f"{scenario}, round {number}/{lab.settings.rounds}"
    context, turn = contexts[variant.name], (number, position)
    built = _build(lab, variant, context, scenario, turn, what, cold=edit is None)
    invalid = None
    if edit is None:
        invalid = cachemiss.invalid_cold(built)
    elif edit.path is None:
        invalid = cachemiss.invalid_no_change(built)
    lab.keep_build(variant, scenario, built, number=number, position=position, invalid=invalid)
    if invalid:
        raise LabError(_void(variant, invalid))
    return built


def scenario_of(edit: Edit | None) -> str:
    """The name of the scenario that an edit makes; None is the cold build."""
    return edit.scenario if edit else COLD
