"""What a run says at its end: its tables, what they were measured on, where they are kept."""

import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from layerlab.compare.comparison import Comparison
from layerlab.engine import bases
from layerlab.engine.processors import Spent
from layerlab.folders import record_folder
from layerlab.lab import Lab
from layerlab.record.run import State
from layerlab.show import tables, verdicts
from layerlab.show.chapter import Chapter
from layerlab.show.section import Section
from layerlab.text import plain

WAITING = (
    "Waiting: so many of the seconds this machine's processors had nothing to do: intervals, graces and "
    "timeouts that are measured, disks and networks."
)


def sections(
    lab: Lab,
    chapters: Sequence[Chapter],
    comparisons: Sequence[Comparison],
    *,
    requested: Collection[str],
    width: int,
) -> Iterator[tuple[str, list[str]]]:
    """The run's answers and tables for a terminal: title and lines.

    ``comparisons`` are those with the run's baseline, if one was named; ``requested`` are the options with which the user asked for more.
    """
    for chapter in chapters:
        asked = [
            section
            for section in chapter.sections["simple"]
            if section.on_request is None or section.on_request in requested
        ]
        before = [*answer_lines(chapter, width), *([""] if asked else [])]
        for section in asked or [Section(chapter.experiment, "")]:
            yield section.title, [*before, *section_lines(section, width)]
            before = []
    for section in verdicts.sections(comparisons, lab.settings.margin, "simple"):
        yield section.title, section_lines(section, width)
    if chapters:
        yield "what it took", section_lines(took(lab.took, "simple"), width)
    if chapters or lab.ending != State.DONE:
        yield "this run", [line for note in footnotes(lab) for line in wrapped(note, width)]


def answer_lines(chapter: Chapter, width: int) -> list[str]:
    """What an experiment asked, and its answer."""
    return [
        *wrapped(plain(chapter.question), width),
        *wrapped(plain(chapter.answer), width),
    ]


def took(parts: Mapping[str, Spent], style: str) -> Section:
    """What each part of a run took, and what of it was waiting."""
    whole = sum(parts.values(), Spent())
    rows = [
        [part, f"{spent.wall:.0f}", "-" if spent.waiting is None else f"{spent.waiting:.0f}"]
        for part, spent in {**parts, "all": whole}.items()
    ]
    table = tables.table(rows, ["part", "seconds", "waiting"], style, left=(0,))
    return Section("what it took", table, (WAITING,))


def section_lines(section: Section, width: int) -> list[str]:
    """A section without its title, for a terminal."""
    notes = [line for note in section.notes for line in wrapped(plain(note), width)]
    return [*section.table.splitlines(), *([""] if notes else []), *notes]


def footnotes(lab: Lab) -> list[str]:
    """What the tables were measured on."""
    return [
        *(f"Engine: {plain(engine)}" for engine in lab.engines),
        f"Bases: {bases.described(lab.bases)}",
        *map(plain, lab.notes),
        *_recorded(lab),
        f"Run {lab.run.id}; report: {shown(report_file(lab))}; tables: {shown(markdown_file(lab))}; "
        + f"samples: {shown(lab.store.path)}",
    ]


def _recorded(lab: Lab) -> list[str]:
    """What was not measured now, and how to go on with what was not measured to its end."""
    told = []
    if lab.recorded and lab.run.again:
        names = ", ".join(lab.recorded)
        told.append(f"From the record, measured before the run was resumed: {names}")
    if lab.ending != State.DONE:
        goes_on = lab.settings.kind == "run"
        how = "`./lab run --resume` goes on with it" if goes_on else "nothing goes on with it"
        told.append(f"This {lab.settings.kind} did not come to its end: {how}.")
    return told


def markdown_file(lab: Lab) -> Path:
    return record_folder(lab.settings.project) / "tables.md"


def report_file(lab: Lab) -> Path:
    return record_folder(lab.settings.project) / "report.html"


def wrapped(line: str, width: int) -> list[str]:
    """A line as several that fit the terminal, further ones indented; paths stay whole."""
    return textwrap.wrap(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def shown(path: Path) -> str:
    """A path as people write it: relative to where they are, if it is below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
