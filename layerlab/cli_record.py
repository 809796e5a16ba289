"""The command-line face of the record: the runs, two of them beside each other, one of them as a file."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from layerlab import several
from layerlab.compare import gate, grammar
from layerlab.compare.comparison import Comparison, Verdict
from layerlab.compare.verdict import DEFAULT_MARGIN
from layerlab.engine import leftovers
from layerlab.errors import LabError
from layerlab.folders import called_from
from layerlab.record import between, document, resume
from layerlab.record.between import Recording
from layerlab.record.comparisons import comparisons
from layerlab.record.rows import Sample
from layerlab.record.run import RunRecord, find
from layerlab.record.sheet import sheet
from layerlab.record.store import Store, reading
from layerlab.show import runs as shown
from layerlab.show.runs import Listed
from layerlab.summary import wrapped
from layerlab.text import plain
from layerlab.units import parse_percent

RESUME = "--resume"


def resumed(project: Path, words: Sequence[str]) -> list[str]:
    """The words of `lab run`; with ``--resume [RUN]`` those of the run that is gone on with.

    Raises:
        LabError: there is nothing to go on with, or there are other words, too.
    """
    rest = [word for word in words if word.partition("=")[0] != RESUME]
    if len(rest) == len(words):
        return list(words)
    named = [word.partition("=")[2] for word in words if word.startswith(f"{RESUME}=")]
    if not named and rest and words.index(RESUME) + 1 < len(words):
        after = words[words.index(RESUME) + 1]
        if not after.startswith("-"):
            rest.remove(after)
            named = [after]
    if rest or len(named) > 1:
        raise LabError(
            f"--resume goes on with the words that the run was given: leave out `{(rest or named)[-1]}`"
        )
    with reading(project) as store:
        run = resume.stopped(
            store.runs(), named[0] if named else None, leftovers.home(), leftovers.alive()
        )
        engines = several.order(store, run)
    if folder := run.settings.get("called_from"):
        os.environ["LAYERLAB_CALLED_FROM"] = str(folder)
    return [
        *run.words,
        *([f"--engines={','.join(engines)}"] if engines else []),
        f"{RESUME}={run.id}",
    ]


def history(words: list[str]) -> int:
    """List the runs of this folder."""
    parser = argparse.ArgumentParser(prog="./lab history", description="the runs, newest last")
    parser.parse_args(words)
    home, alive = leftovers.home(), leftovers.alive()
    with reading(Path.cwd()) as store:
        listed = [_listed(store, run, home, alive) for run in store.runs()]
    if not listed:
        raise LabError("no run is recorded here yet: `./lab run` makes one")
    print(shown.history(listed, shutil.get_terminal_size().columns))
    return 0


def _listed(store: Store, run: RunRecord, home: str, alive: set[str]) -> Listed:
    return Listed(
        run,
        run.state(home, alive),
        *store.count(run.id),
        len({one.nodeid for one in store.outcomes(run.id) if one.outcome == "failed"}),
    )


def compare(words: list[str]) -> int:
    """Show two runs beside each other."""
    parser = argparse.ArgumentParser(
        prog="./lab compare",
        description="What the second run measured beside the first. RUN is an id, the beginning of one, "
        "`last`, `last~1`, or a file that `export --format json` wrote.",
        allow_abbrev=False,
    )
    parser.add_argument("first", metavar="RUN")
    parser.add_argument("second", metavar="RUN")
    parser.add_argument(
        "--baseline",
        metavar="VARIANT",
        help="on another machine or engine: what each run's times are divided by",
    )
    parser.add_argument("--margin", type=_share, default=DEFAULT_MARGIN, metavar="PERCENT")
    parser.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="GATE",
        help="exit code 1 where the second run breaks it, e.g. 'image.unpacked > +5%%'; repeatable",
    )
    parser.add_argument("--all", action="store_true", help="show metrics without a verdict, too")
    given = parser.parse_args(words)
    gates = [grammar.parse(text) for text in given.fail_if]
    first, second = (_recording(word) for word in (given.first, given.second))
    found = between.compared(first, second, baseline=given.baseline, margin=given.margin)
    width = shutil.get_terminal_size().columns
    for line in _head(first, second):
        print(*wrapped(plain(line), width), sep="\n")
    for title, table in shown.compared(found, "simple", everything=given.all):
        print("", title, "", table, sep="\n")
    print(
        "", *(part for line in _foot(found, given.all) for part in wrapped(line, width)), sep="\n"
    )
    broken, lines = gate.told(gates, found)
    for line in lines:
        print(f"layerlab: {plain(line)}", file=sys.stderr)
    return int(broken)


def _head(first: Recording, second: Recording) -> list[str]:
    lines = [
        f"{place}: {one.run.id} of {one.run.started[:16].replace('T', ' ')} UTC"
        for place, one in (("first", first), ("second", second))
    ]
    differ = between.differences(first, second)
    lines += [f"* {line}" for line in differ]
    if not differ.comparable:
        lines.append(
            "So times are compared as ratios to the baseline in the same run, not as seconds."
        )
    elif not list(differ):
        lines.append("Same machine, engine, bases, Dockerfiles and build context.")
    return lines


def _foot(found: Sequence[Comparison], everything: bool) -> list[str]:
    ratio = (
        "The ratio is second/first, of medians, with the range it is in where there are rounds enough. A "
        "time is called faster or slower only where every round of one run is below every one of the other."
    )
    lines = [ratio]
    few = [one for one in found if one.verdict == Verdict.UNDECIDED and one.notes]
    if few:
        lines.append(f"Of {len(few)} times nothing can be told: {few[0].notes[0]}.")
    left_out = sum(not shown.worth_showing(one) for one in found)
    if left_out and not everything:
        lines.append(f"{left_out} further metrics have no verdict: --all shows them.")
    return lines if found else ["The two runs have measured nothing in common."]


def export(words: list[str]) -> int:
    """Write a run as JSON, CSV or Markdown."""
    parser = argparse.ArgumentParser(
        prog="./lab export",
        description="A run as JSON (docs/record.md), as CSV with one sample a row, or as Markdown.",
        allow_abbrev=False,
    )
    parser.add_argument("run", nargs="?", default="last", metavar="RUN", help="as for `compare`")
    parser.add_argument("--format", choices=["json", "csv", "md"], required=True)
    parser.add_argument("--output", metavar="FILE", help="default: standard output")
    parser.add_argument("--baseline", metavar="VARIANT", help="what the others are compared with")
    given = parser.parse_args(words)
    with reading(Path.cwd()) as store:
        run = find(store.runs(), given.run)
        kept = store.kept(run.id)
        samples = [one.sample for one in kept]
        verdicts = _verdicts(run, samples, given.baseline)
        if given.format == "json":
            text = exported(store, run, verdicts)
        elif given.format == "csv":
            text = sheet(run.id, kept)
        else:
            text = shown.markdown(run, samples, verdicts)
    if given.output is None:
        sys.stdout.write(text)
    else:
        # Line ends as they are: those of CSV are CR LF everywhere.
        (called_from() / given.output).write_text(text, encoding="utf-8", newline="")
    return 0


def _verdicts(run: RunRecord, samples: Sequence[Sample], named: str | None) -> list[Comparison]:
    baseline = named or between.default_baseline(Recording(run.id, run, samples))
    if named and named not in {one.variant for one in samples}:
        raise LabError(f"the run {run.id} has no samples of the variant `{named}`")
    margin = float(run.settings.get("margin", DEFAULT_MARGIN))
    return comparisons(samples, baseline, margin) if baseline else []


def exported(store: Store, run: RunRecord, verdicts: Sequence[Comparison]) -> str:
    """A run as the text of a JSON document."""
    state = run.state(leftovers.home(), leftovers.alive())
    kept, steps = store.kept(run.id), store.steps(run.id)
    return document.text(document.document(run, state, kept, steps, verdicts, store.places(run.id)))


def _recording(word: str) -> Recording:
    """The run that a word means: a file, where there is one of that name, else one of the store."""
    path = called_from() / word
    if path.is_file():
        try:
            return document.recording(word, path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise LabError(f"{word}: this is no UTF-8 text: {document.REMEDY}") from error
    if word.endswith(".json"):
        raise LabError(f"there is no file {word}: give a run, or a file of `export --format json`")
    with reading(Path.cwd()) as store:
        run = find(store.runs(), word)
        return Recording(run.id, run, store.samples(run.id))


def _share(text: str) -> float:
    try:
        return parse_percent(text)
    except LabError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
