"""The shutdown lab: how each variant's container starts, what it needs, and what a stop does to it."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from layerlab.build.variant import Variant
from layerlab.errors import LabError, RunLost
from layerlab.lab import Lab
from layerlab.labs.lives import EXPERIMENT, Case, Life, Lives
from layerlab.labs.serving import told_by
from layerlab.run import container, diagnosis, shutdown, usage, waiting
from layerlab.run.container import Container
from layerlab.run.shutdown import GRACE_SECONDS, KILLED, Stop
from layerlab.run.usage import Usage

EXEC_FORM, SHELL_FORM = "cache-ordered", "shell-form"
#: The variants that are started with `docker run --init`, too.
WITH_INIT = (EXEC_FORM, SHELL_FORM)
#: Its probes would take processor and memory; they are another lab's.
_OPTIONS = ("--no-healthcheck",)
#: A stop that has not ended after so long waits for the end of its grace, and needs no processor; the
#: shorter one is for where that is expected.
_SOON_SECONDS, _EXPECTED_SECONDS = 1.0, 0.5
#: So long before the end of a grace nothing that is timed begins.
_NEAR_SECONDS = 1.5
#: Containers that are started at once where nothing is timed.
_TOGETHER = 5


def measure(lab: Lab, variants: Sequence[Variant]) -> Lives:
    """Start each variant, alone; stop it, idle and with a request in flight.

    A variant that does not serve is left out from there on; the others go on.
    """
    lives = Lives()
    for variant in variants:
        try:
            lab.image(variant)
        except LabError as problem:
            lives.problems[variant.name] = problem
    begun = time.monotonic()
    cases = cases_of([one for one in variants if one.name not in lives.problems])
    lives.cases = {case.name: case for case in cases}
    with lab.screen.work(EXPERIMENT, len(cases)), ExitStack() as stack:
        measuring = _Measuring(lab, lives, stack)
        try:
            measuring.all(cases)
        except RunLost as problem:
            lives.problems.update(dict.fromkeys(lives.cases, problem))
    lives.serial_seconds = sum(measuring.spent)
    lives.wall_seconds = time.monotonic() - begun
    lab.results[EXPERIMENT] = lives
    return lives


def cases_of(variants: Sequence[Variant]) -> list[Case]:
    """The ways to start variants: those first that are expected to need the whole grace."""
    cases = [Case(variant) for variant in variants]
    cases += [Case(variant, init=True) for variant in variants if variant.name in WITH_INIT]
    waits = [one for one in cases if not one.init and _expects_killed(one.variant)]
    return waits + [one for one in cases if one not in waits]


def _expects_killed(variant: Variant) -> bool:
    return variant.expects(EXPERIMENT, "stop") == KILLED


@dataclass(frozen=True)
class _Started:
    """A case whose container has answered."""

    app: Container
    start_seconds: float
    memory_bytes: int
    first: str


@dataclass
class _Stopping:
    """A case whose container is being stopped."""

    started: _Started
    #: The idle app.
    idle: "Future[Stop]"
    #: When its grace ends, on the clock of ``time.monotonic``.
    due: float
    #: With a request in flight, where the first stop had none.
    again: "Future[Stop] | None" = None
    saved: bool = False


class _Measuring:
    """One measurement. What is timed is alone; what only waits does so in threads.

    At the end, whatever it is, the containers go first: the threads that wait for them then end, too.
    """

    def __init__(self, lab: Lab, lives: Lives, stack: ExitStack) -> None:
        self._lab = lab
        self._lives = lives
        self._stack = stack
        self._waiting = self._threads(100)
        self._together = self._threads(_TOGETHER)
        self._begun: dict[Case, _Started] = {}
        self._stopping: dict[Case, _Stopping] = {}
        #: Seconds of each piece of work.
        self.spent: list[float] = []

    @contextmanager
    def _spending(self) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.spent.append(time.monotonic() - begun)

    def _threads(self, most: int) -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(most, thread_name_prefix=f"layerlab-{EXPERIMENT}")
        self._stack.callback(pool.shutdown, cancel_futures=True)
        return pool

    def all(self, cases: Sequence[Case]) -> None:
        # They have one and the same time to wait until their graces end, and the others start meanwhile.
        waits = [case for case in cases if not case.init and _expects_killed(case.variant)]
        for case in cases:
            self._lab.screen.doing(f"start: {case.name}")
            self._stand_back()
            self._try(case, self._start)
            if case not in waits:
                self._stop_idle([case], _SOON_SECONDS)
            elif case == waits[-1]:
                self._stop_idle(waits, _EXPECTED_SECONDS)
            self._lab.screen.done()
        self._lab.screen.doing("stop: with a request in flight")
        # Those that need their whole grace come last: the others have the time until then.
        for case in sorted(self._stopping, key=lambda case: not self._stopping[case].idle.done()):
            self._try(case, self._go_on)
        for case in self._stopping:
            self._try(case, self._end)

    def _try(self, case: Case, step: Callable[[Case], None]) -> None:
        if case.name in self._lives.problems:
            return
        try:
            with told_by(case.variant):
                step(case)
        except RunLost:
            raise
        except LabError as problem:
            self._lives.problems[case.name] = problem

    def _stand_back(self) -> None:
        """Let a grace that is about to end do so before something is timed."""
        for one in self._stopping.values():
            if not one.idle.done() and time.monotonic() > one.due - _NEAR_SECONDS:
                wait([one.idle])

    def _start(self, case: Case) -> None:
        with self._spending():
            self._begun[case] = self._started(case, case.called)

    def _stop_idle(self, cases: Sequence[Case], soon_seconds: float) -> None:
        """Stop what has started, and wait for what ends soon."""
        begun = [case for case in cases if case in self._begun]
        for case in begun:
            due = time.monotonic() + GRACE_SECONDS
            stopping = self._waiting.submit(self._idle, self._begun[case].app, case.called)
            self._stopping[case] = _Stopping(self._begun[case], stopping, due)
        wait([self._stopping[case].idle for case in begun], timeout=soon_seconds)
        for case in begun:
            if self._stopping[case].idle.done():
                self._try(case, self._save_stop)

    def _started(self, case: Case, called: str) -> _Started:
        lab = self._lab
        words = [*_OPTIONS, *(["--init"] if case.init else []), lab.image(case.variant)]
        name, at = self._stack.enter_context(
            container.timed(lab.endpoint, lab.run, words, purpose=EXPERIMENT, called=called)
        )
        limit = lab.settings.start_limit_seconds
        with container.answering(lab.endpoint, name, called=called, limit_seconds=limit) as app:
            start_seconds = app.answered - at
            used = self._used(name, called)
            self._save(case, "start", start_seconds, "s")
            self._save(case, "memory", used.memory_bytes, "bytes")
            ill = None if case.init else app.unhealthy()
            for told in (diagnosis.flood(lab.endpoint, name), diagnosis.crowd(used), ill):
                if told:
                    self._lives.findings.append(f"{called}: {told}.")
            first = shutdown.first_process(lab.endpoint, name)
        return _Started(app, start_seconds, used.memory_bytes, first)

    def _used(self, name: str, called: str) -> Usage:
        used = usage.of(self._lab.endpoint, name)
        if used is None:
            told = diagnosis.ended(self._lab.endpoint, name, answered=True)
            raise LabError(f"{called}: {told or 'the engine does not say how much memory it uses'}")
        return used

    def _stop(self, app: Container, called: str, *, in_flight: bool) -> Stop:
        with container.with_log(self._lab.endpoint, app.name):
            try:
                return shutdown.stop(self._lab.endpoint, app, in_flight=in_flight)
            except RunLost:
                raise
            except LabError as error:
                raise type(error)(f"{called}: {error}") from error

    def _idle(self, app: Container, called: str) -> Stop:
        with self._spending():
            return self._stop(app, called, in_flight=False)

    def _again(self, app: Container, called: str) -> Stop:
        """Start a container anew, and stop it with a request in flight."""
        endpoint, limit = self._lab.endpoint, self._lab.settings.start_limit_seconds
        with self._spending():
            container.start_again(endpoint, app.name)
            with container.answering(
                endpoint,
                app.name,
                called=called,
                limit_seconds=limit,
                between_seconds=waiting.CALM_SECONDS,
            ) as it:
                pass
            return self._stop(it, called, in_flight=True)

    def _go_on(self, case: Case) -> None:
        one = self._stopping[case]
        idle = one.idle.result()
        self._save_stop(case)
        if idle.request is None:
            one.again = self._together.submit(self._again, one.started.app, case.called)

    def _end(self, case: Case) -> None:
        one, started = self._stopping[case], self._stopping[case].started
        stop = one.idle.result()
        request = stop.request
        if one.again:
            again = one.again.result()
            self._save(case, "stop-in-flight", again.seconds, "s")
            request = again.request
        self._lives.lives[case.name] = Life(
            start_seconds=started.start_seconds,
            memory_bytes=started.memory_bytes,
            first=started.first,
            stop=stop,
            request=request,
            log=diagnosis.log_tail(self._lab.endpoint, started.app.name),
        )

    def _save_stop(self, case: Case) -> None:
        one = self._stopping[case]
        if not one.saved:
            one.saved = True
            self._save(case, "stop", one.idle.result().seconds, "s")

    def _save(self, case: Case, metric: str, value: float, unit: str) -> None:
        position = list(self._lives.cases).index(case.name) + 1
        scenario = "init" if case.init else "plain"
        values = (metric, value, unit)
        self._lab.keep(EXPERIMENT, case.variant, scenario, values, position=position)
