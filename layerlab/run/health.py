"""Health: a HEALTHCHECK, what it makes of a container, and when, by moby's rules.

The rules are those of moby's ``daemon/health.go`` (``monitor``, ``handleProbeResult``, ``initHealthMonitor``) and
``container/health.go`` (``CloseMonitorChannel``), read at v20.10.24, v26.1.5 and v28.5.2:

- The first probe begins one interval after the start, each further one an interval after the *end* of the one
  before. That interval is the start interval while the state is ``starting`` and the start period lasts.
- One success makes the container healthy. A failure counts only outside the start period, or once the container
  has left ``starting``; as many in a row as there are retries make it unhealthy.
- Pausing (as ending) closes the monitor, which calls the container unhealthy without an event. After it goes on,
  the next success announces ``healthy``; the start period has no meaning any more. A start begins anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from layerlab.engine.endpoint import version_tuple

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
#: What the app does with a probe's request.
OK, FAULT, REFUSES, HANGS = "ok", "fault", "refuses", "hangs"
#: What is done to the container.
PAUSE, UNPAUSE, END, START = "pause", "unpause", "end", "start"
#: The exit code that moby writes for a probe that was stopped at its timeout.
STOPPED = -1

# moby, daemon/health.go: defaultProbeInterval and its neighbours.
_INTERVAL = _TIMEOUT = 30.0
_RETRIES = 3
_START_INTERVAL = 5.0
#: The first engine with start intervals, and the first whose unset start interval is 5 s, not the interval.
START_INTERVALS_SINCE, _DEFAULT_SINCE = (25,), (27,)
#: The first engine that takes a probe's timeout from the start of its process, not of the exec.
_TIMES_PROCESS = (23,)


@dataclass(frozen=True)
class Check:
    """A HEALTHCHECK as it was configured; 0 means the default."""

    #: Its words; the first is CMD or CMD-SHELL.
    test: tuple[str, ...] = ()
    interval_seconds: float = 0
    timeout_seconds: float = 0
    start_period_seconds: float = 0
    start_interval_seconds: float = 0
    retries: int = 0

    @property
    def interval(self) -> float:
        """Seconds from the end of a probe to the start of the next."""
        return self.interval_seconds or _INTERVAL

    @property
    def timeout(self) -> float:
        """Seconds after which a probe is stopped and has failed."""
        return self.timeout_seconds or _TIMEOUT

    @property
    def tries(self) -> int:
        """Failures in a row that make a container unhealthy."""
        return self.retries if self.retries > 0 else _RETRIES

    def start_interval(self, engine: str) -> float:
        """Seconds from probe to probe in the start period, on an engine of this version."""
        version = version_tuple(engine)
        if version < START_INTERVALS_SINCE:
            return self.interval
        default = _START_INTERVAL if version >= _DEFAULT_SINCE else self.interval
        return self.start_interval_seconds or default


def configured(config: Any) -> Check | None:
    """The HEALTHCHECK of an image's or container's configuration, whose times are nanoseconds.

    None where there is none, or it is switched off.
    """
    if not config or not config.get("Test") or config["Test"][0] == "NONE":
        return None

    def seconds(key: str) -> float:
        return float(config.get(key) or 0) / 1e9

    return Check(
        tuple(config["Test"]),
        seconds("Interval"),
        seconds("Timeout"),
        seconds("StartPeriod"),
        seconds("StartInterval"),
        int(config.get("Retries") or 0),
    )


@dataclass(frozen=True)
class Probe:
    """One run of a check's command; seconds from the container's start."""

    begin_seconds: float
    end_seconds: float
    exit_code: int
    output: str = ""

    @property
    def seconds(self) -> float:
        return self.end_seconds - self.begin_seconds


@dataclass(frozen=True)
class HealthChange:
    """A change of a container's state of health; seconds from its start."""

    seconds: float
    state: str
    #: Whether the engine says so in an event; it keeps silent about a start, a pause and an end.
    announced: bool = True


@dataclass(frozen=True)
class Course:
    """What happens around the checks: to the app and to the container, in seconds from its start."""

    #: From when on the app does what, oldest first; it begins with (0, …).
    app: tuple[tuple[float, str], ...]
    #: When the container is paused, goes on, ends, starts again.
    container: tuple[tuple[float, str], ...] = ()
    #: How long before its start event the engine dates the start: the start period counts from there.
    head_start_seconds: float = 0.0

    def does(self, at: float) -> str:
        """What the app does at a moment."""
        return [what for since, what in self.app if since <= at or since == 0][-1]


