"""Images that a user names: found on an engine or in a file, taken apart, held to limits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from layerlab.engine.endpoint import Endpoint
from layerlab.image.anatomy import Anatomy
from layerlab.image.base import candidates, on_likely_base
from layerlab.image.export import from_engine, from_file, layer_digests
from layerlab.image.gate import Limits, broken
from layerlab.image.layers import Image, on_base
from layerlab.image.memory import of_user
from layerlab.labs.image_size import details
from layerlab.show import images
from layerlab.show.section import Section
from layerlab.show.tables import plain
from layerlab.show.units import bytes_text

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
    ) -> None:
        #: Asked only where an image is not in a file: it may have to be started.
        self._engine = engine
        self._here = here
        self._compress = compress
        self._platform = platform
        self._progress = progress
        self._memory = of_user()

    def find(self, word: str, base: str | None) -> list[Image]:
        """The images of a file, or the one of that name on the engine.

        ``base`` names the base likewise; without it the largest image of the engine that is wholly
        below is taken for one, and an image in a file has none.

        Raises:
            LabError: there is no such image, or it can't be read.
        """
        path = self._file(word)
        if path:
            self._progress(f"reading {word}")
            inside = from_file(path, compress=self._compress, platform=self._platform)
            several = len(inside) > 1
            found = [
                replace(image, name=f"{word}: {image.name}" if several else word)
                for image in inside
            ]
        else:
            found = [self._on_engine(word)]
        if base == NO_BASE:
            return found
        if base:
            digests = self._digests(base)
            return [on_base(image, base, digests) for image in found]
        if path:
            return found
        return [on_likely_base(image, candidates(self._engine())) for image in found]

    def _file(self, word: str) -> Path | None:
        path = self._here / word
        looks_like_one = word.startswith(("/", "./", "../", "~")) or word.endswith(
            (".tar", ".tar.gz", ".tgz")
        )
        return path if path.is_file() or looks_like_one else None

    def _on_engine(self, word: str) -> Image:
        return from_engine(
            self._engine(), word, self._memory, compress=self._compress, progress=self._progress
        )

    def _digests(self, base: str) -> list[str]:
        if path := self._file(base):
            image = from_file(path, compress=False, platform=self._platform)[0]
            return [layer.changeset.digest for layer in image.layers]
        return layer_digests(self._engine(), base)


def sections(anatomies: Sequence[Anatomy], width: int, *, detailed: bool) -> Iterator[Section]:
    """What there is to say of some images; all of it where there is only one."""
    by_name = {anatomy.image.name: anatomy for anatomy in anatomies}
    ways = " or ".join(sorted({anatomy.image.compression for anatomy in anatomies}))
    described = [
        f"{name}: {one.image.platform}, {one.image.digest[:19]}, on {one.image.base or 'no known base'}"
        for name, one in by_name.items()
    ]
    yield Section(
        "images",
        images.sizes(by_name, "simple"),
        (
            *described,
            f"Unpacked: the layers' tar streams. Compressed: {ways}. Pull: at 100 Mbit/s, computed.",
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
