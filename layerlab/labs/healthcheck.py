"""The health lab: what a HEALTHCHECK makes of a container, measured beside what was predicted."""

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from layerlab.build.header import ANY
from layerlab.build.variant import Variant
from layerlab.engine import leftovers
from layerlab.engine.endpoint import version_tuple
from layerlab.errors import LabError, RunLost
from layerlab.lab import Lab
from layerlab.labs.health_case import COMPOSE, Case
from layerlab.labs.health_cases import CASES, START, VARIANT_CASES, fault
from layerlab.labs.health_script import Observed, Observer
from layerlab.record.samples import change_values
from layerlab.run.agreement import TOLERANCE_SECONDS
from layerlab.run.events import Listener, listening
from layerlab.run.health import (
    HEALTHY,
    START_INTERVALS_SINCE,
    STARTING,
    UNHEALTHY,
    Check,
    configured,
)
from layerlab.run.together import each
from layerlab.show import health as shown
from layerlab.show.lanes import lanes_svg
from layerlab.show.plots import first_rows
from layerlab.show.section import Section

EXPERIMENT = "healthcheck"
#: Containers that live at once: their waits overlap, and they leave the processors time to spare.
AT_ONCE = 24
MOST_AGAIN = 8
#: Of a picture: all settings and a few dozen variants.
_MOST_LANES = 150
SCENARIOS = tuple(VARIANT_CASES)
NO_HEALTHCHECK = (
    "its Dockerfile has no HEALTHCHECK, so Docker can't tell whether the app works: add one, such as "
    'HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; '
    "r.urlopen('http://127.0.0.1:8000/health', timeout=2)\"]"
)