@dataclass(frozen=True)
class Prediction:
    """The probes that will run, and every change of state."""

    probes: tuple[Probe, ...]
    changes: tuple[HealthChange, ...]
    #: Whether the app changed while a probe ran, so that it can't be told which of the two it saw.
    doubtful: bool = False

    def announced(self) -> tuple[HealthChange, ...]:
        """The changes that the engine tells in events."""
        return tuple(change for change in self.changes if change.announced)


def predict(
    check: Check,
    engine: str,
    course: Course,
    *,
    probe_seconds: Sequence[float],
    until_seconds: float,
    sees: float = 1.0,
) -> Prediction:
    """When the probes of a container run until ``until_seconds``, and what its state becomes when.

    ``engine`` is the engine's version, ``probe_seconds`` how long each probe takes that does not hang, the
    last of them all that follow. A probe sees what the app does after that part of its time that is ``sees``.
    """
    monitor = _Monitor(check, engine, course, probe_seconds, sees)
    controls = [(at, what) for at, what in course.container if at < until_seconds]
    for at, what in controls:
        monitor.run(at)
        monitor.control(at, what)
    monitor.run(until_seconds)
    return Prediction(tuple(monitor.probes), tuple(monitor.changes), monitor.doubtful)


class _Monitor:
    """Plays moby's monitor of one container."""

    def __init__(
        self,
        check: Check,
        engine: str,
        course: Course,
        probe_seconds: Sequence[float],
        sees: float,
    ) -> None:
        self._check = check
        self._engine = engine
        self._course = course
        self._probe_seconds = probe_seconds
        self._sees = sees
        self.probes: list[Probe] = []
        self.changes: list[HealthChange] = []
        self.doubtful = False
        self._state = STARTING
        self._start(0.0)

    def _start(self, at: float) -> None:
        self._started = at - self._course.head_start_seconds
        self._streak = 0
        self._become(STARTING, at, announced=False)
        self._next: float | None = at + self._interval(at)

    def control(self, at: float, what: str) -> None:
        if what == START:
            self._start(at)
        elif what == UNPAUSE:
            self._next = at + self._interval(at)
        else:
            self._next = None
            self._become(UNHEALTHY, at, announced=False)

    def run(self, until: float) -> None:
        """Run the probes that end before ``until``; the result of a later one is dropped."""
        while self._next is not None and self._next < until:
            probe = self._probe(self._next)
            if probe.end_seconds > until:
                return
            self.probes.append(probe)
            self._judge(probe)
            self._next = probe.end_seconds + self._interval(probe.end_seconds)

    def _probe(self, begin: float) -> Probe:
        took = self._probe_seconds[min(len(self.probes), len(self._probe_seconds) - 1)]
        end = begin + took
        before, after = self._course.does(begin), self._course.does(end)
        self.doubtful |= before != after
        seen = self._course.does(begin + self._sees * took)
        if seen != HANGS:
            return Probe(begin, end, 0 if seen == OK else 1)
        started = took if version_tuple(self._engine) >= _TIMES_PROCESS else 0.0
        stopped = begin + started + self._check.timeout
        for at, does in self._course.app:
            # An app that goes on answers the request that waits.
            if begin < at < stopped and does != HANGS:
                return Probe(begin, at, 0 if does == OK else 1)
        return Probe(begin, stopped, STOPPED)

    def _judge(self, probe: Probe) -> None:
        if probe.exit_code == 0:
            self._streak = 0
            self._become(HEALTHY, probe.end_seconds)
            return
        spared = probe.begin_seconds - self._started < self._check.start_period_seconds
        if self._state == STARTING and spared:
            return
        self._streak += 1
        if self._streak >= self._check.tries:
            self._become(UNHEALTHY, probe.end_seconds)

    def _become(self, state: str, at: float, *, announced: bool = True) -> None:
        if not self.changes or state != self._state or state == STARTING:
            self.changes.append(HealthChange(at, state, announced))
        self._state = state

    def _interval(self, at: float) -> float:
        in_period = at - self._started < self._check.start_period_seconds
        if in_period and self._state == STARTING:
            return self._check.start_interval(self._engine)
        return self._check.interval
