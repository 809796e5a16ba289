"""What a run says at its end: its tables, what they were measured on, where they are kept."""

import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from layerlab.engine import bases
from layerlab.engine.processors import Spent
from layerlab.errors import LabError
from layerlab.folders import record_folder
from layerlab.lab import Lab
from layerlab.record.run import State
from layerlab.show import tables
from layerlab.show.section import Section
from layerlab.show.tables import in_cell
from layerlab.text import plain

WAITING = (
    "Waiting: so many of the seconds this machine's processors had nothing to do: intervals, graces and "
    "timeouts that are measured, disks and networks."
)


def sections(
    lab: Lab, *, requested: Collection[str], width: int
) -> Iterator[tuple[str, list[str]]]:
    """The run's tables for a terminal: title and lines.

    ``requested`` are the options with which the user asked for more.
    """
    parts = [one.sections["simple"] for one in lab.recorded.values()]
    parts += [tuple(result.sections("simple", width)) for result in lab.results.values()]
    for section in (one for part in parts for one in part):
        if section.on_request is None or section.on_request in requested:
            yield section.title, section_lines(section, width)
    if parts:
        yield "what it took", section_lines(took(lab.took, "simple"), width)
    if parts or lab.ending != State.DONE:
        yield "this run", [line for note in footnotes(lab) for line in wrapped(note, width)]


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
        f"Engine: {lab.endpoint.described()}",
        f"Bases: {bases.described(lab.bases)}",
        *map(plain, lab.notes),
        *_recorded(lab),
        f"Run {lab.run.id}; tables: {shown(markdown_file(lab))}; samples: {shown(lab.store.path)}",
    ]


def _recorded(lab: Lab) -> list[str]:
    """What was not measured now, and how to go on with what was not measured to its end."""
    told = []
    if lab.recorded:
        names = ", ".join(lab.recorded)
        told.append(f"From the record, measured before the run was resumed: {names}")
    if lab.ending != State.DONE:
        told.append("This run did not come to its end: `./lab run --resume` goes on with it.")
    return told


def markdown_file(lab: Lab) -> Path:
    return record_folder(lab.settings.project) / "tables.md"


def wrapped(line: str, width: int) -> list[str]:
    """A line as several that fit the terminal, further ones indented; paths stay whole."""
    return textwrap.wrap(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def indented(problem: LabError) -> str:
    """A problem as a Markdown code block, whatever it quotes."""
    return "\n".join(f"    {line}" for line in plain(str(problem)).splitlines())


def shown(path: Path) -> str:
    """A path as people write it: relative to where they are, if it is below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def markdown_sections(sections: Iterable[Section]) -> Iterator[str]:
    """Sections as paragraphs of Markdown."""
    for section in sections:
        if section.on_request == "plot":
            continue  # it is there as a picture
        level = "##" if section.on_request is None else "###"
        yield f"{level} {in_cell(section.title, 'github')}"
        yield section.table
        if section.notes:
            notes = (in_cell(plain(note), "github") for note in section.notes)
            yield "\n".join(f"- {note}" for note in notes)


def write_markdown(lab: Lab) -> None:
    """Write the run's tables to ``.layerlab/tables.md``, and its pictures beside it."""
    if not (lab.results or lab.recorded):
        return
    file = markdown_file(lab)
    parts: list[str] = []
    for name, chapter in lab.recorded.items():
        parts += markdown_sections(chapter.sections["github"])
        for number, (title, svg) in enumerate(chapter.figures, 1):
            picture = file.with_name(f"{name}-{number}.svg")
            picture.write_text(svg, encoding="utf-8")
            parts.append(f"![{title}]({picture.name})")
    for result in lab.results.values():
        parts += markdown_sections(result.sections("github", 120))
        parts += [f"![{title}]({path.name})" for title, path in result.figures(file.parent)]
    parts += [
        f"### {plain(variant)}: failed\n\n{indented(problem)}"
        for variant, problem in lab.problems.items()
    ]
    spent = took(lab.took, "github")
    parts += [f"## {spent.title}", spent.table, *(f"- {note}" for note in spent.notes)]
    parts += ["## This run", "\n".join(f"- {line}" for line in footnotes(lab))]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
