"""The command-line face."""

import argparse
import io
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest

from layerlab import audit, several
from layerlab.build.variant import discover, load
from layerlab.cli_bench import bench
from layerlab.cli_image import images, secrets
from layerlab.cli_matrix import run_matrix
from layerlab.cli_record import compare, export, history, resumed
from layerlab.command import this_command
from layerlab.ending import BAD_INPUT
from layerlab.engine import doctor
from layerlab.engine.matrix import MATRIX
from layerlab.engine.private import private_engine
from layerlab.errors import LabError, os_sentence
from layerlab.interruption import handled
from layerlab.session import own_words
from layerlab.text import plain

USAGE = """\
usage: ./lab COMMAND [...]

  run [pytest arguments]     run the experiments (all, or -k cache, --variant my.Dockerfile, …)
  bench -f OLD -f NEW CONTEXT
                             what Dockerfiles of your own project cost, beside the first one
  matrix [--engines A,B]     run them on private engines of several releases, one after another
  test [pytest arguments]    lint, type-check and run layerlab's own tests
  image IMAGE [IMAGE ...]    what images weigh and why: layers, waste, what is of no use; a gate for CI
  secrets IMAGE [-]          where values from standard input or a file can be read in an image; for CI, too
  history                    the runs that were recorded here
  compare RUN RUN            what differs between two runs, and how sure that is
  export --format FORMAT     a run as JSON, CSV or Markdown
  engine start|stop|status|env|remove
                             our own private engine; eval "$(./lab engine env)" uses it in a shell
  audit                      known vulnerabilities of the Python packages that all this stands on
  doctor [--engine ENGINE]   what layerlab found on this machine, and what to do about it

`./lab run --help` lists the options of run (those of layerlab are in the group "layerlab").
"""


def main() -> None:
    """Run the command line and exit: 0 done, 1 an expectation failed, 2 bad input."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may know ASCII only
    try:
        code = dispatch(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read this has seen enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    except OSError as error:
        print(f"layerlab: the output can't be written: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BAD_INPUT
    sys.exit(code)


def dispatch(words: list[str]) -> int:
    """Run one command; returns the exit code."""
    command, rest = (words[0], words[1:]) if words else ("help", [])
    try:
        if command in COMMANDS:
            with handled() if command in MEASURING else nullcontext():
                return COMMANDS[command](rest)
    except LabError as error:
        print(f"layerlab: {plain(str(error))}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        if error.filename is None:
            raise
        print(f"layerlab: {plain(os_sentence(error))}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("layerlab: interrupted", file=sys.stderr)
        return 130
    asked_for_help = command in ("help", "-h", "--help")
    if not asked_for_help:
        print(f"layerlab: there is no command `{command}`", file=sys.stderr)
    print(USAGE, file=sys.stdout if asked_for_help else sys.stderr, end="")
    return 0 if asked_for_help else BAD_INPUT


def experiments(words: list[str]) -> int:
    """Run the experiments of the project in the current folder."""
    project = Path.cwd()
    if not (project / "experiments").is_dir():
        raise LabError(f"{project} has no folder experiments/: go to layerlab's own folder")
    code = _pytest(project, "experiments", resumed(project, words))
    # Nobody waits for what is gone: what it had not ended is measured on an engine that is there.
    if run := several.lost(project, this_command()):
        print(f"\nlayerlab: going on with the run {run.id} for what was lost", file=sys.stderr)
        code = _pytest(project, "experiments", resumed(project, [f"--resume={run.id}"]))
    return code


def tests(words: list[str]) -> int:
    """Run the linter, the formatter, the type checker and the tests; the first failure ends it."""
    for check in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        done = subprocess.run([sys.executable, "-m", *check], check=False)
        if done.returncode:
            print(f"layerlab: `{shlex.join(check)}` failed", file=sys.stderr)
            return 1
    return _pytest(Path.cwd(), "tests", words)


def _pytest(project: Path, folder: str, words: list[str]) -> int:
    status = int(pytest.main([*own_words(project, folder), *words]))
    # pytest has codes of its own for a wrong command line (4) and for no test (5).
    return BAD_INPUT if status in (4, 5) else status


def engine(words: list[str]) -> int:
    """Start, stop, show or remove the private engine."""
    parser = argparse.ArgumentParser(prog="./lab engine", description="our own private engine")
    parser.add_argument("action", choices=["start", "stop", "status", "env", "remove"])
    action = parser.parse_args(words).action
    own = private_engine()
    if action in ("start", "env"):
        endpoint = own.start(lambda message: print(message, file=sys.stderr))
        if action == "env":
            print(doctor.shell_environment(own))
        else:
            print(f"the private engine runs at {endpoint.host}")
    elif action == "status":
        print(f"the private engine {'runs' if own.running else 'does not run'} ({own.folder})")
    elif action == "stop":
        for release in MATRIX:
            release.engine().stop()
        own.stop()
        print("the private engine is stopped; its images and its build cache stay")
    else:
        for release in MATRIX:  # they use its programs
            release.engine().remove()
        own.remove()
        print(f"the private engine is removed, with all in {own.folder}")
    return 0


def show_doctor(words: list[str]) -> int:
    """Print what was found, and what to do about it."""
    parser = argparse.ArgumentParser(prog="./lab doctor")
    parser.add_argument("--engine", help="the engine to look at, as for `run`")
    asked = parser.parse_args(words).engine
    images = {
        image: None
        for path in discover(Path.cwd() / "dockerfiles")
        for image in load(path).dockerfile.images()
    }
    findings = doctor.examine(asked, list(images))
    print("\n".join(map(plain, doctor.lines(findings))))
    return 0 if all(finding.advice is None for finding in findings) else 1


def show_audit(words: list[str]) -> int:
    """Print what is known of our packages: 0 nothing, 1 something; where nobody tells, LabError."""
    argparse.ArgumentParser(prog="./lab audit").parse_args(words)
    found = audit.audit(Path.cwd() / "app" / "requirements.txt")
    print("\n".join(map(plain, audit.lines(found))))
    return 1 if found.vulnerable else 0


COMMANDS: Mapping[str, Callable[[list[str]], int]] = {
    "run": experiments,
    "bench": bench,
    "matrix": run_matrix,
    "test": tests,
    "image": images,
    "secrets": secrets,
    "history": history,
    "compare": compare,
    "export": export,
    "engine": engine,
    "audit": show_audit,
    "doctor": show_doctor,
}
#: Those that have to clean up, however they are told to end.
MEASURING = ("run", "bench", "matrix")
