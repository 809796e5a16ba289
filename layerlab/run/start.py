"""One start of the stack, watched from its first container to its first good answer."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.run import container, startup, traffic, watcher
from layerlab.run.events import Event, Listener
from layerlab.run.stack import TRIES, NotUp, Stack
from layerlab.run.startup import WEB, Life, Stretch
from layerlab.run.traffic import Answer, Ask

READY, NOTES = Ask("GET", "/ready"), Ask("GET", "/notes")
BEAT_SECONDS = 0.04
#: How long a web service that was started may take until it serves, and until it is healthy.
SERVE_SECONDS = 60
SERVICES = (*watcher.TARGETS, WEB)


@dataclass(frozen=True)
class Start:
    """How the stack started once."""

    #: Whether the web service waited until the others were healthy.
    gated: bool
    lives: Mapping[str, Life]
    #: From the beginning of `docker compose up` until it returned, and until all was ready, in seconds.
    up_seconds: float
    ready_seconds: float
    #: All requests for the notes that were made meanwhile.
    asked: Sequence[Answer]

    @property
    def missed(self) -> int:
        """Requests that the app answered, and for which it had no database."""
        return sum(one.status == 503 for one in self.asked)

    @property
    def path(self) -> list[Stretch]:
        return startup.critical_path(self.lives, self.ready_seconds, self.gated)


def observed(
    endpoint: Endpoint,
    listener: Listener,
    stack: Stack,
    up: Callable[[], None],
    *,
    gated: bool,
) -> Start:
    """Start a stack that has no container by ``up``, and watch it until its web service is healthy.

    Raises:
        LabError: it does not come up, or does not serve.
    """
    for left in reversed(range(TRIES)):
        try:
            return _observed(endpoint, listener, stack, up, gated)
        except NotUp as error:
            # A port that Docker picked; it knows of no other engine's.
            if error.port is None or stack.environ["WEB_PORT"] != "0" or not left:
                raise
            stack.down("--volumes", "--timeout", "1")
    raise AssertionError("unreachable")


def _observed(
    endpoint: Endpoint, listener: Listener, stack: Stack, up: Callable[[], None], gated: bool
) -> Start:
    # This makes the networks, too.
    stack.compose("up", "--detach", "--no-build", watcher.SERVICE)
    watching = stack.containers()[watcher.SERVICE]
    try:
        watcher.await_watching(endpoint, watching)
        with traffic.asking(stack, (READY, NOTES), BEAT_SECONDS) as asked:
            begun, clock = listener.now(), time.time()
            up()
            up_seconds = time.time() - clock
            ready = asked.until(READY.path, 200, clock, SERVE_SECONDS)
            if ready is None:
                raise LabError(
                    f"the stack is up, and /ready did not answer 200 in {SERVE_SECONDS} s"
                )
            name = f"{stack.name}-{WEB}-1"
            listener.wait(name, lambda all_: _healthy(all_, begun), begun + SERVE_SECONDS)
        heard = watcher.heard(watcher.log(endpoint, watching))
    finally:
        container.remove(endpoint, watching)
    answers = [one for one in asked.answers if one.at >= clock]
    skew = begun - clock
    heard[WEB] = min(one.at + one.seconds for one in answers if one.status is not None) + skew
    lives = {}
    for service in SERVICES:
        events = [one for one in listener.of(f"{stack.name}-{service}-1") if one.at >= begun]
        lives[service] = startup.life(service, events, heard.get(service), begun)
    return Start(
        gated,
        lives,
        up_seconds,
        ready.at + ready.seconds - clock,
        [one for one in answers if one.ask == NOTES],
    )


def _healthy(events: Sequence[Event], since: float) -> bool:
    return any(one.action == "health_status: healthy" and one.at >= since for one in events)
