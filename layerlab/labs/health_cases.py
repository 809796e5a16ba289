"""The settings of the health lab, and what is tried with every variant."""

from typing import Any

from layerlab.engine.endpoint import version_tuple
from layerlab.labs.health_case import (
    COMPOSE,
    NEVER,
    Case,
    Does,
    First,
    Pause,
    Probes,
    Restart,
    Step,
    Until,
)
from layerlab.run.health import (
    FAULT,
    HANGS,
    HEALTHY,
    OK,
    START_INTERVALS_SINCE,
    UNHEALTHY,
    Check,
)

#: A probe without curl or Python: bash alone can speak HTTP, and takes a few milliseconds for it.
QUICK = (
    "CMD-SHELL",
    (
        'bash -c \'exec 3<>/dev/tcp/127.0.0.1/8000; printf "GET /health HTTP/1.0\\r\\n\\r\\n" >&3; '
        'read -r version status rest <&3; echo "$status"; test "$status" = 200\''
    ),
)
#: This one hangs whatever the app does, long beyond any timeout.
HANGING = ("CMD-SHELL", "sleep 30")
PYTHON = (
    "CMD-SHELL",
    "python -c \"import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=2)\"",
)
CURL = ("CMD-SHELL", "curl --fail http://localhost:8000/health")
CURL_EXEC = ("CMD", "curl", "--fail", "http://localhost:8000/health")


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


_HEALTHY = (Until(HEALTHY),)
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
        _check(1, 3, timeout=2, test=PYTHON),
    ),
    *_cases(
        "ready in the start period",
        _HEALTHY,
        _check(1, 1, period=4),
        _check(0.5, 1, period=5),
        _check(2, 1, period=6, start=1),
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
        (Until(HEALTHY),),
        _check(1, 1, period=1.5, start=1),
        _check(0.5, 2, period=1.5),
        delay_seconds=3,
    ),
    *_cases(
        "never ready",
        (Until(UNHEALTHY),),
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
        (Until(UNHEALTHY),),
        _check(1, 1, test=HANGING),
        _check(1, 2, timeout=0.5, test=HANGING),
        _check(0.5, 1, timeout=2, test=HANGING),
        meets=HANGS,
    ),
    Case(
        "hangs and recovers",
        _check(1, 2),
        (Until(HEALTHY), Does(HANGS), Until(UNHEALTHY), Does(OK), Until(HEALTHY)),
        options=("--init",),
    ),
    *_cases("no such command", (Until(UNHEALTHY),), _check(1, 2, test=CURL), meets=FAULT),
    *_cases(
        "no such command",
        (Until(UNHEALTHY),),
        _check(1, 1, test=CURL_EXEC),
        meets=FAULT,
        by=COMPOSE,
    ),
    Case("paused", _check(1, 2), (Until(HEALTHY), Pause(1.5), Until(HEALTHY))),
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
    *_cases("restarted", (Until(HEALTHY), Restart(), Until(HEALTHY)), _check(1, 2)),
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
        "ready in the start period",
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


START = Case("start", Check(), (First(FIRST_SECONDS), Probes(1, 3)), delay_seconds=None)


def fault(engine: str) -> Case:
    """A variant's own probe, at intervals of a second, while the app says that it is not well."""
    has_start_interval = version_tuple(engine) >= START_INTERVALS_SINCE
    # 0 would be the image's own, which may be long.
    check = _check(1, 2, timeout=2, period=0.001, start=float(has_start_interval), test=())
    return Case("fault", check, (First(FIRST_SECONDS), Does(FAULT), Probes(3)))
