"""What a run says at its end: its tables, what they were measured on, where they are kept."""

from collections.abc import Iterator
from pathlib import Path

from layerlab.engine import bases
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
            *footnotes(lab),
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
        "Steps: reused/all; FROM is not counted.",
        f"Engine: {lab.endpoint.described()}",
        f"Bases: {bases.described(lab.bases)}",
        *map(plain, lab.notes),
        f"Run {lab.run.id}; tables: {shown(markdown_file(lab))}; samples: {shown(lab.store.path)}",
    ]


def markdown_file(lab: Lab) -> Path:
    return record_folder(lab.settings.project) / "tables.md"


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
    ]
    for variant, by_scenario in lab.rebuilt.builds.items():
        for scenario, builds in by_scenario.items():
            if builds:
                parts += [f"### {plain(variant)}: {scenario}", tables.steps(builds[-1], "github")]
    markdown_file(lab).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
