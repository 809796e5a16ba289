"""What a run says at its end: its tables, what they were measured on, where they are kept."""

import textwrap
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from layerlab.engine import bases
from layerlab.engine.processors import Spent
from layerlab.errors import LabError
from layerlab.folders import record_folder
from layerlab.lab import Lab
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
    for result in lab.results.values():
        for section in result.sections("simple", width):
            if section.on_request is None or section.on_request in requested:
                yield section.title, section_lines(section, width)
    if lab.results:
        yield "what it took", section_lines(took(lab.took, "simple"), width)
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
        f"Run {lab.run.id}; tables: {shown(markdown_file(lab))}; samples: {shown(lab.store.path)}",
    ]


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


def write_markdown(lab: Lab) -> None:
    """Write the run's tables to ``.layerlab/tables.md``, and its pictures beside it."""
    if not lab.results:
        return
    file = markdown_file(lab)
    parts: list[str] = []
    for result in lab.results.values():
        for section in result.sections("github", 120):
            if section.on_request == "plot":
                continue  # it is there as a picture
            level = "##" if section.on_request is None else "###"
            parts += [f"{level} {in_cell(section.title, 'github')}", section.table]
            if section.notes:
                notes = (in_cell(plain(note), "github") for note in section.notes)
                parts.append("\n".join(f"- {note}" for note in notes))
        parts += [f"![{title}]({path.name})" for title, path in result.figures(file.parent)]
    parts += [
        f"### {plain(variant)}: failed\n\n{indented(problem)}"
        for variant, problem in lab.problems.items()
    ]
    spent = took(lab.took, "github")
    parts += [f"## {spent.title}", spent.table, *(f"- {note}" for note in spent.notes)]
    parts += ["## This run", "\n".join(f"- {line}" for line in footnotes(lab))]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
