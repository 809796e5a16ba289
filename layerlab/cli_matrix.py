"""The command-line face of the matrix: all experiments on engines of several releases."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from layerlab import summary
from layerlab.command import VARIABLE, this_command
from layerlab.engine import matrix
from layerlab.engine.command import end, leash
from layerlab.engine.matrix import MATRIX, Release
from layerlab.errors import LabError
from layerlab.folders import RECORD, record_folder
from layerlab.record.run import RunRecord, State
from layerlab.record.standing import standings
from layerlab.record.store import begun_by, reading
from layerlab.show import matrix as shown
from layerlab.show.live import Screen
from layerlab.show.matrix import Column
from layerlab.text import plain

#: A run that is told to end removes what it made.
_END_SECONDS = 120


def run_matrix(words: list[str]) -> int:
    """Run the experiments on each engine, one after another; 1 where something failed."""
    names = ", ".join(release.name for release in MATRIX)
    parser = argparse.ArgumentParser(
        prog="./lab matrix",
        description="all experiments on private engines of several releases, one after another; "
        "other words are those of `lab run`",
        allow_abbrev=False,
    )
    parser.add_argument("--engines", metavar="A,B", help=f"these engines only, of {names}")
    given, rest = parser.parse_known_args(words)
    for word in rest:
        if word.partition("=")[0] in ("--engine", "--resume"):
            raise LabError(f"{word}: `lab matrix` begins a run on each engine: leave it out")
    chosen = [matrix.named(name) for name in given.engines.split(",")] if given.engines else MATRIX
    if lack := matrix.lacking():
        raise LabError(lack)
    screen = Screen(sys.stderr)
    with screen.work("matrix", len(chosen)):
        columns = [_run_on(release, rest, screen) for release in chosen]
    width = shutil.get_terminal_size().columns
    print("\n".join(summary.section_lines(shown.matrix(columns, "simple"), width)))
    folder = summary.shown(record_folder(Path.cwd()) / "matrix")
    print(f"What each run said, and its report: {folder}")
    return 0 if all(column.passed for column in columns) else 1


def _run_on(release: Release, words: Sequence[str], screen: Screen) -> Column:
    """One run, as `lab run` does it, on the engine of a release."""
    folder = record_folder(Path.cwd()) / "matrix"
    folder.mkdir(exist_ok=True)
    page, report = folder / f"{release.name}.html", Path.cwd() / RECORD / "report.html"
    page.unlink(missing_ok=True)
    screen.doing(release.name, "starting the engine")
    begun = time.monotonic()
    try:
        with matrix.running(release, screen.say):
            own = _words(release, words)
            command, said = f"{this_command()}-{release.name}", folder / f"{release.name}.txt"
            code, last = _experiments(release.name, own, command, said, screen)
            run = next(iter(begun_by(Path.cwd(), command)), None)
            column = _column(release.name, run, time.monotonic() - begun, code, last)
    except LabError as error:
        run, column = None, Column(release.name, {}, time.monotonic() - begun, str(error))
    # Without a chapter there is none, and another run's stays.
    if run and report.exists() and run.id in report.read_text(encoding="utf-8"):
        shutil.copy2(report, page)
    screen.done()
    if not screen.shown:
        tests = sum(one.passed for one in column.standings.values())
        how = f"{tests} passed" if column.passed else "not passed"
        print(f"{release.name}: {how}, {column.seconds:.0f} s", flush=True)
    return column


def _words(release: Release, words: Sequence[str]) -> list[str]:
    """What `lab run` is told for an engine."""
    # A remote engine is taken for somebody's: nothing is built there that nobody asked for.
    standins = ["--standins"] if release.remote else []
    return [*standins, "--engine", f"private:{release.name}", *words]


def _experiments(
    name: str, words: Sequence[str], command: str, said: Path, screen: Screen
) -> tuple[int, str]:
    """Have a process of its own run them; returns its exit code and the last line that it printed."""
    argv = [*leash(), sys.executable, "-m", "layerlab", "run", *words]
    last = ""
    with (
        said.open("w", encoding="utf-8", errors="backslashreplace") as file,
        subprocess.Popen(
            argv,
            env={**os.environ, VARIABLE: command},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C is for this process, which tells it once.
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                file.write(line)
                file.flush()
                last = line.strip() or last
                if line.startswith("experiments/"):
                    screen.doing(name, line.partition(".py")[0])
        except BaseException:
            # Its last words are read meanwhile, so that they don't keep it.
            end(process, lambda seconds: process.communicate(timeout=seconds), _END_SECONDS)
            raise
    return process.returncode, plain(last)


def _column(name: str, run: RunRecord | None, seconds: float, code: int, last: str) -> Column:
    """What came of the run on an engine; None where it did not begin."""
    if run is None:
        return Column(name, {}, seconds, last or f"exit code {code}")
    with reading(Path.cwd()) as store:
        found = standings(store.outcomes(run.id))
    broken = None
    if run.ending != State.DONE:
        broken = f"the run {run.id} did not come to its end: {last}"
    elif code and not any(one.failed for one in found.values()):
        broken = f"exit code {code}: {last}"
    return Column(name, found, seconds, broken)
