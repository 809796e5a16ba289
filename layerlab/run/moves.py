"""Moves: all that went between an engine and a registry for one variant, and what an edit cost there."""

from collections.abc import Mapping
from dataclasses import dataclass

from layerlab.build.context import EDITS
from layerlab.image.layers import Image
from layerlab.run.manifest import Blob, Manifest
from layerlab.run.transfers import Pull, Push

FIRST = "first-push"
#: The edits that are pushed, each on top of the one before.
PUSHED_EDITS = tuple(e for e in EDITS if e.scenario in ("source-edit", "requirements-edit"))
PUSHES = (FIRST, *(edit.scenario for edit in PUSHED_EDITS))
#: The first image, by its digest, on an engine that has only the base; then the source edit, by its tag.
PULL, UPDATE = "pull", "update"
#: An edit that sends more than this part of the first push's layers has sent the dependencies again.
MUCH = 0.5


@dataclass(frozen=True)
class Moves:
    """What was moved for one variant."""

    variant: str
    pushes: Mapping[str, Push]
    #: Of each push, the layers that were not there: neither with the base nor with an earlier push.
    new: Mapping[str, tuple[Blob, ...]]
    #: Empty where no second engine can be had.
    pulls: Mapping[str, Pull]
    #: That the tag had moved, as a look from the second engine told; None where it told nothing.
    moved: str | None
    #: Whether the pull by digest brought the first image, whose tag had moved by then.
    pinned: bool | None
    #: The size by the image lab: compressed, save the layers that the registry has plain.
    modelled_bytes: int

    @property
    def total_bytes(self) -> int:
        """Of the first image's layers on the registry."""
        return self.pushes[FIRST].manifest.bytes

    @property
    def plain(self) -> int:
        """How many of these are plain tar archives."""
        return sum(layer.plain for layer in self.pushes[FIRST].manifest.layers)

    @property
    def difference(self) -> float:
        """By what part the registry's size is more than the image lab's."""
        return self.total_bytes / self.modelled_bytes - 1 if self.modelled_bytes else 0.0

    def bytes(self, scenario: str) -> int:
        """Of the new layers of a push."""
        return sum(blob.bytes for blob in self.new[scenario])


def judge(moves: Moves, scenario: str) -> str:
    """What an edit cost on the wire: "nothing", "copy", or "install" where the dependencies went again."""
    sent = moves.bytes(scenario)
    if not moves.new[scenario]:
        return "nothing"
    return "install" if sent > MUCH * moves.bytes(FIRST) else "copy"


def modelled_bytes(image: Image, manifest: Manifest) -> int:
    """The image lab's size of what the registry holds.

    The containerd store pushes a layer as it has it, and one of a loaded archive may be plain.
    """
    pairs = zip(image.layers, manifest.layers, strict=True)
    sizes = (o.changeset.tar_bytes if b.plain else o.compressed_bytes or 0 for o, b in pairs)
    return sum(sizes)
