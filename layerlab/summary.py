"""What a run says at its end: its tables, what they were measured on, where they are kept."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from layerlab.engine import bases
from layerlab.errors import LabError
from layerlab.folders import record_folder
from layerlab.lab import SCENARIOS, Lab
from layerlab.show import tables
from layerlab.show.tables import plain


def sections(lab: Lab, *, steps: bool, width: int) -> Iterator[tuple[str, list[str]]]:
    """The run's tables for a terminal: title and lines."""
    if lab.rebuilt is None:
        return
    yield (
        "layer cache: seconds and steps reused/total",
        [
            *tables.layer_cache(lab.rebuilt.builds, SCENARIOS, "simple").splitlines(),
            "",
            *(piece for note in footnotes(lab) for piece in wrapped(note, width)),
        ],
    )
    if steps:
        for variant, by_scenario in lab.rebuilt.builds.items():
            for scenario, builds in by_scenario.items():
                if builds:
                    table = tables.steps(builds[-1], "simple", width)
                    yield f"{plain(variant)}: steps, {scenario}", table.splitlines()


def footnotes(lab: Lab) -> list[str]:
    """What the tables were measured on."""
    rounds = lab.settings.rounds
    return [
        f"Seconds: wall clock of one build, median of {rounds} round{'s' * (rounds > 1)}.",
        "Steps: reused/all of RUN, COPY and ADD.",
        f"Engine: {lab.endpoint.described()}",
        f"Bases: {bases.described(lab.bases)}",
        *map(plain, lab.notes),
        "Took: " + ", ".join(f"{part} {seconds:.0f} s" for part, seconds in lab.took.items()),
        f"Run {lab.run.id}; tables: {shown(markdown_file(lab))}; samples: {shown(lab.store.path)}",
    ]


def markdown_file(lab: Lab) -> Path:
    return record_folder(lab.settings.project) / "tables.md"


def wrapped(line: str, width: int) -> list[str]:
    """A line as several that fit the terminal, further ones indented; paths stay whole."""
    return textwrap.wrap(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def indented(problem: LabError) -> str:
    """A problem as a Markdown code block, whatever it quotes."""
    return "\n".join(f"    {line}" for line in plain(str(problem)).splitlines())


def shown(path: Path) -> str:
    """A path as people write it: relative to where they are, if it is below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def write_markdown(lab: Lab) -> None:
    """Write the run's tables to ``.layerlab/tables.md``."""
    if lab.rebuilt is None:
        return
    parts = [
        "## Layer cache",
        tables.layer_cache(lab.rebuilt.builds, SCENARIOS, "github"),
        "\n".join(f"- {line}" for line in footnotes(lab)),
        *(
            f"### {plain(variant)}: failed\n\n{indented(problem)}"
            for variant, problem in lab.problems.items()
        ),
    ]
    for variant, by_scenario in lab.rebuilt.builds.items():
        for scenario, builds in by_scenario.items():
            if builds:
                parts += [f"### {plain(variant)}: {scenario}", tables.steps(builds[-1], "github")]
    markdown_file(lab).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
