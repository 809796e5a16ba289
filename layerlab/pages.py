"""Pages: what a run leaves to be read: a report, its tables in Markdown, a step's summary on GitHub."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from layerlab.compare.comparison import Comparison
from layerlab.engine import bases
from layerlab.folders import record_folder, write_record
from layerlab.lab import Lab
from layerlab.record import host
from layerlab.show import markdown, report, verdicts
from layerlab.show.anchor import anchor
from layerlab.show.chapter import Chapter
from layerlab.show.report import Fact
from layerlab.show.section import Section
from layerlab.show.sentence import count
from layerlab.summary import footnotes, markdown_file, report_file, took


def write(
    lab: Lab,
    chapters: Sequence[Chapter],
    comparisons: Sequence[Comparison],
    step_summary: Path | None,
) -> None:
    """Write the report and the tables, and append these to ``step_summary`` where there is one.

    Raises:
        OSError: a file can't be written.
    """
    if not chapters:
        return
    write_record(report_file(lab), page(lab, chapters, comparisons))
    pictures = _pictures(chapters)
    for chapter in chapters:
        for title, figure in chapter.figures:
            path = record_folder(lab.settings.project) / pictures[chapter.experiment, title]
            write_record(path, figure)
    about = [took(lab.took, "github"), Section("This run", "", tuple(footnotes(lab)))]
    parts = blocks(lab, chapters, comparisons, about, pictures)
    write_record(markdown_file(lab), "\n\n".join(parts) + "\n")
    if step_summary is not None:
        # The pictures are files of this machine.
        append(step_summary, blocks(lab, chapters, comparisons, about, {}))


def blocks(
    lab: Lab,
    chapters: Sequence[Chapter],
    comparisons: Sequence[Comparison],
    about: Sequence[Section],
    pictures: Mapping[tuple[str, str], str],
) -> list[str]:
    """The run as parts of Markdown, verdicts first; ``pictures`` as for :func:`layerlab.show.markdown.blocks`."""
    first = list(verdicts.sections(comparisons, lab.settings.margin, "github"))
    return markdown.blocks(chapters, pictures, _failures(lab), about, first)


def _failures(lab: Lab) -> dict[str, str]:
    return {variant: str(problem) for variant, problem in lab.problems.items()}


def append(step_summary: Path, parts: Sequence[str]) -> None:
    """Append the parts to the summary of a GitHub step, as far as GitHub takes them.

    Raises:
        OSError: the file can't be written.
    """
    with step_summary.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(markdown.within(parts, markdown.STEP_BYTES - file.tell()))


def page(lab: Lab, chapters: Sequence[Chapter], comparisons: Sequence[Comparison]) -> str:
    """The run's report."""
    failures = _failures(lab)
    samples = lab.store.samples(lab.run.id)
    variants = {one.variant for one in samples}
    whole = f"{count(len(chapters), 'experiment')} on {count(len(variants), 'variant')}"
    measured = max((one.round for one in samples if one.invalid is None), default=0)
    # A bench may have ended before, or gone on for longer than it was asked to.
    rounds = count(measured if lab.settings.kind == "bench" else lab.settings.rounds, "round")
    headline = f"{whole}, {rounds}, Docker Engine {' and '.join(lab.releases)}"
    if failures:
        headline += f"; {count(len(failures), 'variant')} could not be measured"
    titles = [one.question for one in chapters]
    return report.html(
        titles[0] if len(titles) == 1 else "Docker practice, measured",
        f"{headline}.",
        chapters,
        facts(lab),
        samples,
        verdicts.ordered(comparisons),
        margin=lab.settings.margin,
        about=[took(lab.took, "html")],
        failures=failures,
    )


def facts(lab: Lab) -> list[Fact]:
    """What the run was measured on."""
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    found = [
        Fact("run", lab.run.id),
        *(Fact("engine", engine) for engine in lab.engines),
        Fact("host", f"{system}, {count(os.cpu_count() or 1, 'processor')}"),
        *(Fact(f"base {base.name}", based(base)) for base in lab.bases),
        Fact("rounds asked for", str(lab.settings.rounds)),
        *([Fact("baseline", lab.settings.baseline)] if lab.settings.baseline else []),
        Fact("command", " ".join([lab.settings.kind, *lab.settings.words])),
        *(Fact("note", note) for note in lab.notes),
        Fact("layerlab", host.layerlab_version()),
    ]
    # Two engines may say the same of a base.
    return list(dict.fromkeys(found))


def based(base: bases.Base) -> str:
    """What a base image is: its digest in its registry, or that it was built here."""
    if base.standin:
        return f"a stand-in made of Debian packages ({base.image_id})"
    return base.digest or f"a local image ({base.image_id})"


def _pictures(chapters: Sequence[Chapter]) -> dict[tuple[str, str], str]:
    """A file's name for each figure: its experiment, and a number from the second on."""
    return {
        (
            chapter.experiment,
            title,
        ): f"{anchor(chapter.experiment)}{f'-{number}' if number > 1 else ''}.svg"
        for chapter in chapters
        for number, (title, _) in enumerate(chapter.figures, 1)
    }
