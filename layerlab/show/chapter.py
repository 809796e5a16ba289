"""A chapter of a report: what one experiment asked, its answer, its tables and pictures."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from layerlab.show.section import Section

#: The styles in which a chapter keeps its tables: a terminal's, Markdown's, a page's.
STYLES = ("simple", "github", "html")


@dataclass(frozen=True)
class Chapter:
    """One experiment's results, ready to be shown anywhere and kept in a store."""

    experiment: str
    question: str
    #: One sentence that a person would say.
    answer: str
    #: style -> its sections, for each of :data:`STYLES`
    sections: dict[str, tuple[Section, ...]]
    #: Title and the text of an SVG element.
    figures: tuple[tuple[str, str], ...]


def packed(chapter: Chapter) -> dict[str, Any]:
    """A chapter as JSON has it."""
    return asdict(chapter)


def unpacked(content: Mapping[str, Any]) -> Chapter:
    """The chapter that :func:`packed` made JSON of."""
    sections = {
        style: tuple(Section(**{**section, "notes": tuple(section["notes"])}) for section in some)
        for style, some in content["sections"].items()
    }
    figures = tuple((title, svg) for title, svg in content["figures"])
    return Chapter(content["experiment"], content["question"], content["answer"], sections, figures)