@dataclass(frozen=True)
class Healths:
    """What the health lab measured."""

    #: Of a setting by its name, of a variant by its name and scenario.
    seen: dict[str, Observed]
    #: case -> why this engine can't have it
    lacking: Mapping[str, str]
    #: Of a case or variant: why it could not be measured.
    problems: dict[str, LabError]
    #: Variants that have no HEALTHCHECK.
    without: Collection[str]
    engine: str
    #: Seconds that all of them would have taken one after another, and took.
    waited_seconds: float
    took_seconds: float
    #: Sentences that experiments found.
    findings: list[str] = field(default_factory=list)
    question: ClassVar[str] = shown.QUESTION

    def answer(self) -> str:
        """How far off the rules' predictions were, and what the variants became."""
        settings = [one.comparison for one in self.settings.values()]
        starts = {
            name.removesuffix(f": {VARIANT_CASES['start']}"): one.comparison
            for name, one in self.variants.items()
            if name.endswith(f": {VARIANT_CASES['start']}")
        }
        return shown.answer(settings, starts, self.problems)

    def of(self, name: str) -> Observed:
        """What was seen of a case.

        Raises:
            LabError: it could not be measured.
        """
        if problem := self.problems.get(name):
            raise problem
        return self.seen[name]

    @property
    def settings(self) -> dict[str, Observed]:
        """The settings, without the variants."""
        names = {case.name for case in CASES}
        return {name: one for name, one in self.seen.items() if name in names}

    @property
    def variants(self) -> dict[str, Observed]:
        """The variants, each in its scenarios."""
        return {name: one for name, one in self.seen.items() if name not in self.settings}

    def grade(self, variant: Variant, scenario: str) -> str:
        """What became of a variant in a scenario, in the words that its header uses.

        Raises:
            LabError: it could not be measured.
        """
        states = [c.state for c in self.of(_key(variant, scenario)).timeline.announced()]
        if scenario == "start" and not states:
            # Still starting, though the app answered: its probes fail, or have not begun.
            return UNHEALTHY if self.of(_key(variant, scenario)).timeline.probes else STARTING
        if scenario == "start":
            return states[0]
        return UNHEALTHY if states and states[-1] == UNHEALTHY else "unseen"

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.result.Result`."""
        settings = {name: one.comparison for name, one in self.settings.items()}
        variants = {name: one.comparison for name, one in self.variants.items()}
        if settings:
            kinds = {case.name: case.what for case in CASES}
            yield Section(
                "health: when a container changes its state, predicted and measured",
                shown.groups(settings, kinds, style),
                (*self._notes(), *self.findings),
            )
        if variants:
            yield Section(
                "health: what the variants' checks see",
                shown.changes(variants, style, first="variant"),
                tuple(
                    f"{name}: {one.verdict}."
                    for name, one in self.variants.items()
                    if [c.state for c in one.timeline.announced()[:1]] != [HEALTHY]
                ),
            )
        if settings:
            yield Section(
                "health: every change of state",
                shown.changes(settings, style),
                (shown.LETTERS,),
                on_request="timelines",
            )
        # Elsewhere there is a picture of them.
        for name, one in {**settings, **variants}.items() if style == "simple" else ():
            lines = "\n".join(shown.lanes(one, width))
            yield Section(f"health: {name}", lines, (shown.LEGEND,), on_request="timelines")

    def _notes(self) -> Iterator[str]:
        changes = sum(len(one.timeline.announced()) for one in self.settings.values())
        yield (
            f"{len(self.settings)} settings, {changes} changes of state on Engine {self.engine}; up to "
            f"{TOLERANCE_SECONDS:g} s off moby's rules are tolerated."
        )
        yield (
            f"One after another they would have taken {self.waited_seconds:.0f} s; they took "
            f"{self.took_seconds:.0f} s, {AT_ONCE} at a time."
        )
        if again := [name for name, one in self.seen.items() if one.again]:
            yield f"Measured again, alone, since they were off: {'; '.join(again)}."
        for why in dict.fromkeys(self.lacking.values()):
            count = list(self.lacking.values()).count(why)
            yield f"{count} settings are not available: {why}."

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """The timelines as a picture; see :class:`layerlab.result.Result`."""
        if self.seen:
            path = folder / "health.svg"
            rows = {name: one.comparison for name, one in self.seen.items()}
            title, some = first_rows(
                "Health of a container, measured and predicted", rows, _MOST_LANES
            )
            lanes_svg(title, some, path)
            yield title, path


@dataclass(frozen=True)
class _Task:
    """One container to observe."""

    name: str
    case: Case
    variant: Variant
    #: Whether it is the variant that is of interest, and not the setting.
    of_variant: bool


def measure(
    lab: Lab, packaged: Variant | None, variants: Sequence[Variant], cases: Sequence[Case] = CASES
) -> Healths:
    """Watch a container for each case, in the image of ``packaged``, and of each variant with a HEALTHCHECK.

    Several at once; one that is off its prediction is measured again, alone.

    Raises:
        LabError: the image of ``packaged`` can't be built, or the engine went away.
    """
    problems: dict[str, LabError] = {}
    without: set[str] = set()
    tasks: list[_Task] = []
    both = (START, fault(lab.endpoint.can.engine))
    for variant in variants:
        scenarios = [case for case in both if variant.expects(EXPERIMENT, case.what) != ANY]
        try:
            if _healthcheck(lab, variant) is None:
                without.add(variant.name)
            else:
                tasks += [_Task(_key(variant, c.what), c, variant, True) for c in scenarios]
        except RunLost:
            raise
        except LabError as problem:
            problems.update({_key(variant, case.what): problem for case in scenarios})
    if packaged:
        lab.image(packaged)
        tasks += [_Task(case.name, case, packaged, False) for case in cases]
    lacking = {task.name: why for task in tasks if (why := _lacking(lab, task.case))}
    tasks = [task for task in tasks if task.name not in lacking]
    begun = time.monotonic()
    with listening(lab.endpoint, lab.run) as listener, lab.screen.work("health", len(tasks)):
        seen = _observed(lab, listener, tasks, problems)
    ordered = {task.name: seen[task.name] for task in tasks if task.name in seen}
    took = time.monotonic() - begun
    waited = sum(one.comparison.until_seconds for one in ordered.values())
    engine = lab.endpoint.can.engine
    result = Healths(ordered, lacking, problems, without, engine, waited, took)
    lab.results[EXPERIMENT] = result
    return result


def _observed(
    lab: Lab, listener: Listener, tasks: Sequence[_Task], problems: dict[str, LabError]
) -> dict[str, Observed]:
    """What was seen of each task, several at once; its problem, of one that could not be measured."""
    observer = Observer(lab, listener)
    seen: dict[str, Observed] = {}

    def observe(task: _Task) -> Observed:
        image = lab.image(task.variant)
        if task.of_variant:
            return observer.variant(task.variant, task.case, image)
        return observer.case(task.case, image)

    def interrupt() -> None:
        """Make all end that wait for a container: for its events, or for its app to answer."""
        listener.lose("the lab was interrupted")
        with suppress(LabError):
            leftovers.remove_containers(lab.endpoint, lab.run)

    late: list[_Task] = []
    # Those that take longest begin first; a variant's own settings may be any.
    longest = sorted(tasks, key=lambda t: (not t.of_variant, -t.case.rough_seconds))
    with each(longest, observe, at_once=AT_ONCE, interrupt=interrupt) as results:
        for task, one in results:
            lab.screen.done()
            if isinstance(one, LabError):
                problems[task.name] = one
                continue
            seen[task.name] = one
            if not one.comparison.agrees and not task.of_variant:
                late.append(task)
                _keep(lab, task, one, "off its prediction")
            else:
                _keep(lab, task, one, None)
    # Where most are off, it is not the machine's load.
    for task in late if len(late) <= MOST_AGAIN else []:
        try:
            seen[task.name] = replace(observe(task), again=True)
            _keep(lab, task, seen[task.name], None)
        except RunLost:
            raise
        except LabError as problem:
            problems[task.name] = problem
    return seen


def explain(healths: Healths, variant: Variant, scenario: str, expected: str) -> str:
    """Why a variant misses what is expected of it, for its author; with the line of its HEALTHCHECK."""
    seen = healths.of(_key(variant, scenario))
    own = [one for one in variant.dockerfile.lineage()[1] if one.keyword == "HEALTHCHECK"]
    where = variant.where(own[-1].line if own else 0)
    got = healths.grade(variant, scenario)
    told = f"{where}: {VARIANT_CASES[scenario]}: expected {expected}, got {got}: {seen.verdict}"
    lines = [told, *shown.lanes(seen.comparison, 80), shown.LEGEND]
    if got == UNHEALTHY and scenario == "start":
        app = "see to it that the probe's command is in the image and asks the right address"
        if any(change.state == HEALTHY for change in seen.timeline.announced()):
            app = "give it a --start-period longer than its start takes; a success ends that early"
        lines.append(app[0].upper() + app[1:] + ".")
    elif got == STARTING:
        lines.append("Shorten its --interval, or give it a --start-period with a --start-interval.")
    elif got == "unseen":
        lines.append("Let the probe ask /health, and fail unless the answer is 200.")
    return "\n".join(lines) + (f"\nIts log ends with:{seen.log}" if seen.log else "")


def _key(variant: Variant, scenario: str) -> str:
    return f"{variant.name}: {VARIANT_CASES[scenario]}"


def _healthcheck(lab: Lab, variant: Variant) -> Check | None:
    """The HEALTHCHECK of a variant's image, its own or its base's.

    Raises:
        LabError: the image can't be built.
    """
    words = ("image", "inspect", "--format", "{{json .Config.Healthcheck}}", lab.image(variant))
    return configured(json.loads(lab.endpoint.run(*words, doing="looking at the image")))


def _lacking(lab: Lab, case: Case) -> str | None:
    engine = lab.endpoint.can.engine
    if case.wants_start_interval and version_tuple(engine) < START_INTERVALS_SINCE:
        return f"Engine {engine} has no start interval"
    if case.by == COMPOSE and lab.endpoint.can.compose is None:
        return "this client has no docker compose"
    return None


def _keep(lab: Lab, task: _Task, one: Observed, invalid: str | None) -> None:
    for number, pair in enumerate(one.comparison.pairs(), 1):
        values = change_values(*pair)
        name = task.case.name
        lab.keep(EXPERIMENT, task.variant, name, *values, position=number, invalid=invalid)
