"""The command-line face."""

import argparse
import functools
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from layerlab.build.variant import discover, load
from layerlab.engine import doctor
from layerlab.engine.choice import choose, private_engine
from layerlab.engine.matrix import MATRIX
from layerlab.engine.standins import MACHINES
from layerlab.errors import LabError, os_sentence
from layerlab.image.anatomy import dissect
from layerlab.image.gate import Limits
from layerlab.labs.image_size import bar
from layerlab.labs.images import Finder, excesses, sections
from layerlab.plugin import BAD_INPUT
from layerlab.show import bars
from layerlab.show.live import Screen
from layerlab.show.plots import stacked_svg
from layerlab.show.tables import plain
from layerlab.show.units import parse_bytes, parse_percent
from layerlab.summary import section_lines

USAGE = """\
usage: ./lab COMMAND [...]

  run [pytest arguments]     run the experiments (all, or -k cache, --variant my.Dockerfile, …)
  test [pytest arguments]    lint, type-check and run layerlab's own tests
  image IMAGE [IMAGE ...]    what images weigh and why: layers, waste, what is of no use; a gate for CI
  engine start|stop|status|env|remove
                             our own private engine; eval "$(./lab engine env)" uses it in a shell
  doctor [--engine ENGINE]   what layerlab found on this machine, and what to do about it

`./lab run --help` lists the options of run (those of layerlab are in the group "layerlab").
"""


def main() -> None:
    """Run the command line and exit: 0 done, 1 an expectation failed, 2 bad input."""
    sys.exit(dispatch(sys.argv[1:]))


def dispatch(words: list[str]) -> int:
    """Run one command; returns the exit code."""
    command, rest = (words[0], words[1:]) if words else ("help", [])
    try:
        if command == "run":
            return experiments(rest)
        if command == "test":
            return tests(rest)
        if command == "image":
            return images(rest)
        if command == "engine":
            return engine(rest)
        if command == "doctor":
            return show_doctor(rest)
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
    # A polite kill, or a terminal that is closed, cleans up like Ctrl-C.
    for order in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(order) != signal.SIG_IGN:  # as under nohup
            signal.signal(order, signal.default_int_handler)
    return _pytest(project, "experiments", words)


def tests(words: list[str]) -> int:
    """Run the linter, the formatter, the type checker and the tests; the first failure ends it."""
    for check in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        done = subprocess.run([sys.executable, "-m", *check], check=False)
        if done.returncode:
            print(f"layerlab: `{shlex.join(check)}` failed", file=sys.stderr)
            return 1
    return _pytest(Path.cwd(), "tests", words)


def _pytest(project: Path, folder: str, words: list[str]) -> int:
    # pytest takes an option's value for a test file when it looks for its own settings: without
    # this, `--variant ../other/my.Dockerfile` would make it read the settings of another project.
    own = ["--rootdir", str(project), "--config-file", str(project / "pyproject.toml")]
    status = int(pytest.main([*own, "-o", f"testpaths={folder}", *words]))
    # pytest has codes of its own for a wrong command line (4) and for no test (5).
    return BAD_INPUT if status in (4, 5) else status


def images(words: list[str]) -> int:
    """Take images apart, and hold them to limits."""
    parser = argparse.ArgumentParser(
        prog="./lab image",
        description="What images weigh, layer by layer, and what of it is of no use. The same image has "
        "the same numbers on every engine.",
    )
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="an image of the engine, or a saved one's tar file",
    )
    parser.add_argument("--engine", help="the engine to ask, as for `run`")
    parser.add_argument(
        "--base",
        help="the image that these were built on (`scratch`: none); default: the largest one of the engine that is wholly below",
    )
    parser.add_argument(
        "--fail-over",
        type=parse_bytes,
        metavar="SIZE",
        help="exit code 1 when an image is larger unpacked, e.g. 200MB",
    )
    parser.add_argument(
        "--max-waste",
        type=parse_percent,
        metavar="PERCENT",
        help="exit code 1 when own layers hide more of the files' bytes, e.g. 5%%",
    )
    parser.add_argument(
        "--layers", action="store_true", help="all there is to say, also for several images"
    )
    parser.add_argument("--plot", action="store_true", help="bars of the images' parts, too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write these bars to a picture")
    parser.add_argument(
        "--no-compressed",
        action="store_true",
        help="leave out what a pull moves, which takes the longest to find out",
    )
    parser.add_argument(
        "--platform",
        default=f"linux/{MACHINES.get(platform.machine(), platform.machine())}",
        help="which of several to take from a file (default: %(default)s)",
    )
    given = parser.parse_args(words)
    progress = Screen(sys.stderr).say
    here = Path(os.environ.get("LAYERLAB_CALLED_FROM") or Path.cwd())
    finder = Finder(
        functools.cache(lambda: choose(given.engine, progress)),
        here,
        compress=not given.no_compressed,
        platform=given.platform,
        progress=progress,
    )
    anatomies = [
        dissect(image)
        for word in dict.fromkeys(given.images)
        for image in finder.find(word, given.base)
    ]
    width = shutil.get_terminal_size().columns
    for section in sections(anatomies, width, detailed=given.layers):
        print(f"\n{plain(section.title)}\n", *section_lines(section, width), sep="\n")
    shown = [bar(anatomy.image.name, anatomy) for anatomy in anatomies]
    if given.plot:
        print("", *bars.lines("file bytes", shown, width), sep="\n")
    if given.svg:
        stacked_svg("Images by parts (file bytes)", shown, here / given.svg)
    limits = Limits(given.fail_over, given.max_waste)
    broken = list(excesses(anatomies, limits))
    for line in broken:
        print(f"layerlab: {plain(line)}", file=sys.stderr)
    return 1 if broken else 0


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
