"""A case of the health lab: a HEALTHCHECK, an app that does this and that, what is done to the container."""

import math
from dataclasses import dataclass
from typing import Any

from layerlab.run.health import Check

RUN, COMPOSE = "docker run", "compose"
#: Far beyond any wait: an app that is never ready.
NEVER = 3600.0


@dataclass(frozen=True)
class Until:
    """Wait until the container is in this state."""

    state: str


@dataclass(frozen=True)
class Does:
    """Let the app do something else, between two probes."""

    what: str


@dataclass(frozen=True)
class Pause:
    """Pause the container between two probes, for some seconds."""

    seconds: float


@dataclass(frozen=True)
class Restart:
    """Restart the container between two probes."""


@dataclass(frozen=True)
class Probes:
    """Wait for so many probes to end, but no longer than a limit."""

    count: int
    limit_seconds: float = math.inf


@dataclass(frozen=True)
class First:
    """Wait for the first change of state, within a limit."""

    limit_seconds: float


Step = Until | First | Does | Pause | Restart | Probes


@dataclass(frozen=True)
class Case:
    """One setting: a check, and what happens."""

    what: str
    check: Check
    steps: tuple[Step, ...]
    by: str = RUN
    #: How long after its start the app begins to serve; None leaves it to the image.
    delay_seconds: float | None = 0
    #: What every probe meets, whatever the app does; None where it asks the app.
    meets: str | None = None
    #: More options of `docker run`.
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The case in a line: what happens, and the check's settings."""
        return f"{self.what}: {settings(self.check)}" + (", compose" if self.by == COMPOSE else "")

    @property
    def wants_start_interval(self) -> bool:
        return self.check.start_interval_seconds > 0

    @property
    def rough_seconds(self) -> float:
        """About how long it takes, to tell what should begin first."""
        delay = self.delay_seconds if self.delay_seconds and self.delay_seconds < NEVER else 0.0
        return delay + len(self.steps) * (1 + self.check.interval * self.check.tries)

    def flags(self) -> list[str]:
        """The options of `docker run` for its check."""
        check = self.check
        words: list[str] = []
        if check.test:
            kind, command = check.test
            assert kind == "CMD-SHELL"  # `docker run` knows no other
            words += ["--health-cmd", command]
        for option, seconds in _durations(check):
            words += [f"--health-{option.replace('_', '-')}", _text(seconds)]
        if check.retries:
            words += ["--health-retries", str(check.retries)]
        return [*words, *self.options]

    def healthcheck(self) -> dict[str, Any]:
        """The `healthcheck` of a compose service."""
        check = self.check
        # Compose would take a `$` for a variable of its own.
        found: dict[str, Any] = {"test": [word.replace("$", "$$") for word in check.test]}
        found |= {option: _text(seconds) for option, seconds in _durations(check)}
        return {**found, "retries": check.retries}


def _durations(check: Check) -> list[tuple[str, float]]:
    every = (
        ("interval", check.interval_seconds),
        ("timeout", check.timeout_seconds),
        ("start_period", check.start_period_seconds),
        ("start_interval", check.start_interval_seconds),
    )
    return [(option, seconds) for option, seconds in every if seconds]


def _text(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def settings(check: Check) -> str:
    """A check's settings, short, in FACTS' letters: interval, timeout, start period, start interval, retries."""
    letters = (
        ("I", check.interval_seconds),
        ("T", check.timeout_seconds),
        ("S", check.start_period_seconds),
        ("s", check.start_interval_seconds),
        ("R", check.retries),
    )
    return " ".join(f"{letter}={value:g}" for letter, value in letters if value)
