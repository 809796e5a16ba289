"""Tables of the stack lab: starts, networks, absences, volumes, and the variants in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from layerlab.errors import LabError
from layerlab.run import reach
from layerlab.run.absence import Away, Gap, Rebuilt
from layerlab.run.fate import Fate
from layerlab.run.reach import HOST, OUTSIDE, PORTS, Matrix
from layerlab.run.start import Start
from layerlab.run.volumes import KINDS, QUESTIONS, Kinds
from layerlab.show import timeline
from layerlab.show.plots import label
from layerlab.show.section import Section
from layerlab.show.sentence import count, listed, sentence
from layerlab.show.tables import in_cell, table
from layerlab.show.timeline import Bar
from layerlab.text import plain

NO, SURPRISE = "-", " !"
LEAKY = "On an engine before 23 an internal network has a way to the engine's machine, and so to outside."


QUESTION = "What holds when web, database and cache are one service?"


def answer(
    starts: Mapping[str, Start],
    away: Mapping[str, Away],
    gap: Gap | None,
    variants: Mapping[str, float | LabError],
) -> str:
    """Requests that met no database by how the start waits, notes that were lost, and a crash."""
    missed = [f"{one.missed} of {len(one.asked)} with {name}" for name, one in starts.items()]
    parts = [
        f"of the requests during a start, {listed(missed)} met no database" if missed else None
    ]
    notes = sum(one.accepted for one in away.values())
    if notes:
        lost = sum(one.accepted - one.kept for one in away.values())
        parts.append(
            f"{lost or 'none'} of {notes} notes accepted around an outage {'was' if lost < 2 else 'were'} lost"
        )
    if gap:
        parts.append(f"a killed web container answered again after {gap.seconds:.1f} s")
    if variants:
        served = sum(isinstance(told, float) for told in variants.values())
        parts.append(f"{served} of {count(len(variants), 'variant')} served as its web image")
    return sentence(parts)


def start_sections(starts: Mapping[str, Start], style: str) -> list[Section]:
    """The starts: a timeline as a table, what each part of the way took, requests without a database."""
    rows: list[list[str]] = []
    ways: list[list[str]] = []
    for name, start in starts.items():
        for life in start.lives.values():
            moments = (life.created, life.started, life.answered, life.healthy)
            first = life is next(iter(start.lives.values()))
            rows.append(
                [in_cell(name, style) if first else "", life.service, *map(_seconds, moments)]
            )
        path = start.path
        total = sum(one.seconds for one in path) or 1
        for number, one in enumerate(path):
            share = f"{100 * one.seconds / total:.0f}%"
            what = [one.service, one.what, _seconds(one.seconds), share]
            ways.append(["" if number else in_cell(name, style), *what])
    headers = ["depends_on", "service", "created", "started", "answers", "healthy"]
    asked = [
        f"{name}: {start.missed} of {len(start.asked)} requests for the notes met no database (503)."
        for name, start in starts.items()
    ]
    return [
        Section(
            "stack: how it starts, in seconds",
            table(rows, [in_cell(one, style) for one in headers], style, left=(0, 1)),
            (
                "Counted from the beginning of `docker compose up`. answers: the first good answer in the "
                + "service's own protocol, asked from its network. "
                + "The networks were there before; the database had to make its files.",
                *asked,
            ),
        ),
        Section(
            "stack: what the start waited for",
            table(
                ways,
                [in_cell("depends_on", style), "who", "what", "s", "share"],
                style,
                left=(0, 1, 2),
            ),
            ("Only what is on the way is listed: the cache is ready before the database.",)
            if all(one.service != "cache" for start in starts.values() for one in start.path)
            else (),
        ),
    ]


def timeline_svg(name: str, start: Start, path: Path) -> None:
    """A start as a picture."""
    bars = [
        Bar(one.service, one.created, one.started, one.answered, one.healthy)
        for one in start.lives.values()
    ]
    timeline.timeline_svg(f"depends_on: {name}", bars, path)


def reach_section(
    config: Mapping[str, Any],
    found: Matrix,
    published: Sequence[str],
    style: str,
    *,
    leaky: bool = False,
) -> Section:
    """Who reaches whom: rows are from where, columns are what is asked."""
    wanted = reach.promised(config, leaky=leaky)
    columns = [*PORTS, OUTSIDE]
    rows = []
    for one in (*PORTS, HOST):
        cells = [_cell((one, other), found, wanted) for other in columns]
        rows.append([one, *cells])
    headers = ["from", *(f"{name}:{port}" for name, port in PORTS.items()), OUTSIDE]
    surprises = reach.differences(config, found, leaky=leaky)
    return Section(
        "stack: who reaches whom",
        table(rows, headers, style, left=range(5)),
        (
            "yes: its name resolves and it answers in its own protocol; -: neither. The host, the engine's "
            + "machine, tries the containers' addresses; outside is a server there.",
            f"With a port on the host: {', '.join(published)}.",
            *((LEAKY,) if leaky else ()),
            *(f"{SURPRISE.strip()} {one}." for one in surprises),
            *(("All of it is as the file promises.",) if not surprises else ()),
        ),
    )


def _cell(pair: tuple[str, str], found: Matrix, wanted: Matrix) -> str:
    if pair not in found:
        return ""
    got = found[pair]
    # The outside is asked by its address, which needs no resolving.
    text = "yes" if got.answers else "name only" if got.resolves and pair[1] != OUTSIDE else NO
    return text + (SURPRISE if got.answers != wanted[pair].answers else "")


def away_section(away: Mapping[str, Away], style: str) -> Section:
    """What was answered while a server of the app's was away."""
    rows = []
    for service, one in away.items():
        by_path = [_statuses(one, ask) for ask in one.asks]
        rows.append([f"{service} stopped", *by_path, f"{one.recovered_seconds:.2f}"])
    headers = ["", "/health", "/ready", "GET\n/notes", "POST\n/notes", "POST\n/visits", "back\ns"]
    lost = [
        f"{service} stopped: {one.accepted} notes were accepted, {one.accepted - one.kept} of them lost; "
        f"/ready said so {one.noticed_seconds:.2f} s after the stop began."
        for service, one in away.items()
    ]
    return Section(
        "stack: a server goes, and comes back",
        table(rows, headers, style, left=(0,)),
        (
            "Cells: good answers + 503 (+ none at all). back: from its start until /ready said 200.",
            *lost,
        ),
    )


