"""An image and its layers: which instruction made each, whose it is, and what it weighs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from layerlab.build.dockerfile import Dockerfile
from layerlab.errors import LabError
from layerlab.image.changeset import Changeset
from layerlab.image.compression import LEVEL


@dataclass(frozen=True)
class Event:
    """One line of an image's history: an instruction, and whether it made a layer."""

    instruction: str
    makes_layer: bool


@dataclass(frozen=True)
class Layer:
    """A layer in its place in an image."""

    changeset: Changeset
    #: From 1, the lowest.
    position: int
    #: As the image's history has it, without BuildKit's and the older builder's additions.
    instruction: str
    #: The line of the Dockerfile, where the image is of a build that we did; else 0.
    line: int = 0
    #: Whether the layer is the base image's.
    base: bool = False
    #: Bytes and compression with which the engine or the archive holds it; None for a plain tar.
    stored: tuple[int, str] | None = None

    @property
    def compressed_bytes(self) -> int | None:
        """What a push or pull moves for it: as it is stored, else as gzip of a fixed level."""
        return self.stored[0] if self.stored else self.changeset.gzip_bytes


@dataclass(frozen=True)
class Totals:
    """What some layers weigh together."""

    layers: int
    #: Bytes of the plain tar streams: what a disk holds.
    unpacked_bytes: int
    #: Bytes of regular files.
    file_bytes: int
    files: int
    #: What a push or pull moves; None where it was not measured.
    compressed_bytes: int | None


@dataclass(frozen=True)
class Image:
    """An image, analysed."""

    name: str
    #: The digest of its configuration.
    digest: str
    #: Such as "linux/amd64".
    platform: str
    layers: tuple[Layer, ...]
    #: The folder that its containers start in; "" is the root.
    workdir: str = ""
    #: The name of the base image, where it is known.
    base: str | None = None
    history: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def totals(self) -> Totals:
        return totals(self.layers)

    @property
    def own(self) -> Totals:
        """The totals of what lies on top of the base."""
        return totals(layer for layer in self.layers if not layer.base)

    @property
    def compression(self) -> str:
        """How the compressed total came about, for people."""
        ways = {layer.stored[1] if layer.stored else f"gzip -{LEVEL}" for layer in self.layers}
        stored = all(layer.stored for layer in self.layers)
        return (
            f"{' and '.join(sorted(ways)) or 'no layers'}{', as stored' if stored and ways else ''}"
        )


def totals(layers: Iterable[Layer]) -> Totals:
    """Add up layers."""
    chosen = list(layers)
    compressed = [layer.compressed_bytes for layer in chosen]
    known = [count for count in compressed if count is not None]
    return Totals(
        layers=len(chosen),
        unpacked_bytes=sum(layer.changeset.tar_bytes for layer in chosen),
        file_bytes=sum(layer.changeset.file_bytes for layer in chosen),
        files=sum(layer.changeset.files for layer in chosen),
        compressed_bytes=sum(known) if len(known) == len(compressed) else None,
    )


def on_base(image: Image, name: str, base_digests: Iterable[str]) -> Image:
    """The image with its lowest layers marked as those of the base ``name``.

    Raises:
        LabError: the base's layers are not the image's lowest.
    """
    below = list(base_digests)
    if [layer.changeset.digest for layer in image.layers[: len(below)]] != below:
        raise LabError(
            f"{image.name} does not stand on {name}: its lowest layers are others; name the base "
            "that it was built from, or leave --base out"
        )
    marked = (replace(layer, base=layer.position <= len(below)) for layer in image.layers)
    return replace(image, layers=tuple(marked), base=name)


def from_dockerfile(image: Image, dockerfile: Dockerfile) -> Image:
    """The image with the lines of the Dockerfile that it was built from.

    Every instruction after FROM leaves one line in the history, the last one last. Where the two do not
    match from there on, the image is of another Dockerfile and stays as it is.
    """
    _, instructions = dockerfile.lineage()
    history = image.history[len(image.history) - len(instructions) :]
    written = [instruction.keyword for instruction in instructions]
    made = sum(event.makes_layer for event in image.history)
    if made != len(image.layers) or [e.instruction.partition(" ")[0] for e in history] != written:
        return image
    makers = [
        instruction.line
        for instruction, event in zip(instructions, history, strict=True)
        if event.makes_layer
    ]
    return replace(image, layers=_numbered(image.layers, makers))


def _numbered(layers: Sequence[Layer], lines: Sequence[int]) -> tuple[Layer, ...]:
    below = len(layers) - len(lines)
    return (
        *layers[:below],
        *(replace(layer, line=line) for layer, line in zip(layers[below:], lines, strict=True)),
    )
