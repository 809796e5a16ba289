"""The tree that an image's layers make together, and what each layer hides of those below it.

Layers are applied by the rules of the OCI image specification ("Image Layer Filesystem Changeset"): a
whiteout removes a path of lower layers, an opaque one all that lower layers have in a folder,
anything else replaces what was there, save that two folders are one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from layerlab.errors import LabError
from layerlab.image.changeset import MOST_CHARACTERS, Changeset, Entry


@dataclass(slots=True)
class File:
    """The content of a regular file, which may have several names."""

    entry: Entry
    #: The position of the layer that wrote it, from 1.
    layer: int
    #: How many of its names are visible.
    names: int = 0


@dataclass(slots=True)
class Node:
    """A path that is visible."""

    path: str
    kind: str
    layer: int
    file: File | None = None
    #: By name; None where there are none, as for most of an image's paths.
    children: dict[str, "Node"] | None = None


@dataclass(frozen=True, slots=True)
class Hidden:
    """A file of which no name is visible any more."""

    file: File
    #: The position of the layer that hid it.
    by: int
    #: "overwritten", "owner or mode changed", "removed", "folder removed", "folder emptied", "replaced"
    how: str
    #: What was removed as a whole; the file's own path, or a folder above it.
    root: str


class Tree:
    """A file system that grows layer by layer."""

    def __init__(self, changesets: Iterable[Changeset] = ()) -> None:
        self.root = Node("", "folder", 0)
        self.nodes: dict[str, Node] = {"": self.root}
        self.hidden: list[Hidden] = []
        self.layers = 0
        self._characters = 0
        self._files: list[tuple[Node, File]] | None = None
        for changeset in changesets:
            self.apply(changeset)

    def apply(self, changeset: Changeset) -> None:
        """Put one more layer on top."""
        self.layers += 1
        self._files = None
        for entry in changeset.entries:
            # Whiteouts are about lower layers, wherever in the archive they stand.
            if entry.kind == "whiteout":
                self._remove(entry.path)
            elif entry.kind == "opaque":
                self._empty(entry.path)
        for entry in changeset.entries:
            if entry.kind not in ("whiteout", "opaque") and entry.path:
                self._add(entry)

    def files(self) -> list[tuple[Node, File]]:
        """Every visible file once, under the first of its visible names."""
        if self._files is None:
            seen: set[int] = set()
            self._files = []
            for node in self.nodes.values():
                if node.file and id(node.file) not in seen:
                    if node.file.names > 1:
                        seen.add(id(node.file))
                    self._files.append((node, node.file))
        return self._files

    def _add(self, entry: Entry) -> None:
        node = self.nodes.get(entry.path)
        if entry.kind == "folder" and node and node.kind == "folder":
            return
        file = None
        if entry.kind == "file":
            file = File(entry, self.layers)
        elif entry.kind == "link":
            target = self.nodes.get(entry.target)
            file = target.file if target else None
        if file:
            file.names += 1  # before the old content goes: it may be the same
        if node:
            self._replace(node, file.entry if file else None)
        else:
            node = self._make(entry.path)
        node.kind, node.layer, node.file = entry.kind, self.layers, file

    def _make(self, path: str) -> Node:
        """A new node, and the folders above it that no entry names."""
        missing = []
        while (node := self.nodes.get(path)) is None:
            missing.append(path)
            path = path.rpartition("/")[0]
        if node.kind != "folder":
            self._replace(node, None)
            node.kind, node.layer = "folder", self.layers
        for below in reversed(missing):
            child = Node(below, "folder", self.layers)
            if node.children is None:
                node.children = {}
            node.children[below.rpartition("/")[2]] = self.nodes[below] = child
            self._characters += len(below)
            node = child
        if self._characters > MOST_CHARACTERS:
            raise LabError("the image has more and deeper folders than this can keep in memory")
        return node

    def _replace(self, node: Node, by: Entry | None) -> None:
        """What a node holds goes; ``by`` is the file that comes, if it is one."""
        if node.file:
            self._hide(node, _change(node.file.entry, by) if by else "replaced", node.path)
        for child in list((node.children or {}).values()):
            self._drop(child, "replaced", node.path)
        node.children = None

    def _remove(self, path: str) -> None:
        node = self.nodes.get(path)
        if node is None or node is self.root:
            return
        folder, _, name = path.rpartition("/")
        siblings = self.nodes[folder].children
        assert siblings is not None  # the node is one of them
        del siblings[name]
        self._drop(node, "folder removed" if node.kind == "folder" else "removed", path)

    def _empty(self, path: str) -> None:
        node = self.nodes.get(path)
        if node is None:
            return
        for child in list((node.children or {}).values()):
            self._drop(child, "folder emptied", path)
        node.children = None

    def _drop(self, node: Node, how: str, root: str) -> None:
        waiting = [node]
        while waiting:  # not recursive: a hostile archive nests deeper than Python's stack
            found = waiting.pop()
            del self.nodes[found.path]
            waiting.extend((found.children or {}).values())
            if found.file:
                self._hide(found, how, root)

    def _hide(self, node: Node, how: str, root: str) -> None:
        file, node.file = node.file, None
        assert file is not None
        file.names -= 1
        if not file.names:
            self.hidden.append(Hidden(file, self.layers, how, root))


def _change(old: Entry, new: Entry) -> str:
    """How a file came to be written again.

    chown and chmod copy a file into the new layer with all that it holds; its size and its time of
    modification stay.
    """
    same_content = (old.bytes, old.mtime) == (new.bytes, new.mtime)
    same_owner = (old.mode, old.uid, old.gid) == (new.mode, new.uid, new.gid)
    return "owner or mode changed" if same_content and not same_owner else "overwritten"
