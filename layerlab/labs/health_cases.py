"""The settings of the health lab: a HEALTHCHECK, an app that does this and that, what is done to the container."""

from dataclasses import dataclass
from typing import Any

from layerlab.engine.endpoint import version_tuple
from layerlab.run.health import (
    FAULT,
    HANGS,
    HEALTHY,
    OK,
    START_INTERVALS_SINCE,
    UNHEALTHY,
    Check,
)

RUN, COMPOSE = "docker run", "compose"
#: Far beyond any wait: an app that is never ready.
NEVER = 3600.0


def _asking(path: str) -> str:
    """A probe without curl or Python: bash alone can speak HTTP, and takes a few milliseconds for it."""
    return (
        f'bash -c \'exec 3<>/dev/tcp/127.0.0.1/8000; printf "GET {path} HTTP/1.0\\r\\n\\r\\n" >&3; '
        'read -r version status rest <&3; echo "$status"; test "$status" = 200\''
    )


QUICK = ("CMD-SHELL", _asking("/health"))
#: This one is answered long after any timeout.
HANGING = ("CMD-SHELL", _asking("/slow?seconds=30"))
PYTHON = (
    "CMD-SHELL",
    "python -c \"import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=2)\"",
)
CURL = ("CMD-SHELL", "curl --fail http://localhost:8000/health")
CURL_EXEC = ("CMD", "curl", "--fail", "http://localhost:8000/health")


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
    """Wait for so many probes to end."""

    count: int


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
    #: What the probe gets from an app that is well.
    gets: str = OK
    #: More options of `docker run`.
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The case in a line: what happens, and the check's settings."""
        return f"{self.what}: {settings(self.check)}" + (", compose" if self.by == COMPOSE else "")

    @property
    def wants_start_interval(self) -> bool:
        return self.check.start_interval_seconds > 0

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


def _check(
    interval: float,
    retries: int,
    *,
    timeout: float = 1,
    period: float = 0,
    start: float = 0,
    test: tuple[str, ...] = QUICK,
) -> Check:
    return Check(test, interval, timeout, period, start, retries)


def _cases(what: str, steps: tuple[Step, ...], *checks: Check, **more: Any) -> list[Case]:
    return [Case(what, check, steps, **more) for check in checks]


_HEALTHY = (Until(HEALTHY), Probes(1))
_BREAKS = (Until(HEALTHY), Does(FAULT), Until(UNHEALTHY))
_MENDED = (*_BREAKS, Does(OK), Until(HEALTHY))

CASES: tuple[Case, ...] = (
    *_cases(
        "ready at once",
        _HEALTHY,
        _check(1, 3),
        _check(0.5, 3),
        _check(2, 1),
        _check(1, 3, period=4),
        _check(2, 3, period=6, start=1),
        _check(2, 1, period=4, start=0.5),
        _check(1, 3, timeout=2, test=PYTHON),
    ),
    *_cases(
        "ready inside the start period",
        _HEALTHY,
        _check(1, 1, period=4),
        _check(0.5, 1, period=5),
        _check(2, 1, period=6, start=1),
        _check(1, 2, period=6, start=0.5),
        delay_seconds=2,
    ),
    *_cases(
        "ready too late",
        (Until(UNHEALTHY), Until(HEALTHY)),
        _check(1, 1),
        _check(1, 2),
        delay_seconds=3,
    ),
    *_cases(
        "ready after the start period",
        (Until(HEALTHY), Probes(1)),
        _check(1, 1, period=1.5, start=1),
        _check(0.5, 2, period=1.5),
        delay_seconds=3,
    ),
    *_cases(
        "never ready",
        (Until(UNHEALTHY), Probes(1)),
        _check(1, 1),
        _check(1, 2),
        _check(0.5, 3),
        _check(1, 1, period=2),
        delay_seconds=NEVER,
    ),
    *_cases(
        "breaks and recovers",
        _MENDED,
        _check(1, 1),
        _check(1, 2),
        _check(0.5, 3),
        _check(1, 2, period=20),
    ),
    *_cases(
        "its probe hangs",
        (Until(UNHEALTHY), Probes(1)),
        _check(1, 1, test=HANGING),
        _check(1, 2, timeout=0.5, test=HANGING),
        _check(0.5, 1, timeout=2, test=HANGING),
        gets=HANGS,
    ),
    Case(
        "hangs and recovers",
        _check(1, 2),
        (Until(HEALTHY), Does(HANGS), Until(UNHEALTHY), Does(OK), Until(HEALTHY)),
        options=("--init",),
    ),
    *_cases("no such command", (Until(UNHEALTHY), Probes(1)), _check(1, 2, test=CURL), gets=FAULT),
    *_cases(
        "no such command",
        (Until(UNHEALTHY), Probes(1)),
        _check(1, 1, test=CURL_EXEC),
        gets=FAULT,
        by=COMPOSE,
    ),
    Case("paused", _check(1, 2), (Until(HEALTHY), Pause(1.5), Until(HEALTHY), Probes(1))),
    Case(
        "paused while unhealthy",
        _check(1, 1),
        (*_BREAKS, Pause(1.0), Probes(1), Does(OK), Until(HEALTHY)),
    ),
    Case(
        "paused in the start period",
        _check(1, 1, period=20, start=1),
        (Probes(1), Pause(1.0), Probes(1), Until(HEALTHY)),
        delay_seconds=5.8,
    ),
    *_cases("restarted", (Until(HEALTHY), Restart(), Until(HEALTHY)), _check(1, 2), _check(1.5, 1)),
    Case("restarted while unhealthy", _check(1, 1), (*_BREAKS, Restart(), Until(UNHEALTHY))),
    Case(
        "unhealthy under a restart policy",
        _check(1, 1),
        (*_BREAKS, Probes(2)),
        options=("--restart", "always"),
    ),
    *_cases("ready at once", _HEALTHY, _check(1, 2), by=COMPOSE),
    *_cases("breaks and recovers", _MENDED, _check(1, 2), by=COMPOSE),
    *_cases(
        "ready inside the start period",
        _HEALTHY,
        _check(2, 1, period=6, start=1),
        by=COMPOSE,
        delay_seconds=2,
    ),
)

#: The first probe of a check without settings begins after half of it.
FIRST_SECONDS = 60
#: What is tried with every variant that has a HEALTHCHECK.
VARIANT_CASES = {"start": "as it is", "fault": "503 at /health"}


START = Case("start", Check(), (First(FIRST_SECONDS), Probes(1)), delay_seconds=None)


def fault(engine: str) -> Case:
    """A variant's own probe, at intervals of a second, while the app says that it is not well."""
    has_start_interval = version_tuple(engine) >= START_INTERVALS_SINCE
    # 0 would be the image's own, which may be long.
    check = _check(1, 2, timeout=2, period=0.001, start=float(has_start_interval), test=())
    return Case("fault", check, (Until(HEALTHY), Does(FAULT), Probes(4)))
