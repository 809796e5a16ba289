"""One container of the health lab: started as its case says, led through the case's steps, compared."""

import math
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from layerlab.build.variant import Variant
from layerlab.lab import Lab
from layerlab.labs.health_case import COMPOSE, Case, First, Pause, Probes, Restart, Step, Until
from layerlab.labs.serving import told_by
from layerlab.run import compose, container, diagnosis
from layerlab.run.agreement import Comparison, compare
from layerlab.run.events import Listener
from layerlab.run.health import FAULT, HANGS, STARTING
from layerlab.run.timeline import Timeline, app_course, verdict
from layerlab.run.watch import Watched, watched

#: How many containers may be starting at once: an app's start keeps a processor busy.
STARTING_AT_ONCE = 3
#: What uvicorn logs when the app is loaded, and works no more until it serves; and when it serves.
LOADED, SERVES = "Waiting for application startup", "Uvicorn running on"
LOAD_SECONDS = 10
FAULT_FILE = "/tmp/health-fault"
#: Seconds beyond what a check itself may take until something happens.
PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Observed:
    """One container's health, measured and predicted."""

    comparison: Comparison
    #: How often the engine restarted it by itself.
    restarts: int
    #: The last lines of its log, where they may explain something.
    log: str
    #: Whether it was measured a second time, alone.
    again: bool = False

    @property
    def timeline(self) -> Timeline:
        return self.comparison.timeline

    @property
    def verdict(self) -> str:
        """What became of it, in a sentence."""
        return verdict(self.timeline, self.comparison.until_seconds)


