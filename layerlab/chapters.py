"""Chapters: what a lab measured, as it is shown on every page and kept for later."""

import tempfile
from pathlib import Path

from layerlab.errors import os_sentence
from layerlab.result import Result
from layerlab.show.chapter import STYLES, Chapter
from layerlab.show.section import Section

#: Columns of a Markdown file and of a page, which scroll: only a very long name is cut there.
_WIDE = {"github": 120, "html": 160}


def chapter_of(experiment: str, result: Result, width: int, scratch: Path | None = None) -> Chapter:
    """A result as a chapter; ``width`` is that of the terminal that it may be shown on, in columns.

    Pictures are written below ``scratch`` on their way: a run's folder, which is gone with the run. Where that
    can't be, as on a full disk, the chapter says so in their place.
    """
    sections = {style: tuple(result.sections(style, _WIDE.get(style, width))) for style in STYLES}
    figures: tuple[tuple[str, str], ...] = ()
    try:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            figures = tuple(
                (title, path.read_text(encoding="utf-8"))
                for title, path in result.figures(Path(folder))
            )
    except OSError as error:
        why = f"They can't be drawn: {os_sentence(error)}."
        missing = Section("pictures", "", (why,))
        sections = {style: (*some, missing) for style, some in sections.items()}
    return Chapter(experiment, result.question, result.answer(), sections, figures)
