"""What happens to requests while a part of the stack is away."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import killing, traffic
from layerlab.run.events import Listener
from layerlab.run.stack import TRIES, NotUp, Stack
from layerlab.run.start import SERVE_SECONDS
from layerlab.run.startup import WEB
from layerlab.run.traffic import Answer, Ask, Traffic

HEALTH, READY, READ = Ask("GET", "/health"), Ask("GET", "/ready"), Ask("GET", "/notes")
WRITE, COUNT = (
    Ask("POST", "/notes", note="while the database goes and comes"),
    Ask("POST", "/visits"),
)
ASKS = (HEALTH, READY, READ, WRITE, COUNT)
BEAT_SECONDS = 0.05
#: How long all is well before something is taken away, and how long it stays away.
WELL_SECONDS = 0.4
AWAY_SECONDS = 0.5
DATABASE, CACHE = "database", "cache"
Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Away:
    """What was answered while a service was stopped and started again."""

    service: str
    #: All requests, from before it was stopped until it had been back for a while.
    answers: Sequence[Answer]
    #: From its stop until /ready said so, and from its start until all was ready again, in seconds.
    noticed_seconds: float
    recovered_seconds: float
    #: Notes that the app said it has, and those of them that it has at the end.
    accepted: int
    kept: int
    asks: Sequence[Ask] = ASKS

    def statuses(self, ask: Ask) -> Mapping[int | None, int]:
        """How many requests of a kind got each status; None is no answer at all."""
        found: dict[int | None, int] = {}
        for one in self.answers:
            if one.ask == ask:
                found[one.status] = found.get(one.status, 0) + 1
        return found


@dataclass(frozen=True)
class Gap:
    """The web service's own absence."""

    #: From the last good answer before it until the first one after it, in seconds.
    seconds: float
    #: From its container's end until it was started again, in seconds.
    restart_seconds: float
    #: Whether it is the same container, and the same processes.
    same_container: bool
    same_start: bool


def away(stack: Stack, service: str) -> Away:
    """Stop a service while requests are made, and start it again.

    Raises:
        LabError: /ready does not tell that it is away, or the app does not recover.
    """
    with traffic.asking(stack, ASKS, BEAT_SECONDS) as asked:
        time.sleep(WELL_SECONDS)
        stopped = time.time()
        stack.compose("stop", service)
        gone = _awaited(
            asked, READY, 503, stopped, f"{service} is stopped, and /ready never said 503"
        )
        time.sleep(AWAY_SECONDS)
        started = time.time()
        stack.compose("start", service)
        back = _awaited(asked, READY, 200, started, f"{service} is back, and /ready never said 200")
        time.sleep(WELL_SECONDS)
    accepted = [one.note for one in asked.answers if one.ask == WRITE and one.good]
    texts = set(stack.notes())
    return Away(
        service,
        asked.answers,
        gone.at + gone.seconds - stopped,
        back.at + back.seconds - started,
        len(accepted),
        sum(note in texts for note in accepted),
    )


def killed(stack: Stack, listener: Listener, run: Run, image: str) -> Gap:
    """Kill the web service's first process as a crash would, and wait until it serves again.

    Raises:
        LabError: its restart policy does not bring it back.
    """
    before = stack.inspect(WEB)
    name, since = f"{stack.name}-{WEB}-1", listener.now()
    with traffic.asking(stack, (HEALTH,), BEAT_SECONDS / 2) as asked:
        time.sleep(WELL_SECONDS)
        killing.kill(stack.endpoint, run, image, before)
        events = listener.wait(
            name,
            lambda all_: any(one.action == "start" and one.at >= since for one in all_),
            listener.now() + SERVE_SECONDS,
        )
        moments = {one.action: one.at for one in events if one.at >= since}
        if "start" not in moments:
            if why := stack.inspect(WEB)["State"]["Error"]:
                raise stack.not_up(why)
            raise LabError(f"{WEB} was killed, and its restart policy did not start it again")
        served = moments["start"] - listener.skew_seconds
        _awaited(asked, HEALTH, 200, served, f"{WEB} was started again, and does not serve")
        time.sleep(WELL_SECONDS / 2)
    after = stack.inspect(WEB)
    return Gap(
        traffic.outage(asked.answers, lambda one: one.good),
        moments["start"] - moments["die"],
        before["Id"] == after["Id"],
        before["State"]["StartedAt"] == after["State"]["StartedAt"],
    )


def anew(stack: Stack, measure: Callable[[], Measured]) -> Measured:
    """What ``measure`` gives; measured anew where Docker picked a port that another engine has.

    Raises:
        LabError: as ``measure`` does, for any other reason.
    """
    for _ in range(TRIES - 1):
        try:
            return measure()
        except NotUp as error:
            if error.port is None:
                raise
            stack.up_again()
            stack.await_ready()
    return measure()


@dataclass(frozen=True)
class Rebuilt:
    """What `up --build` did after an edit of the source."""

    gap_seconds: float
    command_seconds: float
    #: Which services have another container or another start time than before.
    replaced: Sequence[str]
    #: Whether the app that serves now is the edited one.
    edited: bool


def rebuilt(stack: Stack) -> Rebuilt:
    """Edit main.py in the stack's copy, and let compose build it and replace what has changed."""
    nonce = os.urandom(4).hex()
    with (stack.folder / "app" / "main.py").open("a", encoding="utf-8") as main:
        main.write(f'\n\n@app.get("/{nonce}")\nasync def edited() -> str:\n    return "{nonce}"\n')
    before = _starts(stack)
    edited = Ask("GET", f"/{nonce}")
    with traffic.asking(stack, (HEALTH, edited), BEAT_SECONDS / 2) as asked:
        time.sleep(WELL_SECONDS)
        begun = time.time()
        stack.compose("up", "--detach", "--build")
        command_seconds = time.time() - begun
        answered = asked.until(edited.path, 200, begun, SERVE_SECONDS)
        time.sleep(WELL_SECONDS / 2)
    after = _starts(stack)
    health = [one for one in asked.answers if one.ask == HEALTH]
    return Rebuilt(
        traffic.outage(health, lambda one: one.good),
        command_seconds,
        [service for service in after if after[service] != before.get(service)],
        answered is not None,
    )


def _starts(stack: Stack) -> dict[str, tuple[str, str]]:
    about = {service: stack.inspect(service) for service in stack.containers()}
    return {name: (one["Id"], one["State"]["StartedAt"]) for name, one in sorted(about.items())}


def _awaited(asked: Traffic, ask: Ask, status: int, since: float, otherwise: str) -> Answer:
    found = asked.until(ask.path, status, since, SERVE_SECONDS)
    if found is None:
        raise LabError(f"{otherwise} in {SERVE_SECONDS} s")
    return found
