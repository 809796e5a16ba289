"""A container's timeline: its probes and changes of health, as the engine told them, beside a prediction."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layerlab.run.events import Event, engine_time
from layerlab.run.health import (
    END,
    FAULT,
    HANGS,
    HEALTHY,
    OK,
    PAUSE,
    REFUSES,
    START,
    STARTING,
    STOPPED,
    UNPAUSE,
    Check,
    HealthChange,
    Probe,
)
from layerlab.text import shorten

_CONTROLS = {"start": START, "die": END, "pause": PAUSE, "unpause": UNPAUSE}
_CREATED, _DIED, _STATE = "exec_create: ", "exec_die", "health_status: "
#: How far apart the log's and the event's time of one probe's beginning can be, in seconds.
_SAME = 0.1
#: What an exec may take to start ("on the order of 1s in extreme cases": moby, daemon/health.go), doubled.
LONGEST_EXEC_SECONDS = 2.0


@dataclass(frozen=True)
class Timeline:
    """What happened to one container, in seconds from its first start event."""

    check: Check
    #: When it started, on the engine's clock: seconds since 1970.
    started_at: float
    #: How long before its start event the engine dates the start.
    head_start_seconds: float
    probes: tuple[Probe, ...]
    #: Only those that the engine announced, and the start.
    changes: tuple[HealthChange, ...]
    #: When it was paused, went on, ended, started again.
    container: tuple[tuple[float, str], ...]

    def probe_seconds(self) -> list[float]:
        """How long each probe took, and at last the median, for those that may follow.

        Of one that was stopped at its timeout only what came before counts: the time until its command ran.
        """
        took = [probe.seconds for probe in self.probes if probe.exit_code != STOPPED]
        each = [
            min(probe.seconds - self.check.timeout, LONGEST_EXEC_SECONDS)
            if self._stopped(probe)
            else probe.seconds
            for probe in self.probes
        ]
        return [*each, statistics.median(took or each or [0.0])]

    def outcomes(self) -> tuple[tuple[float, str], ...]:
        """What the probes said of the app, as if it had changed between two of them."""
        found = [(0.0, REFUSES)]
        before = 0.0
        for probe in self.probes:
            failed = HANGS if self._stopped(probe) else FAULT
            middle = (before + probe.begin_seconds) / 2
            found.append((middle, OK if probe.exit_code == 0 else failed))
            before = probe.end_seconds
        return tuple(found)

    def _stopped(self, probe: Probe) -> bool:
        """Whether it was stopped at its timeout; one that can't be started has the same exit code."""
        return probe.exit_code == STOPPED and probe.seconds > self.check.timeout

    def announced(self) -> tuple[HealthChange, ...]:
        """The changes that the engine told in events."""
        return tuple(change for change in self.changes if change.announced)


def words(check: Check, shell: Sequence[str] | None) -> str:
    """A check's command as the engine's events quote it; ``shell`` is the image's SHELL."""
    own = list(check.test[1:])
    if check.test[:1] == ("CMD-SHELL",):
        own = [*(shell or ("/bin/sh", "-c")), *own]
    return " ".join(own).strip()


def recorded(
    events: Sequence[Event],
    log: Iterable[Mapping[str, Any]],
    check: Check,
    command: str,
    engine_started_at: float | None,
) -> Timeline | None:
    """The timeline of a container, from its events and its log of probes; None before it started.

    ``log`` has the entries of ``State.Health.Log`` that were seen, in any order, also several times; they
    alone know a probe's output, and its exit code where it was stopped. ``engine_started_at`` is
    ``State.StartedAt`` of the first start, in seconds since 1970.
    """
    begun = next((event.at for event in events if event.action == "start"), None)
    if begun is None:
        return None
    changes = [HealthChange(0.0, STARTING, announced=False)]
    controls: list[tuple[float, str]] = []
    creations: dict[str, float] = {}
    probes: list[Probe] = []
    for event in events:
        at = event.at - begun
        if event.action.startswith(_STATE):
            changes.append(HealthChange(at, event.action.removeprefix(_STATE)))
        elif event.action in _CONTROLS and at > 0:
            controls.append((at, _CONTROLS[event.action]))
            if event.action == "start":
                changes.append(HealthChange(at, STARTING, announced=False))
        elif event.action == f"{_CREATED}{command}":
            creations[event.attributes["execID"]] = at
        elif event.action == _DIED and event.attributes.get("execID") in creations:
            created = creations.pop(event.attributes["execID"])
            probes.append(Probe(created, at, int(event.attributes.get("exitCode", STOPPED))))
    head_start = begun - engine_started_at if engine_started_at is not None else 0.0
    return Timeline(
        check,
        begun,
        max(0.0, head_start),
        _completed(probes, [_entry(one, begun) for one in log]),
        tuple(changes),
        tuple(controls),
    )


def _entry(entry: Mapping[str, Any], begun: float) -> Probe:
    begin, end = (engine_time(entry[key]) - begun for key in ("Start", "End"))
    return Probe(begin, end, int(entry["ExitCode"]), str(entry["Output"]))


def _completed(probes: Sequence[Probe], entries: Sequence[Probe]) -> tuple[Probe, ...]:
    """Probes by events, each replaced by its entry in the log, which has the engine's own verdict.

    A probe whose command can't be started is in the log alone.
    """
    unused = sorted(set(entries), key=lambda entry: entry.begin_seconds)
    found = []
    for probe in probes:
        apart = [abs(entry.begin_seconds - probe.begin_seconds) for entry in unused]
        if apart and min(apart) <= _SAME:
            found.append(unused.pop(apart.index(min(apart))))
        else:
            found.append(probe)
    return tuple(sorted([*found, *unused], key=lambda probe: probe.begin_seconds))


def app_course(
    ready: Sequence[float],
    asked_to_end: Sequence[float],
    does: Sequence[tuple[float, str]],
) -> tuple[tuple[float, str], ...]:
    """What the app did from when on, in seconds from the container's start.

    ``ready`` are the moments from which it served, ``asked_to_end`` those at which it was told to end, and
    ``does`` is what it was made to do, which outlives a restart.
    """
    moments = [(at, "ready") for at in ready] + [(at, "end") for at in asked_to_end] + [*does]
    serves, mode = False, OK
    course = [(0.0, REFUSES)]
    for at, what in sorted(moments):
        if what in ("ready", "end"):
            serves = what == "ready"
        else:
            mode = what
        course.append((at, mode if serves else REFUSES))
    return tuple(course)


def verdict(timeline: Timeline, waited_seconds: float) -> str:
    """What became of a container's health, in a sentence."""
    changes = timeline.announced()
    if not timeline.probes:
        return f"no probe had ended after {waited_seconds:.1f} s"
    told = ", ".join(f"{change.state} after {change.seconds:.1f} s" for change in changes)
    if not changes:
        told = f"after {waited_seconds:.1f} s and {len(timeline.probes)} probes still starting"
    elif HEALTHY not in [change.state for change in changes]:
        told += ", and never healthy"
    last = timeline.probes[-1]
    said = shorten((last.output.strip().splitlines() or [""])[-1], 160) if last.exit_code else ""
    return f"{told}; its last probe said: {said}" if said else told
