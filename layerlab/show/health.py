"""Tables and lanes of the health lab: changes of state, predicted and measured."""

import bisect
import textwrap
from collections.abc import Collection, Mapping, Sequence

from layerlab.run.agreement import TOLERANCE_SECONDS, Comparison
from layerlab.run.health import HEALTHY, STARTING, UNHEALTHY, HealthChange
from layerlab.show.sentence import count, listed, named, sentence
from layerlab.show.tables import in_cell, table
from layerlab.text import plain

#: What a lane shows of a timeline at most.
LONGEST_SECONDS = 60.0
_STATES_COLUMNS = 28
_GLYPHS = {STARTING: "-", HEALTHY: "=", UNHEALTHY: "!"}


QUESTION = "When does Docker call a container healthy or unhealthy?"
_MOST_NAMED = 3


def answer(
    settings: Sequence[Comparison], starts: Mapping[str, Comparison], failed: Collection[str]
) -> str:
    """How far from their predictions the changes came, and what variants became after their start.

    ``starts`` maps a variant to its start.
    """
    parts = []
    if settings:
        right = [one for one in settings if one.agrees]
        off = f", at most {max(one.off_seconds for one in right):.2f} s off" if right else ""
        all_ = "all" if len(right) == len(settings) else f"{len(right)} of"
        parts.append(f"{all_} {count(len(settings), 'setting')} went as moby's rules predict{off}")
    changes = {name: one.timeline.announced() for name, one in starts.items()}
    if healthy := [its[0].seconds for its in changes.values() if its and its[0].state == HEALTHY]:
        who = count(len(healthy), "variant")
        times = " to ".join(dict.fromkeys(f"{one:.1f}" for one in (min(healthy), max(healthy))))
        parts.append(f"{who} became healthy, {times} s after the start")
    first = [named(name) for name, its in changes.items() if its and its[0].state == UNHEALTHY]
    if first:
        parts.append(f"{listed(first, _MOST_NAMED)} became unhealthy")
    if never := [named(name) for name, its in changes.items() if not its]:
        parts.append(f"{listed(never, _MOST_NAMED)} became neither while watched")
    return sentence(parts, failed)


def seconds(value: float) -> str:
    """A time or a difference; "never" where there is none."""
    return "-" if value == float("inf") else f"{value:.2f}"


def groups(cases: Mapping[str, Comparison], kinds: Mapping[str, str], style: str) -> str:
    """One row for each kind of case: how many settings, the changes of state, how far off at worst.

    ``kinds`` maps a case to its kind.
    """
    grouped: dict[str, list[Comparison]] = {}
    for name, one in cases.items():
        grouped.setdefault(kinds[name], []).append(one)
    rows = [
        [
            in_cell(kind, style),
            len(several),
            _stacked([_states(one) for one in several], style),
            seconds(max(one.off_seconds for one in several)),
        ]
        for kind, several in grouped.items()
    ]
    return table(rows, ["what happens", "settings", "states", "off by\ns"], style, left=(0, 2))


def _stacked(states: Sequence[str], style: str) -> str:
    """Each sequence of states once; in a terminal, in lines that leave room for the other columns."""
    different = list(dict.fromkeys(states))
    if style == "github":
        return "; or ".join(different)
    return "\n".join(line for text in different for line in textwrap.wrap(text, _STATES_COLUMNS))


def _states(one: Comparison) -> str:
    return ", ".join(change.state for change in one.timeline.announced()) or STARTING


def changes(cases: Mapping[str, Comparison], style: str, first: str = "setting") -> str:
    """One row for each change of state of each case: predicted, measured, the difference."""
    rows: list[list[object]] = []
    for name, one in cases.items():
        pairs = one.pairs() or [(None, None)]
        for number, (predicted, measured) in enumerate(pairs):
            rows.append(
                [
                    in_cell(plain(name), style) if number == 0 else "",
                    _state(predicted, measured),
                    seconds(predicted.seconds) if predicted else "-",
                    seconds(measured.seconds) if measured else "-",
                    f"{measured.seconds - predicted.seconds:+.2f}"
                    if predicted and measured and predicted.state == measured.state
                    else "differ"
                    if predicted or measured
                    else "-",
                ]
            )
    headers = [first, "becomes", "pre-\ndicted s", "mea-\nsured s", "off\nby s"]
    return table(rows, headers, style, left=(0, 1))


def _state(predicted: HealthChange | None, measured: HealthChange | None) -> str:
    states = [change.state for change in (measured, predicted) if change]
    return " / ".join(dict.fromkeys(states)) or STARTING


def lanes(one: Comparison, width: int) -> list[str]:
    """A timeline for a terminal: the states as they were, and as predicted; the probes; a scale."""
    room = max(20, width - 11)
    length = min(LONGEST_SECONDS, max(one.until_seconds, 1.0))
    step = length / room

    def lane(changes: Sequence[HealthChange]) -> str:
        told = [change for change in changes if change.announced or change.state == STARTING]
        moments = [change.seconds for change in told]
        states = [told[bisect.bisect(moments, (c + 0.5) * step) - 1].state for c in range(room)]
        return "".join(map(_GLYPHS.__getitem__, states))

    probes = [" "] * room
    for probe in one.timeline.probes:
        cell = int(probe.begin_seconds / step)
        if 0 <= cell < room:
            probes[cell] = "+" if probe.exit_code == 0 else "x"
    ticks = _scale(length, room)
    return [
        f"measured   {lane(one.timeline.changes)}",
        f"predicted  {lane(one.prediction.changes)}",
        f"probes     {''.join(probes).rstrip()}",
        f"seconds    {ticks}",
    ]


def _scale(length: float, room: int) -> str:
    unit = next((u for u in (1, 2, 5, 10, 20) if u * room / length >= 6), 60)
    line = [" "] * (room + 4)
    for number in range(int(length / unit) + 1):
        cell = int(number * unit / length * room)
        for offset, character in enumerate(str(number * unit)):
            if cell + offset < room:
                line[cell + offset] = character
    return "".join(line).rstrip()


LETTERS = (
    "I interval, T timeout, S start period, s start interval (seconds), R retries; what is not there has "
    "its default. Seconds count from the container's start."
)
LEGEND = "- starting, = healthy, ! unhealthy; + a probe that succeeded, x one that failed."


def disagreement(name: str, one: Comparison, log: str) -> str:
    """Why a case fails: both timelines, the probes' words, and the app's last lines."""
    off = one.off_seconds
    why = (
        "other changes of state than predicted"
        if off == float("inf")
        else f"a change came {off:.2f} s off its prediction; {TOLERANCE_SECONDS:g} s are tolerated"
    )
    if one.prediction.doubtful:
        why += "; the app changed while a probe ran, so that it can't be told which of the two that saw"
    said = dict.fromkeys(" ".join(p.output.split()) for p in one.timeline.probes if p.exit_code)
    words = [f"a probe said: {plain(text)[:200]}" for text in list(said)[:3] if text]
    return "\n".join(
        [f"{plain(name)}: {why}", changes({name: one}, "simple"), *lanes(one, 80), LEGEND, *words]
    ) + (f"\nits log ends with:{log}" if log else "")
