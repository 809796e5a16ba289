"""How a stack starts: when each service was created, started, answered and healthy, and who held it up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from layerlab.run.events import Event

#: The service that the others are started for.
WEB = "web"
COMPOSE = "docker compose"


@dataclass(frozen=True)
class Life:
    """One service's start, in seconds after `docker compose up` began; None where it did not happen."""

    service: str
    created: float | None
    started: float | None
    answered: float | None
    healthy: float | None


@dataclass(frozen=True)
class Stretch:
    """A part of the start-up that nothing else could have made shorter."""

    service: str
    what: str
    seconds: float


def life(service: str, events: Sequence[Event], answered: float | None, begun: float) -> Life:
    """A service's start, by its container's events; ``answered`` and ``begun`` are on their clock."""

    def first(*actions: str) -> float | None:
        return next((one.at - begun for one in events if one.action in actions), None)

    return Life(
        service,
        first("create"),
        first("start"),
        None if answered is None else answered - begun,
        first("health_status: healthy"),
    )


def critical_path(lives: Mapping[str, Life], ready: float, gated: bool) -> list[Stretch]:
    """What it was that the web service was waited for until it was ``ready``, one after another.

    With health-gated start-up that is the last of the others to be healthy, then compose, which asks
    twice a second (compose `convergence.go`, waitDependencies), then the web service. Without, it is
    the slower one of the web service and what it needs.
    """
    web = lives[WEB]
    others = [one for one in lives.values() if one.service != WEB]
    last = max(others, key=lambda one: (one.healthy if gated else one.answered) or 0.0)
    if web.started is None or web.answered is None or last.started is None or last.answered is None:
        return []
    begun = Stretch(COMPOSE, f"until {last.service} runs", last.started)
    work = Stretch(last.service, "from its start to an answer", last.answered - last.started)
    if gated and last.healthy is not None:
        # A health check may see it just before we do.
        answered = min(last.answered, last.healthy)
        return [
            begun,
            Stretch(last.service, work.what, answered - last.started),
            Stretch(last.service, "until its health check saw it", last.healthy - answered),
            Stretch(COMPOSE, f"until it notices, and {WEB} runs", web.started - last.healthy),
            Stretch(WEB, "from its start until it serves", ready - web.started),
        ]
    if last.answered > web.answered:
        return [begun, work, Stretch(WEB, "until it serves", ready - last.answered)]
    return [
        Stretch(COMPOSE, f"until {WEB} runs", web.started),
        Stretch(WEB, "from its start until it serves", ready - web.started),
    ]
