"""Waste: bytes that an image carries and nobody can see, because a later layer hides them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from layerlab.image.layers import Image
from layerlab.image.tree import Tree


@dataclass(frozen=True)
class Waste:
    """One hidden file. The copy that is visible, if there is one, is no waste."""

    path: str
    bytes: int
    #: Positions of the layer that wrote it and of the one that hid it, from 1.
    written_by: int
    hidden_by: int
    #: "overwritten", "owner or mode changed", "removed", "folder removed", "folder emptied" or
    #: "replaced" (by something that is no file)
    how: str
    #: What was removed as a whole: the path itself, or a folder above it.
    root: str


@dataclass(frozen=True)
class WasteGroup:
    """Files that were hidden together."""

    root: str
    bytes: int
    files: int
    written_by: tuple[int, ...]
    hidden_by: int
    how: str


def find(tree: Tree) -> tuple[Waste, ...]:
    """The waste of the layers that make a tree, largest first.

    A file with several hard links is waste when the last of its names is hidden, and counts once.
    """
    found = [
        Waste(h.file.entry.path, h.file.entry.bytes, h.file.layer, h.by, h.how, h.root)
        for h in tree.hidden
        if h.file.entry.bytes
    ]
    return tuple(sorted(found, key=lambda waste: (-waste.bytes, waste.path)))


def of_own_layers(image: Image, waste: Iterable[Waste]) -> list[Waste]:
    """What layers on top of the base hide: waste that the Dockerfile's author can end."""
    own = {layer.position for layer in image.layers if not layer.base}
    return [one for one in waste if one.hidden_by in own]


def grouped(waste: Sequence[Waste]) -> list[WasteGroup]:
    """Waste by what was removed or overwritten as a whole, largest first."""
    groups: dict[tuple[str, int, str], list[Waste]] = {}
    for one in waste:
        groups.setdefault((one.root, one.hidden_by, one.how), []).append(one)
    found = [
        WasteGroup(
            root,
            sum(one.bytes for one in members),
            len(members),
            tuple(sorted({one.written_by for one in members})),
            hidden_by,
            how,
        )
        for (root, hidden_by, how), members in groups.items()
    ]
    return sorted(found, key=lambda group: (-group.bytes, group.root))
