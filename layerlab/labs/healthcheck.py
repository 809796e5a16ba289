"""The health lab: what a HEALTHCHECK makes of a container, measured beside what was predicted."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from layerlab.build.variant import Variant
from layerlab.engine import leftovers
from layerlab.engine.endpoint import version_tuple
from layerlab.errors import LabError
from layerlab.lab import Lab
from layerlab.labs.health_cases import (
    CASES,
    COMPOSE,
    Case,
    Pause,
    Probes,
    Restart,
    Step,
    Until,
)
from layerlab.record.samples import health_samples
from layerlab.run import compose, container, diagnosis
from layerlab.run.events import Listener, listening
from layerlab.run.health import FAULT, HANGS, STARTING
from layerlab.run.timeline import (
    TOLERANCE_SECONDS,
    Comparison,
    Timeline,
    app_course,
    compare,
    verdict,
)
from layerlab.run.together import together
from layerlab.run.watch import Watched, watched
from layerlab.show import health as shown
from layerlab.show.lanes import lanes_svg
from layerlab.show.section import Section

EXPERIMENT = "healthcheck"
#: Containers that live at once: their waits overlap, and they leave the processors time to spare.
AT_ONCE = 12
#: Of these, how many may be starting: an app's start keeps a processor busy.
STARTING_AT_ONCE = 2
#: What uvicorn logs when it serves.
SERVES = "Uvicorn running on"
FAULT_FILE = "/tmp/health-fault"
START_INTERVALS_SINCE = (25,)
#: What uvicorn logs when the app is loaded, and works no more until it serves.
LOADED = "Waiting for application startup"
LOAD_SECONDS = 10
#: Seconds beyond what a check itself may take until something happens.
START_PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Observed:
    """One container's health, measured and predicted."""

    name: str
    comparison: Comparison
    waited_seconds: float
    #: What became of it, in a sentence.
    verdict: str
    #: How often the engine restarted it by itself.
    restarts: int
    #: The last lines of its log.
    log: str
    #: Whether it was measured a second time, alone.
    again: bool = False

    @property
    def timeline(self) -> Timeline:
        return self.comparison.timeline