def gaps_section(gap: Gap, rebuilt: Rebuilt, style: str) -> Section:
    """How long the web service itself was away."""
    others = [name for name in ("database", "cache") if name not in rebuilt.replaced]
    rows = [
        [
            "its process is killed",
            f"{gap.seconds:.2f}",
            f"the restart policy started it after {gap.restart_seconds:.2f} s",
        ],
        [
            "up --build after an edit",
            f"{rebuilt.gap_seconds:.2f}",
            f"replaced {', '.join(rebuilt.replaced)}; {', '.join(others)} ran on",
        ],
    ]
    return Section(
        "stack: how long the web service is away",
        table(rows, ["what", "away s", "and"], style, left=(0, 2)),
        (
            f"From the last good answer to the next; `up --build` took {rebuilt.command_seconds:.2f} s.",
        ),
    )


def _statuses(one: Away, ask: Any) -> str:
    found = one.statuses(ask)
    good = sum(count for status, count in found.items() if status is not None and status < 400)
    parts = [good, found.get(503, 0)]
    silent = found.get(None, 0)
    return "+".join(map(str, [*parts, *([silent] if silent else [])]))


def notes_section(fates: Sequence[Fate], style: str) -> Section:
    """What became of a note."""
    rows = [
        [one.what, "another" if one.new_container else "the same", "yes" if one.kept else "gone"]
        for one in fates
    ]
    return Section(
        "stack: is a note still there?",
        table(rows, ["after", "container", "note"], style, left=range(3)),
    )


def kinds_section(kinds: Kinds, style: str) -> Section:
    """Named volume, bind mount and anonymous volume side by side."""
    rows = [
        [question, *("yes" if kinds.facts[question, kind] else NO for kind in KINDS)]
        for question in QUESTIONS
    ]
    left = [
        f"Left behind by {one.service} at {one.target}: {one.name[:12]}…, which no container uses "
        "(docker volume ls --filter dangling=true); removed by us."
        for one in kinds.left
    ]
    return Section(
        "stack: where files are kept",
        table(rows, ["", "named volume", "bind mount", "anonymous volume"], style, left=range(4)),
        tuple(left),
    )


def variants_section(variants: Mapping[str, float | LabError], style: str) -> Section:
    """Every variant as the stack's web image."""
    rows = [
        [
            in_cell(label(name, 40), style),
            f"{told:.2f}" if isinstance(told, float) else "failed",
        ]
        for name, told in variants.items()
    ]
    failed = [
        f"{plain(name)}: {plain(str(told).splitlines()[0])}"
        for name, told in variants.items()
        if isinstance(told, LabError)
    ]
    return Section(
        "stack: each variant as its web image",
        table(rows, ["variant", "ready after s"], style, left=(0,)),
        (
            "From `docker compose up web` until /ready and a note; database and cache stay up.",
            *failed,
        ),
    )


def _seconds(value: float | None) -> str:
    return NO if value is None else f"{value:.2f}"