class Observer:
    """Observes one container after another, or several at once."""

    def __init__(self, lab: Lab, listener: Listener) -> None:
        self._lab = lab
        self._listener = listener
        self._starting = threading.Semaphore(STARTING_AT_ONCE)

    def case(self, case: Case, image: str) -> Observed:
        """A container of ``image`` under a case's check, led through its steps.

        Raises:
            LabError: it can't be started, or asked.
        """
        with ExitStack() as stack:
            with self._starting:
                self._listener.check()
                if case.by == COMPOSE:
                    name = stack.enter_context(self._composed(case, image))
                else:
                    # A probe asks the app on its container's own loopback: a network would only cost time.
                    name = stack.enter_context(self._run(case, image, network="none"))
                watch = stack.enter_context(watched(self._lab.endpoint, self._listener, name))
                deadline = time.monotonic() + LOAD_SECONDS
                while not watch.lines(LOADED) and time.monotonic() < deadline:
                    time.sleep(0.1)
            return self._led(watch, case)

    def variant(self, variant: Variant, case: Case, image: str) -> Observed:
        """A container of a variant's image, once its app answers, led through a case's steps.

        Raises:
            LabError: it can't be started, or its app does not answer.
        """
        with ExitStack() as stack:
            with self._starting:
                self._listener.check()
                called = stack.enter_context(told_by(variant))
                name = stack.enter_context(self._run(case, image, called=called))
                watch = stack.enter_context(watched(self._lab.endpoint, self._listener, name))
                limit = self._lab.settings.start_limit_seconds
                answering = container.answering(
                    self._lab.endpoint, name, called=called, limit_seconds=limit
                )
                stack.enter_context(answering)
            return self._led(watch, case, of_variant=True)

    def _led(self, watch: Watched, case: Case, *, of_variant: bool = False) -> Observed:
        script = _Script(watch, self._lab.endpoint.can.engine)
        self._lab.screen.doing(case.name)
        with container.with_log(self._lab.endpoint, watch.name):
            for step in case.steps:
                if not script.does(step):
                    break
        until = watch.now()
        description = watch.keep_log()
        timeline = watch.timeline()
        if of_variant:
            # What somebody else's probe asks the app for is not known, only what it says.
            app = timeline.outcomes()
        elif case.meets:
            app = ((0.0, case.meets),)
        else:
            app = app_course(watch.lines(SERVES), watch.asked_to_end(), script.app)
        comparison = compare(timeline, script.engine, app, until)
        explains = of_variant or not comparison.agrees
        return Observed(
            comparison,
            int(description["RestartCount"]),
            diagnosis.log_tail(self._lab.endpoint, watch.name) if explains else "",
        )

    def _run(
        self, case: Case, image: str, *, called: str = "", network: str | None = None
    ) -> AbstractContextManager[str]:
        delay = case.delay_seconds
        return container.started(
            self._lab.endpoint,
            self._lab.run,
            image,
            purpose="health",
            called=called,
            environment=container.Environment(
                () if delay is None else [f"START_DELAY_SECONDS={delay:g}"]
            ),
            options=[*case.flags(), *(["--network", network] if network else [])],
        )

    @contextmanager
    def _composed(self, case: Case, image: str) -> Iterator[str]:
        service = {
            "image": image,
            "healthcheck": case.healthcheck(),
            "environment": {"START_DELAY_SECONDS": f"{case.delay_seconds or 0:g}"},
        }
        folder = Path(tempfile.mkdtemp(prefix="compose-", dir=self._lab.run.folder))
        services = {"web": service}
        project = compose.project(self._lab.endpoint, self._lab.run, folder, services, shell={})
        with project as running:
            yield running.start("web")


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
        self._patience = check.start_period_seconds + PATIENCE_SECONDS
        self._patience += (check.tries + 2) * (check.interval + check.timeout)

    def does(self, step: Step) -> bool:
        """Do one step; False where what it waits for did not come."""
        watch = self._watch
        if isinstance(step, Until):
            wanted = step.state
            if not watch.until(lambda seen: bool(self._next(seen, wanted)), self._patience):
                return False
            self._seen = self._next(watch.timeline(), wanted)
            return True
        if isinstance(step, First):
            return self._first(step.limit_seconds)
        if isinstance(step, Probes):
            return self._probes(step.count, step.limit_seconds)
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
            self.app.append((self._let(step.what), step.what))
        return True

    def _next(self, timeline: Timeline, state: str) -> int:
        """How many changes there are up to the next one to a state; 0 while it has not come."""
        later = enumerate(timeline.changes[self._seen :], self._seen + 1)
        return next((count for count, change in later if change.state == state), 0)

    def _first(self, limit_seconds: float) -> bool:
        """Wait for the first change, but no longer than a well-made check of an app that is up may take."""
        check, watch = self._watch.check, self._watch
        now = watch.now()
        usual = max(check.interval, check.start_interval(self.engine)) + check.timeout
        usual = min(usual + PATIENCE_SECONDS, limit_seconds)
        if watch.until(lambda seen: bool(seen.announced()), usual):
            return True
        # Its probes fail. How often they must, decides how long this is of interest.
        failed = [probe for probe in watch.timeline().probes if probe.begin_seconds > now]
        left = limit_seconds - usual if failed else 0.0
        return watch.until(lambda seen: bool(seen.announced()), max(0.0, left))

    def _probes(self, count: int, limit_seconds: float = math.inf) -> bool:
        wanted = len(self._watch.timeline().probes) + count
        patience = min(self._patience, limit_seconds)
        return self._watch.until(lambda seen: len(seen.probes) >= wanted, patience)

    def _let(self, what: str) -> float:
        """Let the app do something; returns from when on, in seconds from the start."""
        if what == FAULT:
            # Not by a command: somebody else's image need not have one.
            return self._watch.put(FAULT_FILE)
        hung = bool(self.app) and self.app[-1][1] == HANGS
        if what == HANGS or hung:
            # Under `--init` the app is the only child of the first process.
            signal = "CONT" if hung else "STOP"
            return self._watch.run("sh", "-c", f"kill -{signal} $(cat /proc/1/task/1/children)")
        return self._watch.run("rm", FAULT_FILE)
