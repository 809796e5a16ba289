"""Tables of results, as strings."""

import re
import statistics
from collections.abc import Mapping, Sequence

from tabulate import tabulate

from layerlab.build.buildx import Build
from layerlab.build.failure import shorten

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Untrusted text made harmless to a terminal: controls and direction marks are shown."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def layer_cache(
    results: Mapping[str, Mapping[str, Sequence[Build]]], scenarios: Sequence[str], style: str
) -> str:
    """One variant a row: median seconds and reused/total steps of each scenario.

    ``results`` maps variant -> scenario -> the rounds' builds; ``style`` is a tabulate format. A cell
    without a valid build shows a dash.
    """
    rows = [
        [
            _in_cell(plain(variant), style),
            *(_cell(by_scenario.get(scenario, ())) for scenario in scenarios),
        ]
        for variant, by_scenario in results.items()
    ]
    headers = ["variant", *(scenario.replace("-", " ") for scenario in scenarios)]
    if style != "github":
        headers = ["variant", *(header.replace(" ", "\n") for header in headers[1:])]
    return tabulate(
        rows, headers, tablefmt=style, disable_numparse=True, colalign=_align(len(scenarios))
    )


def _align(columns: int) -> tuple[str, ...]:
    return ("left", *["right"] * columns)


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
            _in_cell(shorten(plain(step.instruction), room), style),
        ]
        for step in build.steps
    ]
    headers = ["line", "step", "", "s", "instruction"]
    return tabulate(
        rows,
        headers,
        tablefmt=style,
        disable_numparse=True,
        colalign=("right", "left", "left", "right", "left"),
    )


def _in_cell(text: str, style: str) -> str:
    """In Markdown a pipe would begin the next cell; tabulate leaves that to its caller."""
    return text.replace("|", "\\|") if style == "github" else text
