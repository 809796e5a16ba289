"""Layout: what of a run a page shows, and where its samples are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from markupsafe import Markup

from layerlab.record.rows import Sample
from layerlab.show import cells, svg
from layerlab.show.anchor import anchor
from layerlab.show.cells import Cells
from layerlab.show.chapter import Chapter
from layerlab.show.section import Section
from layerlab.text import plain


@dataclass(frozen=True)
class Amount:
    """How much of everything a page has."""

    details: bool = True
    #: Of each variant in an experiment.
    samples: int = 1_000_000
    #: Of each table, and variants of an experiment whose samples are shown.
    rows: int = 1_000_000


@dataclass(frozen=True)
class Table:
    """A section as a page lays it out: a table, or text as it is."""

    title: str
    cells: Cells | None
    text: str
    notes: tuple[str, ...]
    #: The first cell of a row -> where its samples are.
    links: Mapping[str, str]
    #: How many rows are left out.
    hidden: int


def table(section: Section, links: Mapping[str, str], amount: Amount) -> Table:
    """A section; ``links`` are the places of variants' samples, by their names."""
    found = cells.read(section.table)
    return Table(
        section.title,
        found and found.first(amount.rows),
        section.table,
        section.notes[: amount.rows],
        {row[0]: to for row in found.rows if (to := _link(row[0], links))} if found else {},
        max(0, len(found.rows) - amount.rows) if found else 0,
    )


def _link(cell: str, links: Mapping[str, str]) -> str | None:
    """Where the samples are of what a cell names: a variant, maybe with more words behind it."""
    if cell in links:
        return links[cell]
    names = [name for name in links if cell.startswith((f"{name} ", f"{name}:"))]
    return links[max(names, key=len)] if names else None


@dataclass(frozen=True)
class Trace:
    """The samples of a variant in an experiment."""

    variant: str
    anchor: str
    samples: Sequence[Sample]
    count: int
    void: int


@dataclass(frozen=True)
class Traces:
    """The samples of an experiment."""

    anchor: str
    shown: Sequence[Trace]
    #: How many further variants there are.
    hidden: int


NO_TRACES = Traces("", (), 0)


def traced(samples: Sequence[Sample], amount: Amount) -> dict[str, Traces]:
    """The samples by experiment and variant, in the order in which these were first measured."""
    grouped: dict[str, dict[str, list[Sample]]] = {}
    for one in samples:
        grouped.setdefault(one.experiment, {}).setdefault(one.variant, []).append(one)
    return {
        experiment: Traces(
            anchor("samples", experiment),
            [
                Trace(
                    variant,
                    anchor("samples", experiment, variant),
                    its[: amount.samples],
                    len(its),
                    sum(one.invalid is not None for one in its),
                )
                for variant, its in islice(by_variant.items(), amount.rows)
            ],
            max(0, len(by_variant) - amount.rows),
        )
        for experiment, by_variant in grouped.items()
    }


class Page:
    """A chapter as a page lays it out."""

    def __init__(self, chapter: Chapter, traces: Traces, amount: Amount) -> None:
        self.experiment = chapter.experiment
        self.anchor = anchor("experiment", chapter.experiment)
        self.question = chapter.question
        self.answer = chapter.answer
        self.links = {plain(one.variant): one.anchor for one in traces.shown}
        # A picture says the same, in a page.
        sections = [one for one in chapter.sections["html"] if one.on_request != "plot"]
        self.tables = [table(one, self.links, amount) for one in sections if one.on_request is None]
        self.details = [
            table(one, self.links, amount)
            for one in sections
            if one.on_request is not None and amount.details
        ]
        # What a figure says was escaped when it was drawn.
        self.figures = [(title, Markup(svg.in_page(figure))) for title, figure in chapter.figures]
