"""The command-line face of images: `image` and `secrets`."""

import argparse
import functools
import io
import platform
import shutil
import sys
from pathlib import Path

from layerlab.engine.choice import choose
from layerlab.engine.standins import MACHINES
from layerlab.errors import LabError, os_sentence
from layerlab.folders import called_from
from layerlab.image.anatomy import dissect
from layerlab.image.gate import Limits
from layerlab.image.memory import Memory
from layerlab.image.needles import Needles
from layerlab.image.secrets import Search
from layerlab.labs import image_secrets
from layerlab.labs.image_size import bar
from layerlab.labs.images import Finder, excesses, sections
from layerlab.show import bars
from layerlab.show.live import Screen
from layerlab.show.plots import stacked_svg
from layerlab.summary import section_lines
from layerlab.text import plain
from layerlab.units import parse_bytes, parse_percent


def images(words: list[str]) -> int:
    """Take images apart, and hold them to limits."""
    parser = argparse.ArgumentParser(
        prog="./lab image",
        description="What images weigh, layer by layer, and what of it is of no use. An image's totals "
        "are the same on every engine; what of them is its own depends on its base.",
    )
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="an image of the engine, or a saved one's tar file (`-`: standard input)",
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
        "--platform", help=f"which of several to take from a file (default: {_platform()} first)"
    )
    given = parser.parse_args(words)
    progress = Screen(sys.stderr).say
    here = called_from()
    if given.svg and not (here / given.svg).parent.is_dir():
        raise LabError(f"{given.svg}: there is no such folder: name a file in one that exists")
    finder = Finder(
        functools.cache(lambda: choose(given.engine, progress)),
        here,
        compress=not given.no_compressed,
        platform=given.platform or _platform(),
        only_platform=given.platform,
        progress=progress,
    )
    anatomies = [
        dissect(image)
        for word in dict.fromkeys(given.images)
        for image in finder.find(word, given.base)
    ]
    width = shutil.get_terminal_size().columns
    broken = list(excesses(anatomies, Limits(given.fail_over, given.max_waste)))
    shown = [bar(anatomy.image.name, anatomy) for anatomy in anatomies]
    if given.svg:
        stacked_svg("Images by parts (file bytes)", shown, here / given.svg)
    try:
        for section in sections(anatomies, width, detailed=given.layers):
            print(f"\n{plain(section.title)}\n", *section_lines(section, width), sep="\n")
        if given.plot:
            unicode = (sys.stdout.encoding or "").lower().startswith("utf")
            print("", *bars.lines("file bytes", shown, width, unicode=unicode), sep="\n")
    finally:
        for line in broken:
            print(f"layerlab: {plain(line)}", file=sys.stderr)
    return 1 if broken else 0


def _platform() -> str:
    """The platform of this machine's images."""
    return f"linux/{MACHINES.get(platform.machine(), platform.machine())}"


def secrets(words: list[str]) -> int:
    """Look for values in an image; nothing of them is printed or kept."""
    parser = argparse.ArgumentParser(
        prog="./lab secrets",
        usage="./lab secrets IMAGE [-] [--values FILE] [--patterns FILE] [--engine ENGINE] "
        "[--base IMAGE] [--platform PLATFORM]",
        description="Where someone who pulls an image can read values that should not be in it: "
        "configuration, history, every byte of every layer, attestations. Exit code 1 when one is found.",
        allow_abbrev=False,
    )
    parser.add_argument("image", metavar="IMAGE", help="an image of the engine, or a tar file")
    parser.add_argument("stdin", nargs="?", metavar="-", help="values come from standard input")
    parser.add_argument("--values", metavar="FILE", help="values, one a line; `-`: standard input")
    parser.add_argument(
        "--patterns", metavar="FILE", help="regular expressions of Python's `re`, one a line"
    )
    parser.add_argument("--engine", help="the engine to ask, as for `run`")
    parser.add_argument("--base", help="the image that this was built on, as for `image`")
    parser.add_argument("--platform", default=_platform(), help="as for `image`")
    given, more = parser.parse_known_args(words)
    if more or given.stdin not in (None, image_secrets.STDIN):
        # They are not quoted: one may be a value.
        raise LabError(
            "`secrets` takes one image, `-` and the options of `./lab secrets --help`: values are never "
            "written on the command line, where others can read them; write them to standard input"
        )
    if given.stdin and given.values is not None:
        raise LabError("values come from standard input (`-`) or from --values: give one of them")
    here = called_from()
    stdin = sys.stdin.buffer if sys.stdin else io.BytesIO()
    values = given.stdin or given.values
    needles = Needles(image_secrets.given_needles(values, given.patterns, stdin, here))
    search = Search(needles)
    progress = Screen(sys.stderr).say
    finder = Finder(
        functools.cache(lambda: choose(given.engine, progress)),
        here,
        compress=False,
        platform=given.platform,
        progress=lambda message: progress(needles.mask(message)),
        memory=Memory(),  # that of the user is a file, and would keep paths and texts
        watch=search,
    )
    try:
        searched = search.searched(finder.find(given.image, given.base))
    except LabError as error:
        raise LabError(needles.mask_cut(str(error))) from None
    except OSError as error:
        if error.filename is None:
            raise
        raise LabError(needles.mask_cut(os_sentence(error))) from None
    width = shutil.get_terminal_size().columns
    print(*image_secrets.lines(needles.mask(given.image), searched, width), sep="\n")
    return 1 if searched.findings else 0
