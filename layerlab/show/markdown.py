"""Markdown: chapters as a file, a pull request's comment, or the summary of a GitHub step."""

from collections.abc import Iterable, Mapping, Sequence

from layerlab.show.chapter import Chapter
from layerlab.show.section import Section
from layerlab.show.tables import in_cell
from layerlab.text import plain

#: What GitHub takes as a step's summary
#: (docs.github.com/actions, "Workflow commands", "Step isolation and limits").
STEP_BYTES = 1024 * 1024
_CUT = "The rest is left out: GitHub takes 1 MiB for a step's summary.\n"


def blocks(
    chapters: Sequence[Chapter],
    pictures: Mapping[tuple[str, str], str],
    failures: Mapping[str, str],
    about: Sequence[Section],
    first: Sequence[Section] = (),
) -> list[str]:
    """The parts of a file, with a blank line to stand between them.

    ``pictures`` maps an experiment and a figure's title to its file, where there is one; ``failures`` maps a variant to
    why it was not measured. The tables of ``about``, on the run itself, and of what comes ``first`` are in the style
    "github".
    """
    found = [part for section in first for part in _section(section, "##")]
    for chapter in chapters:
        found += [f"## {_line(chapter.question)}", f"**{_line(chapter.answer)}**"]
        for section in chapter.sections["github"]:
            if section.on_request != "plot":  # it is there as a picture
                found += _section(section, "###" if section.on_request is None else "####")
        found += [
            f"![{_line(title)}]({pictures[chapter.experiment, title]})"
            for title, _ in chapter.figures
            if (chapter.experiment, title) in pictures
        ]
    found += [f"### {_line(name)}: failed\n\n{_indented(why)}" for name, why in failures.items()]
    for section in about:
        found += _section(section, "##")
    return found


def _section(section: Section, level: str) -> Iterable[str]:
    yield f"{level} {_line(section.title)}"
    if section.table:
        yield section.table
    if section.notes:
        yield "\n".join(f"- {_line(note)}" for note in section.notes)


def within(parts: Iterable[str], room: int) -> str:
    """As many of the parts as fit in ``room`` bytes, and a word on the others where these are not all."""
    kept: list[str] = []
    left = room - len(_CUT.encode())
    for part in parts:
        left -= len(part.encode("utf-8", "backslashreplace")) + 2
        if left < 0:
            return "\n\n".join([*kept, _CUT]) if room >= len(_CUT.encode()) else ""
        kept.append(part)
    return "\n\n".join(kept) + "\n"


def _line(text: str) -> str:
    return in_cell(plain(text), "github")


def _indented(text: str) -> str:
    """As a code block, whatever it quotes."""
    return "\n".join(f"    {line}" for line in plain(text).splitlines())
