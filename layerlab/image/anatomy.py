"""An image's anatomy: all that can be said of its bytes, in one value."""

from collections.abc import Mapping
from dataclasses import dataclass

from layerlab.image import clutter, contents, waste
from layerlab.image.clutter import Clutter
from layerlab.image.contents import Distribution, Place
from layerlab.image.layers import Image
from layerlab.image.tree import File, Node, Tree
from layerlab.image.waste import Waste

#: Folders of an app in which its package manager keeps what it depends on.
_DEPENDENCIES = {"site-packages", "dist-packages", "node_modules", ".venv"}
PARTS = ("base", "dependencies", "app", "waste")


@dataclass(frozen=True)
class Anatomy:
    """An image and where its bytes are."""

    image: Image
    #: Hidden files, largest first.
    waste: tuple[Waste, ...]
    places: tuple[Place, ...]
    distributions: tuple[Distribution, ...]
    clutter: tuple[Clutter, ...]
    bytecode_bytes: int
    #: File bytes of each of :data:`PARTS`; together they are all of the image's.
    parts: Mapping[str, int]

    @property
    def own_waste(self) -> list[Waste]:
        """What layers on top of the base hide."""
        return waste.of_own_layers(self.image, self.waste)

    @property
    def waste_bytes(self) -> int:
        """Bytes that layers on top of the base hide."""
        return sum(one.bytes for one in self.own_waste)

    @property
    def waste_share(self) -> float:
        """:attr:`waste_bytes` as a part of all file bytes; 0 for an image without files."""
        return self.waste_bytes / (self.image.totals.file_bytes or 1)


def dissect(image: Image) -> Anatomy:
    """Find out where an image's bytes are."""
    tree = Tree(layer.changeset for layer in image.layers)
    hidden = waste.find(tree)
    parts = dict.fromkeys(PARTS, 0)
    base = {layer.position for layer in image.layers if layer.base}
    for node, file in tree.files():
        parts[_part(image, base, node, file)] += file.entry.bytes
    # Everything else: what is hidden, and what lies at paths that lead out of the image.
    parts["waste"] = image.totals.file_bytes - sum(parts.values())
    return Anatomy(
        image=image,
        waste=hidden,
        places=tuple(contents.places(image, tree)),
        distributions=tuple(contents.distributions(image, tree)),
        clutter=tuple(clutter.find(image, tree)),
        bytecode_bytes=contents.bytecode_bytes(tree.files()),
        parts=parts,
    )


def _part(image: Image, base: set[int], node: Node, file: File) -> str:
    """Where a visible file belongs: the app is what lies in the image's working folder."""
    if file.layer in base:
        return "base"
    if not image.workdir or not node.path.startswith(f"{image.workdir}/"):
        return "dependencies"
    return "app" if _DEPENDENCIES.isdisjoint(node.path.split("/")) else "dependencies"
