"""Images that a user names: found on an engine or in a file, taken apart, held to limits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.image.anatomy import Anatomy
from layerlab.image.base import Candidate, candidates, on_likely_base
from layerlab.image.export import from_engine, from_file, layer_digests
from layerlab.image.gate import Limits, broken
from layerlab.image.layers import Image, on_base
from layerlab.image.memory import Memory, of_user
from layerlab.image.reader import Watch
from layerlab.labs.image_size import details
from layerlab.show import images
from layerlab.show.section import Section
from layerlab.text import plain
from layerlab.units import bytes_text

NO_BASE = "scratch"


class Finder:
    """Finds images by what a user calls them."""

    def __init__(
        self,
        engine: Callable[[], Endpoint],
        here: Path,
        *,
        compress: bool,
        platform: str,
        progress: Callable[[str], None],
        memory: Memory | None = None,
        watch: Watch | None = None,
        only_platform: str | None = None,
    ) -> None:
        #: Asked only where an image is not in a file: it may have to be started.
        self._engine = engine
        self._here = here
        self._compress = compress
        self._platform = platform
        self._progress = progress
        self._memory = of_user() if memory is None else memory
        #: Refuse an image for any other.
        self._only_platform = only_platform
        self._candidates: list[Candidate] | None = None
        #: Sees what is read; it needs an empty memory.
        self._watch = watch

    def find(self, word: str, base: str | None) -> list[Image]:
        """The images of a file, or the one of that name on the engine.

        ``base`` names the base likewise; without it the largest image of the engine that is wholly
        below is taken for one, and an image in a file has none.

        Raises:
            LabError: there is no such image, or it can't be read.
        """
        if base == "":
            raise LabError("--base is empty: name an image, or leave it out")
        path = self._file(word)
        if path:
            self._progress(f"reading {word}")
            inside = from_file(
                path, compress=self._compress, platform=self._platform, watch=self._watch
            )
            found = _renamed(word, inside, str(path))
        else:
            found = [self._on_engine(word)]
        self._check_platform(found)
        if base == NO_BASE:
            return found
        if base:
            digests = self._digests(base)
            return [on_base(image, base, digests) for image in found]
        if path:
            return found
        if self._candidates is None:
            self._candidates = candidates(self._engine())
        return [on_likely_base(image, self._candidates) for image in found]

    def _check_platform(self, found: Sequence[Image]) -> None:
        wanted = self._only_platform
        for image in found:
            if wanted is not None and f"{image.platform}/".startswith(f"{wanted}/") is False:
                raise LabError(
                    f"{image.name} is for {image.platform}, and --platform says `{wanted}`: name a "
                    "platform that it has, or leave the option out"
                )

    def _file(self, word: str) -> Path | None:
        if word == "-":
            return Path("/dev/stdin")
        path = self._here / Path(word).expanduser()
        if path.is_dir() and word not in ("", ".", ".."):
            raise LabError(
                f"{word} is a folder: pack an OCI layout (`tar -C {word} -cf image.tar .`) and name that"
            )
        looks_like_one = word.startswith(("/", "./", "../", "~")) or word.endswith(
            (".tar", ".tar.gz", ".tgz", ".tar.zst")
        )
        return path if path.is_file() or looks_like_one else None

    def _on_engine(self, word: str) -> Image:
        return from_engine(
            self._engine(),
            word,
            self._memory,
            compress=self._compress,
            progress=self._progress,
            watch=self._watch,
        )

    def _digests(self, base: str) -> list[str]:
        if path := self._file(base):
            image = from_file(path, compress=False, platform=self._platform)[0]
            return [layer.changeset.digest for layer in image.layers]
        return layer_digests(self._engine(), base)


def _renamed(word: str, inside: Sequence[Image], path: str) -> list[Image]:
    """The images of a file as the user calls it, each with a name of its own."""
    if len(inside) == 1:
        return [replace(inside[0], name="standard input" if word == "-" else word)]
    names = [image.name for image in inside]
    return [
        replace(
            image,
            name=f"{word}: {image.name}"
            if names.count(image.name) == 1 and image.name != path
            else f"{word}: {image.digest[:19]} ({position})",
        )
        for position, image in enumerate(inside, 1)
    ]


def sections(anatomies: Sequence[Anatomy], width: int, *, detailed: bool) -> Iterator[Section]:
    """What there is to say of some images; all of it where there is only one."""
    by_name = {anatomy.image.name: anatomy for anatomy in anatomies}
    ways = " or ".join(sorted({anatomy.image.compression for anatomy in anatomies}))
    measured = any(one.image.totals.compressed_bytes is not None for one in anatomies)
    described = [
        f"{name}: {one.image.platform}, {one.image.digest[:19]}, on {one.image.base or 'no known base'}"
        for name, one in by_name.items()
    ]
    yield Section(
        "images",
        images.sizes(by_name, "simple", width),
        (
            *described,
            "Unpacked: the layers' tar streams.",
            *([f"Compressed: {ways}. Pull: at 100 Mbit/s, computed."] if measured else []),
            "Own: on top of the base. Waste: what own layers hide. Layers: own+base.",
            *(warning for one in anatomies for warning in warnings(one)),
        ),
    )
    if detailed or len(anatomies) == 1:
        for name, anatomy in by_name.items():
            for section in details(anatomy, "simple", width):
                yield replace(section, title=f"{name}: {section.title}")


def warnings(anatomy: Anatomy) -> Iterator[str]:
    """What is odd about an image."""
    for layer in anatomy.image.layers:
        if stray := layer.changeset.stray:
            yield (
                f"{anatomy.image.name}: layer {layer.position} has {len(stray)} paths that lead out of "
                f"the image, such as {plain(stray[0])}; an engine refuses such a layer."
            )


def excesses(anatomies: Sequence[Anatomy], limits: Limits) -> Iterator[str]:
    """A line for each limit that an image breaks."""
    for anatomy in anatomies:
        for excess in broken(anatomy, limits):
            if excess.limit == "unpacked":
                yield (
                    f"{anatomy.image.name}: {bytes_text(int(excess.value))} unpacked is more than "
                    f"--fail-over {bytes_text(int(excess.allowed))} allows"
                )
            else:
                yield (
                    f"{anatomy.image.name}: {excess.value * 100:.3g}% of its files' bytes are waste, "
                    f"more than --max-waste {excess.allowed * 100:.3g}% allows"
                )
