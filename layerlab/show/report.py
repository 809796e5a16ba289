"""The report: chapters, verdicts and samples as one HTML file that needs nothing else."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from layerlab.compare.comparison import Comparison
from layerlab.compare.metric import metric
from layerlab.compare.verdict import DEFAULT_MARGIN
from layerlab.record.rows import Sample
from layerlab.show import dots, svg, verdicts
from layerlab.show.chapter import Chapter
from layerlab.show.layout import NO_TRACES, Amount, Page, Traces, table, traced
from layerlab.show.plots import MOST_ROWS
from layerlab.show.section import Section
from layerlab.text import plain

#: What a mail or a web page of a course still takes, and a phone still shows.
MOST_BYTES = 2_000_000
#: Of what failed: the end of a build's log is in it.
_MOST_CHARACTERS = 4000
_MOST_FAILURES = 50
#: About what one takes in a page.
_ROW_BYTES, _SAMPLE_BYTES = 500, 180


@dataclass(frozen=True)
class Fact:
    """Something that the run was measured on or with."""

    name: str
    text: str


#: From all there is to what fits with any number of variants.
_AMOUNTS = (
    Amount(),
    Amount(details=False),
    Amount(details=False, samples=40),
    Amount(details=False, samples=10, rows=200),
    Amount(details=False, samples=0, rows=60),
)


def html(
    title: str,
    headline: str,
    chapters: Sequence[Chapter],
    facts: Sequence[Fact],
    samples: Sequence[Sample],
    comparisons: Sequence[Comparison],
    *,
    margin: float = DEFAULT_MARGIN,
    about: Sequence[Section] = (),
    failures: Mapping[str, str] | None = None,
) -> str:
    """A page with all of it, below :data:`MOST_BYTES`: where that is too much, it says what it left out.

    ``headline`` is one sentence; ``margin`` is the one that the ``comparisons`` were asked with; ``about`` are sections on the run itself, whose tables are in the style
    "html"; ``failures`` maps a variant to why it was not measured. Everything may quote what is
    not to be trusted. The page fetches nothing and runs nothing, and says so to the browser, too.
    """
    page, ratios = "", _ratios(comparisons)
    for amount in _AMOUNTS:
        if amount != _AMOUNTS[-1] and _roughly(amount, chapters, samples) > 1.3 * MOST_BYTES:
            continue  # Laying out what is far too much would take long.
        traces = traced(samples, amount)
        page = _rendered(
            amount,
            title=title,
            headline=headline,
            chapters=[Page(one, traces.get(one.experiment, NO_TRACES), amount) for one in chapters],
            facts=facts,
            traces=traces,
            verdicts=[
                table(section, _links(samples, traces), amount)
                for section in verdicts.sections(comparisons, margin, "html")
            ][: amount.rows],
            ratios=ratios,
            about=[table(section, {}, amount) for section in about],
            failures={
                name: why[:_MOST_CHARACTERS]
                for name, why in [*(failures or {}).items()][:_MOST_FAILURES]
            },
        )
        if len(page.encode("utf-8", "backslashreplace")) < MOST_BYTES:
            break
    return page


def _links(samples: Sequence[Sample], traces: Mapping[str, Traces]) -> dict[str, str]:
    """Where the samples of a metric are, by the title that a table gives it."""
    return {
        metric(one.experiment, one.scenario, one.metric, one.unit).title: traces[
            one.experiment
        ].anchor
        for one in samples
        if one.experiment in traces
    }


def _roughly(amount: Amount, chapters: Sequence[Chapter], samples: Sequence[Sample]) -> int:
    """About how many bytes a page would have."""
    sections = [
        section
        for chapter in chapters
        for section in chapter.sections["html"]
        if amount.details or section.on_request is None
    ]
    variants = Counter((one.experiment, one.variant) for one in samples)
    shown = islice(variants.values(), amount.rows * max(1, len(chapters)))
    kept = sum(min(found, amount.samples) for found in shown)
    text = sum(min(len(one.table), amount.rows * _ROW_BYTES) for one in sections)
    return text + kept * _SAMPLE_BYTES


def _rendered(amount: Amount, **values: object) -> str:
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


def _ratios(comparisons: Sequence[Comparison]) -> Markup | None:
    drawn = [one for one in comparisons if one.effect][:MOST_ROWS]
    if not drawn:
        return None
    figure = dots.ratios_svg("Ratios to the baseline: below 1 is better", drawn)
    return Markup(svg.in_page(figure))
