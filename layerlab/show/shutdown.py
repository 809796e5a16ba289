"""Tables of the shutdown lab: how long a start takes, and how a stop goes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from layerlab.run.shutdown import (
    ABRUPT,
    CLEAN,
    FLIGHT_SECONDS,
    GRACE_SECONDS,
    KILLED,
    LATE_SECONDS,
    LOST,
    Stop,
)
from layerlab.show.sentence import listed, named, sentence
from layerlab.show.tables import in_cell, table
from layerlab.text import plain, shorten

_ROOM = 56
NOTHING = "-"
START_NOTES = (
    "Start: from the beginning of docker run to the app's first answer, asked for every few milliseconds; "
    + "one container after another, without health checks.",
    "Memory: as docker stats shows it, after the first answer: with file pages, which the kernel counts for "
    + "the container that reads a file first.",
)
STOP_NOTES = (
    "Clean: the app's shutdown hook ran. Abrupt: it ended without. Killed: it did not end within "
    + f"{GRACE_SECONDS} s.",
    f"Requests: one in flight when the stop comes, {FLIGHT_SECONDS:g} s long; what still runs {LATE_SECONDS} s "
    + "before it is killed is sent another. Lost: the app took it and did not answer.",
)


class Life(Protocol):
    """What a row shows."""

    @property
    def start_seconds(self) -> float: ...
    @property
    def memory_bytes(self) -> int: ...
    @property
    def first(self) -> str: ...
    @property
    def stop(self) -> Stop: ...
    @property
    def request(self) -> str | None: ...


QUESTION = "How long do a start and a stop take, and does the app end cleanly?"
_MOST_NAMED = 3


def answer(lives: Mapping[str, Life], failed: Collection[str]) -> str:
    """How each kind of end went, and who lost a request."""
    told = {
        CLEAN: "ended cleanly",
        ABRUPT: "ended without the shutdown hook",
        KILLED: "had to be killed",
    }
    parts = []
    for kind, words in told.items():
        mine = {name: one.stop.seconds for name, one in lives.items() if one.stop.kind == kind}
        if mine:
            times = sorted({f"{seconds:.1f}" for seconds in mine.values()}, key=float)
            after = " to ".join(dict.fromkeys((times[0], times[-1])))
            parts.append(f"{_who(list(mine), len(lives))} {words}, {after} s after docker stop")
    lost = [name for name, one in lives.items() if one.request == LOST]
    if lost:
        parts.append(f"{_who(lost, len(lives))} lost a request in flight")
    return sentence(parts, failed)


def _who(names: Sequence[str], of: int) -> str:
    if len(names) <= _MOST_NAMED:
        return listed([named(name) for name in names])
    return f"all {of} starts" if len(names) == of else f"{len(names)} of {of} starts"


def starts(lives: Mapping[str, Life], style: str, width: int) -> str:
    """One case a row: seconds and megabytes."""
    rows = [
        [_named(name, style, width), f"{life.start_seconds:.2f}", f"{life.memory_bytes / 1e6:.1f}"]
        for name, life in lives.items()
    ]
    return table(rows, ["variant", "start s", "memory MB"], style, left=(0,))


def stops(lives: Mapping[str, Life], style: str, width: int) -> str:
    """One case a row: PID 1, seconds, exit code, and what became of the app and its requests."""
    rows: list[Sequence[object]] = []
    for name, life in lives.items():
        stop = life.stop
        hook = NOTHING if stop.hook is None else "ran" if stop.hook else "no"
        rows.append(
            [
                _named(name, style, width),
                in_cell(shorten(plain(life.first), 12), style),
                f"{stop.seconds:.2f}",
                stop.exit_code,
                stop.kind,
                hook,
                life.request or NOTHING,
            ]
        )
    headers = ["variant", "PID 1", "stop s", "exit", "end", "hook", "requests"]
    return table(rows, headers, style, left=(0, 1, 4, 5, 6))


def _named(name: str, style: str, width: int) -> str:
    return in_cell(shorten(plain(name), max(20, width - _ROOM)), style)
