"""The report: chapters, verdicts and samples as one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from layerlab.compare.comparison import Comparison
from layerlab.record.store import Sample
from layerlab.show import cells, dots, svg, verdict_cells
from layerlab.show.anchor import anchor
from layerlab.show.cells import Cells
from layerlab.show.chapter import Chapter
from layerlab.show.plots import MOST_ROWS
from layerlab.show.section import Section
from layerlab.text import plain

#: What a mail or a web page of a course still takes, and a phone still shows.
MOST_BYTES = 2_000_000
#: Of what failed: the end of a build's log is in it.
_MOST_CHARACTERS = 4000
_MOST_FAILURES = 50


@dataclass(frozen=True)
class Fact:
    """Something that the run was measured on or with."""

    name: str
    text: str


@dataclass(frozen=True)
class _Amount:
    """How much of everything a page has."""

    details: bool = True
    #: Of each variant in an experiment.
    samples: int = 1_000_000
    rows: int = 1_000_000


#: From all there is to what fits with any number of variants.
_AMOUNTS = (
    _Amount(),
    _Amount(details=False),
    _Amount(details=False, samples=40),
    _Amount(details=False, samples=10, rows=200),
    _Amount(details=False, samples=0, rows=60),
)


def html(
    title: str,
    headline: str,
    chapters: Sequence[Chapter],
    facts: Sequence[Fact],
    samples: Sequence[Sample],
    comparisons: Sequence[Comparison],
    *,
    about: Sequence[Section] = (),
    failures: Mapping[str, str] | None = None,
) -> str:
    """A page with all of it, below :data:`MOST_BYTES`: where that is too much, it says what it left out.

    ``headline`` is one sentence; ``about`` are sections on the run itself, whose tables are in the style
    "html"; ``failures`` maps a variant to why it was not measured. Everything may quote what is
    not to be trusted. The page fetches nothing and runs nothing, and says so to the browser, too.
    """
    page = ""
    for amount in _AMOUNTS:
        page = _rendered(
            amount,
            title=title,
            headline=headline,
            chapters=[_Page(chapter, samples, amount) for chapter in chapters],
            facts=facts,
            traces=_traces(samples, amount),
            verdicts=verdict_cells.cells(comparisons) if comparisons else None,
            verdict_notes=verdict_cells.notes(comparisons),
            ratios=_ratios(comparisons),
            about=[_table(section, {}, amount) for section in about],
            failures={
                name: why[:_MOST_CHARACTERS]
                for name, why in [*(failures or {}).items()][:_MOST_FAILURES]
            },
        )
        if len(page.encode("utf-8", "backslashreplace")) < MOST_BYTES:
            break
    return page


def _rendered(amount: _Amount, **values: object) -> str:
    environment = Environment(
        loader=PackageLoader("layerlab.show", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        # Whatever is shown may come from outside; markup of our own is no plain text.
        finalize=lambda value: plain(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    return environment.get_template("report.html.j2").render(amount=amount, **values)


def _prose(text: str) -> Markup:
    """A sentence in which backticks mark code, as in all of layerlab's."""
    parts = plain(text).split("`")
    if len(parts) % 2 == 0:
        return escape(plain(text))
    template = Markup("<code>{}</code>")
    return Markup("").join(
        template.format(part) if number % 2 else part for number, part in enumerate(parts)
    )


@dataclass(frozen=True)
class _Table:
    """A section as a page lays it out: a table, or text as it is."""

    title: str
    cells: Cells | None
    text: str
    notes: tuple[str, ...]
    #: The first cell of a row -> where its samples are.
    links: Mapping[str, str]
    #: How many rows are left out.
    hidden: int


def _table(section: Section, links: Mapping[str, str], amount: _Amount) -> _Table:
    found = cells.read(section.table)
    hidden = max(0, len(found.rows) - amount.rows) if found else 0
    if found and hidden:
        found = Cells(found.headers, found.rows[: amount.rows], found.right)
    return _Table(
        section.title,
        found,
        section.table,
        section.notes[: amount.rows],
        {row[0]: to for row in found.rows if (to := _link(row[0], links))} if found else {},
        hidden,
    )


def _link(cell: str, links: Mapping[str, str]) -> str | None:
    """Where the samples are of what a cell names: a variant, maybe with more words behind it."""
    if cell in links:
        return links[cell]
    names = [name for name in links if cell.startswith((f"{name} ", f"{name}:"))]
    return links[max(names, key=len)] if names else None


class _Page:
    """A chapter as a page lays it out."""

    def __init__(self, chapter: Chapter, samples: Sequence[Sample], amount: _Amount) -> None:
        self.experiment = chapter.experiment
        self.anchor = anchor("experiment", chapter.experiment)
        self.question = chapter.question
        self.answer = chapter.answer
        self.links = {
            plain(one.variant): anchor("samples", one.experiment, one.variant)
            for one in samples
            if one.experiment == chapter.experiment
        }
        # A picture says the same, in a page.
        sections = [one for one in chapter.sections["html"] if one.on_request != "plot"]
        self.tables = [
            _table(one, self.links, amount) for one in sections if one.on_request is None
        ]
        self.details = [
            _table(one, self.links, amount)
            for one in sections
            if one.on_request is not None and amount.details
        ]
        # What a figure says was escaped when it was drawn.
        self.figures = [(title, Markup(svg.in_page(figure))) for title, figure in chapter.figures]


@dataclass(frozen=True)
class _Trace:
    """The samples of a variant in an experiment."""

    variant: str
    anchor: str
    samples: Sequence[Sample]
    count: int
    void: int


def _traces(samples: Sequence[Sample], amount: _Amount) -> dict[str, list[_Trace]]:
    """The samples by experiment and variant, in the order in which these were first measured."""
    grouped: dict[str, dict[str, list[Sample]]] = {}
    for one in samples:
        grouped.setdefault(one.experiment, {}).setdefault(one.variant, []).append(one)
    return {
        experiment: [
            _Trace(
                variant,
                anchor("samples", experiment, variant),
                its[: amount.samples],
                len(its),
                sum(one.invalid is not None for one in its),
            )
            for variant, its in by_variant.items()
        ]
        for experiment, by_variant in grouped.items()
    }


def _ratios(comparisons: Sequence[Comparison]) -> Markup | None:
    drawn = [one for one in comparisons if one.effect][:MOST_ROWS]
    if not drawn:
        return None
    figure = dots.ratios_svg("Ratios to the baseline: below 1 is better", drawn)
    return Markup(svg.in_page(figure))
