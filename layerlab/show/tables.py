"""Tables of results, as strings."""

import re
import statistics
from collections.abc import Collection, Mapping, Sequence

import tabulate as tabulate_module

from layerlab.build.buildx import Build
from layerlab.text import plain, shorten

_MARKUP = re.compile(r"[\\`*_\[\]<>&|~$#]")


def layer_cache(
    results: Mapping[str, Mapping[str, Sequence[Build]]], scenarios: Sequence[str], style: str
) -> str:
    """One variant a row: median seconds and reused/total steps of each scenario.

    ``results`` maps variant -> scenario -> the rounds' builds; ``style`` is a tabulate format. A cell
    without a valid build shows a dash.
    """
    rows = [
        [
            in_cell(plain(variant), style),
            *(_cell(by_scenario.get(scenario, ())) for scenario in scenarios),
        ]
        for variant, by_scenario in results.items()
    ]
    headers = ["variant", *(scenario.replace("-", "\n") for scenario in scenarios)]
    return table(rows, headers, style, left=(0,))


def table(
    rows: Sequence[Sequence[object]], headers: Sequence[str], style: str, left: Collection[int]
) -> str:
    """A table in a tabulate format, whose columns are right-aligned save those of ``left``.

    Markdown knows no headings of several lines: there they are in one.
    """
    if style == "github":
        headers = [header.replace("-\n", "").replace("\n", " ") for header in headers]
    align = ["left" if index in left else "right" for index in range(len(headers))]
    # Two columns more for each heading would cost a table of eight its 80 columns.
    before, tabulate_module.MIN_PADDING = tabulate_module.MIN_PADDING, 0
    try:
        return tabulate_module.tabulate(
            rows, headers, tablefmt=style, disable_numparse=True, colalign=align
        )
    finally:
        tabulate_module.MIN_PADDING = before


def _cell(builds: Sequence[Build]) -> str:
    if not builds:
        return "-"
    seconds = statistics.median(build.wall_seconds for build in builds)
    counts = {(build.reused, len(build.counted)) for build in builds}
    reused = "/".join(map(str, counts.pop())) if len(counts) == 1 else "differ"
    return f"{seconds:.2f} s {reused}"


def steps(build: Build, style: str, width: int = 80) -> str:
    """The step table of one build: line, step, cached or run, seconds, instruction."""
    room = max(20, width - 40)
    rows = [
        [
            step.line or "",
            step.label,
            "base" if step.is_base else "cached" if step.cached else "run",
            f"{step.seconds:.2f}",
            in_cell(shorten(plain(step.instruction), room), style),
        ]
        for step in build.steps
    ]
    headers = ["line", "step", "", "s", "instruction"]
    return table(rows, headers, style, left=(1, 2, 4))


def in_cell(text: str, style: str) -> str:
    """Text in one line, as it is to be read: in Markdown a pipe begins the next cell, and ``<`` a tag."""
    text = text.replace("\n", "\\n").replace("\t", "\\t")
    return _MARKUP.sub(r"\\\g<0>", text) if style == "github" else text
