"""A chapter of a report: what one experiment asked, its answer, its tables and pictures."""

from dataclasses import dataclass

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
