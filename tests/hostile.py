"""A run in which everything that comes from outside is full of markup, script and marks."""

from collections.abc import Mapping
from dataclasses import replace

from streams import build

from layerlab.build.buildx import Build
from layerlab.chapters import chapter_of
from layerlab.compare.comparison import Comparison, Effect, Interval, Pair, Verdict
from layerlab.compare.metric import metric
from layerlab.errors import LabError
from layerlab.labs.layer_cache import SCENARIOS, Rebuilds
from layerlab.record.rows import Sample
from layerlab.show.chapter import Chapter
from layerlab.show.report import Fact, html
from layerlab.show.section import Section
from layerlab.show.tables import table

SCRIPT = "<script>alert(1)</script>"
#: As a file's name may be: names have no slash.
NAME = "<img src=x onerror=alert(1)>{{7*7}}{%raw%}\u202egnp.exe\"'`&amp;"
OTHER = "--><svg onload=alert(1)><\\style>]]>"
TEXT = f"RUN echo '{SCRIPT}</td></table></pre></style></title>' \u2066{{{{ 7*7 }}}} <!-- \x1b[31m"


def _build(name: str) -> Build:
    found = build(name)
    return replace(found, steps=tuple(replace(one, instruction=TEXT) for one in found.steps))


def rebuilds(cold: str = "ordered-cold", again: str = "ordered-source") -> Rebuilds:
    """Of two variants, the second of which failed."""
    mine: Mapping[str, list[Build]] = {"cold": [_build(cold)], "source-edit": [_build(again)]}
    builds = {
        name: {scenario: list(mine.get(scenario, ())) for scenario in SCENARIOS}
        for name in (NAME, OTHER)
    }
    return Rebuilds(builds, {OTHER: LabError(TEXT)}, count=1)


def chapters() -> list[Chapter]:
    """A lab's own, and one whose every word is from outside."""
    section = Section(
        TEXT, table([[NAME, TEXT], [OTHER, SCRIPT]], [TEXT, SCRIPT], "html", left=(0, 1)), (TEXT,)
    )
    # A text that is no table is shown as it is, whatever it begins with.
    text = Section(TEXT, f"<table><tr><td>{SCRIPT}</table>", on_request="steps")
    words = Chapter(TEXT, TEXT, f"`{SCRIPT}` {TEXT}", {"html": (section, text)}, ())
    return [chapter_of("layer-cache", rebuilds(), 80), words]


def samples() -> list[Sample]:
    """Of both variants; one is void."""
    return [
        Sample("layer-cache", name, "", TEXT, 1, 1, SCRIPT, 1.5, "s", invalid)
        for name, invalid in ((NAME, None), (OTHER, TEXT))
    ]


def comparison() -> Comparison:
    """In seconds, of both variants."""
    pairs = tuple(Pair(number, ratio) for number, ratio in enumerate((0.9, 0.95, 1.2), 1))
    effect = Effect(0.95, Interval(0.9, 1.2, 0.75, "min-max"), pairs)
    what = metric("layer-cache", "source-edit", "wall", "s")
    return Comparison(
        what, NAME, OTHER, 2.0, 1.9, None, effect, None, 0.05, Verdict.UNDECIDED, 4, (TEXT,)
    )


def page() -> str:
    """All of it as a report."""
    facts = [Fact(NAME, TEXT)]
    failures = {NAME: TEXT, OTHER: f"{TEXT}\nand its log: {SCRIPT}"}
    return html(NAME, TEXT, chapters(), facts, samples(), [comparison()], failures=failures)