@dataclass(frozen=True)
class Healths:
    """What the health lab measured."""

    cases: dict[str, Observed]
    #: case -> why this engine can't have it
    lacking: Mapping[str, str]
    #: case -> why it could not be measured
    problems: dict[str, LabError]
    engine: str
    #: Seconds that all of them would have taken one after another, and took.
    waited_seconds: float
    took_seconds: float
    #: Sentences that experiments found.
    findings: list[str] = field(default_factory=list)

    def of(self, name: str) -> Observed:
        """What was seen of a case.

        Raises:
            LabError: it could not be measured.
        """
        if problem := self.problems.get(name):
            raise problem
        return self.cases[name]

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.lab.Result`."""
        comparisons = {name: one.comparison for name, one in self.cases.items()}
        kinds = {case.name: case.what for case in CASES}
        yield Section(
            "health: when a container changes its state, predicted and measured",
            shown.groups(comparisons, kinds, style),
            (*self._notes(), *self.findings),
        )
        yield Section(
            "health: every change of state",
            shown.changes(comparisons, style),
            (shown.LETTERS,),
            on_request="timelines",
        )
        for name, one in comparisons.items():
            lines = shown.lanes(one, width)
            yield Section(f"health: {name}", "\n".join(lines), on_request="timelines")

    def _notes(self) -> Iterator[str]:
        changes = sum(len(one.timeline.announced()) for one in self.cases.values())
        yield (
            f"{len(self.cases)} settings, {changes} changes of state on Engine {self.engine}, each within "
            f"{TOLERANCE_SECONDS:g} s of moby's rules unless said otherwise."
        )
        yield (
            f"One after another they would have taken {self.waited_seconds:.0f} s; they took "
            f"{self.took_seconds:.0f} s, {AT_ONCE} at a time."
        )
        again = [name for name, one in self.cases.items() if one.again]
        if again:
            yield f"Measured again, alone, since they were off: {'; '.join(again)}."
        for why in dict.fromkeys(self.lacking.values()):
            count = list(self.lacking.values()).count(why)
            yield f"{count} settings are not available: {why}."

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """The timelines as a picture; see :class:`layerlab.lab.Result`."""
        if self.cases:
            path = folder / "health.svg"
            rows = {name: one.comparison for name, one in self.cases.items()}
            lanes_svg("Health of a container, measured and predicted", rows, path)
            yield "health timelines", path


def measure(lab: Lab, packaged: Variant, cases: Sequence[Case] = CASES) -> Healths:
    """Watch a container for each case, several at once; one that is off is measured again, alone.

    Raises:
        LabError: the image can't be built, or the engine went away.
    """
    image = lab.image(packaged)
    engine = lab.endpoint.can.engine
    begun = time.monotonic()
    lacking = {case.name: why for case in cases if (why := _lacking(lab, case))}
    able = [case for case in cases if case.name not in lacking]
    found: dict[str, Observed] = {}
    problems: dict[str, LabError] = {}
    with (
        listening(lab.endpoint, lab.run) as listener,
        lab.screen.work("health", len(able)),
        _composed(lab, image, able) as services,
    ):
        observe = _Observing(lab, listener, image, services)
        every = together(
            able, observe.case, at_once=AT_ONCE, interrupt=lambda: _interrupt(lab, listener)
        )
        for case, one in every:
            if isinstance(one, LabError):
                problems[case.name] = one
            else:
                found[case.name] = one
                if one.comparison.agrees:
                    _keep(lab, packaged, case, one)
            lab.screen.done()
        for case in able:
            if case.name in found and not found[case.name].comparison.agrees:
                late = found[case.name]
                _keep(lab, packaged, case, late, "beyond the tolerance: measured again, alone")
                if case.by != COMPOSE:
                    found[case.name] = replace(observe.case(case), again=True)
                    _keep(lab, packaged, case, found[case.name])
    ordered = {case.name: found[case.name] for case in able if case.name in found}
    took = time.monotonic() - begun
    waited = sum(one.waited_seconds for one in ordered.values())
    result = Healths(ordered, lacking, problems, engine, waited, took)
    lab.results[EXPERIMENT] = result
    lab.took[EXPERIMENT] = took
    return result


def _lacking(lab: Lab, case: Case) -> str | None:
    engine = lab.endpoint.can.engine
    if case.wants_start_interval and version_tuple(engine) < START_INTERVALS_SINCE:
        return f"Engine {engine} has no start interval"
    if case.by == COMPOSE and lab.endpoint.can.compose is None:
        return "this client has no docker compose"
    return None


def _keep(
    lab: Lab, packaged: Variant, case: Case, one: Observed, invalid: str | None = None
) -> None:
    for sample in health_samples(EXPERIMENT, packaged, case.name, one.comparison, invalid):
        lab.store.add(lab.run.id, sample)


def _interrupt(lab: Lab, listener: Listener) -> None:
    """Make all end that wait for a container: for its events, or for its app to answer."""
    listener.lose("the lab was interrupted")
    with suppress(LabError):
        leftovers.remove_run(lab.endpoint, lab.run)


@contextmanager
def _composed(lab: Lab, image: str, cases: Sequence[Case]) -> Iterator[dict[str, str]]:
    """The cases that compose starts, as services of one project: each one's container."""
    mine = {f"case-{number}": case for number, case in enumerate(cases) if case.by == COMPOSE}
    if not mine:
        yield {}
        return
    folder = lab.run.folder / EXPERIMENT
    folder.mkdir()
    services = {
        name: {
            "image": image,
            "healthcheck": case.healthcheck(),
            "environment": {"START_DELAY_SECONDS": f"{case.delay_seconds:g}"},
        }
        for name, case in mine.items()
    }
    with compose.project(lab.endpoint, lab.run, folder, services, shell={}) as project:
        project.compose("up", "--detach", "--no-build", doing="docker compose up")
        found = {}
        for name, case in mine.items():
            said = project.compose("ps", "--all", "--quiet", name, doing="docker compose ps")
            found[case.name] = said.strip()
        yield found


class _Observing:
    """Starts the container of a case, does what the case says, and compares."""

    def __init__(
        self, lab: Lab, listener: Listener, image: str, services: Mapping[str, str]
    ) -> None:
        self._lab = lab
        self._listener = listener
        self._image = image
        self._services = services
        self._starting = threading.Semaphore(STARTING_AT_ONCE)

    def case(self, case: Case) -> Observed:
        begun = time.monotonic()
        with ExitStack() as stack:
            watch = self._start(case, stack)
            script = _Script(watch, self._lab.endpoint.can.engine)
            for step in case.steps:
                if not script.does(step):
                    break
            until = watch.now()
            description = watch.keep_log()
            timeline = watch.timeline()
            app = app_course(watch.lines(SERVES), watch.asked_to_end(), script.app)
            return Observed(
                case.name,
                compare(timeline, script.engine, app, until),
                time.monotonic() - begun,
                verdict(timeline, until),
                int(description["RestartCount"]),
                diagnosis.log_tail(self._lab.endpoint, watch.name),
            )

    def _start(self, case: Case, stack: ExitStack) -> Watched:
        lab = self._lab
        if case.by == COMPOSE:
            name = self._services[case.name]
            return stack.enter_context(watched(lab.endpoint, self._listener, name))
        delay = container.Environment([f"START_DELAY_SECONDS={case.delay_seconds:g}"])
        with self._starting:
            started = container.started(
                lab.endpoint,
                lab.run,
                self._image,
                purpose=EXPERIMENT,
                environment=delay,
                options=case.flags(),
            )
            name = stack.enter_context(started)
            watch = stack.enter_context(watched(lab.endpoint, self._listener, name))
            deadline = time.monotonic() + LOAD_SECONDS
            while not watch.lines(LOADED) and time.monotonic() < deadline:
                time.sleep(0.1)
        return watch


class _Script:
    """Goes through the steps of a case, on its container."""

    def __init__(self, watch: Watched, engine: str) -> None:
        self._watch = watch
        self.engine = engine
        #: From when on the app was made to do what.
        self.app: list[tuple[float, str]] = []
        #: How many of the changes of state are behind us.
        self._seen = 1
        check = watch.check
        #: Seconds within which whatever is waited for must have come.
        self._patience = check.start_period_seconds + START_PATIENCE_SECONDS
        self._patience += (check.tries + 2) * (check.interval + check.timeout)

    def does(self, step: Step) -> bool:
        """Do one step; False where what it waits for did not come."""
        watch = self._watch
        if isinstance(step, Until):
            return watch.until(lambda timeline: self._next(timeline, step.state), self._patience)
        if isinstance(step, Probes):
            return self._probes(step.count)
        if not self._probes(1):
            return False
        # Half way to the next probe, so that nobody need ask which of the two it saw.
        starting = watch.timeline().changes[-1].state == STARTING
        check = watch.check
        time.sleep((check.start_interval(self.engine) if starting else check.interval) / 2)
        self._seen = len(watch.timeline().changes)
        if isinstance(step, Pause):
            watch.pause()
            time.sleep(step.seconds)
            watch.unpause()
        elif isinstance(step, Restart):
            watch.restart()
        else:
            self.app.append((watch.run("sh", "-c", self._command(step.what)), step.what))
        return True

    def _next(self, timeline: Timeline, state: str) -> bool:
        for number, change in enumerate(timeline.changes[self._seen :], self._seen):
            if change.state == state:
                self._seen = number + 1
                return True
        return False

    def _probes(self, count: int) -> bool:
        wanted = len(self._watch.timeline().probes) + count
        return self._watch.until(lambda timeline: len(timeline.probes) >= wanted, self._patience)

    def _command(self, what: str) -> str:
        """The shell command that makes the app do something."""
        if what == FAULT:
            return f"touch {FAULT_FILE}"
        # Under `--init` the app is the only child of the first process.
        signal = "STOP" if what == HANGS else "CONT"
        hung = bool(self.app) and self.app[-1][1] == HANGS
        if what == HANGS or hung:
            return f"kill -{signal} $(cat /proc/1/task/1/children)"
        return f"rm {FAULT_FILE}"
