"""Where an image's bytes are: by folder, and by Python distribution."""

import csv
import io
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from layerlab.image.layers import Image
from layerlab.image.tree import File, Node, Tree

#: A folder that holds more than this part of all bytes is shown by what is in it.
SPLIT_OVER = 0.4
DEEPEST = 4
_DIST_INFO = re.compile(r"([^/]+)-([^/-]+)\.dist-info$")
#: "name.cpython-311.pyc", also for optimised code (PEP 3147, PEP 488).
_COMPILED = re.compile(r"(.+?)\.[^.]+(?:\.opt-\w+)?\.pyc")


@dataclass(frozen=True)
class Place:
    """The visible files below a folder."""

    #: Such as "/usr/lib".
    folder: str
    bytes: int
    files: int
    #: What of it lies in layers on top of the base.
    own_bytes: int


@dataclass(frozen=True)
class Distribution:
    """An installed Python distribution (a package of PyPI), as its ``RECORD`` lists it."""

    name: str
    version: str
    #: The folder that it is installed in, such as "/usr/local/lib/python3.11/site-packages".
    folder: str
    bytes: int
    files: int
    #: Of these, compiled bytecode.
    bytecode_bytes: int
    own: bool


def places(image: Image, tree: Tree) -> list[Place]:
    """The visible bytes by top folder, largest first.

    A folder with more than two fifths of them is shown by its subfolders, since "/usr" says nothing.
    Files right in such a folder are counted under its own name.
    """
    right_in, below = _sums(image, tree)
    inner: dict[str, list[str]] = {}
    for folder in below:
        if folder:
            inner.setdefault(folder.rpartition("/")[0], []).append(folder)
    found: dict[str, tuple[int, ...]] = {}
    waiting = [("", 0)]
    while waiting:
        folder, depth = waiting.pop()
        if folder in right_in:
            found[folder] = right_in[folder]
        for child in inner.get(folder, []):
            if below[child][0] > SPLIT_OVER * below[""][0] and depth < DEEPEST:
                waiting.append((child, depth + 1))
            else:
                found[child] = below[child]
    return sorted(
        (Place(f"/{folder}", *counts) for folder, counts in found.items()),
        key=lambda place: (-place.bytes, place.folder),
    )


_Counts = tuple[int, int, int]


def _sums(image: Image, tree: Tree) -> tuple[dict[str, _Counts], dict[str, _Counts]]:
    """Bytes, files and own bytes of what lies right in each folder, and of all below it."""
    base = _base_layers(image)
    right_in: dict[str, _Counts] = {}
    for node, file in tree.files():
        folder = node.path.rpartition("/")[0]
        size, count, own = right_in.get(folder, (0, 0, 0))
        more = file.entry.bytes
        right_in[folder] = (size + more, count + 1, own + (0 if file.layer in base else more))
    below: dict[str, _Counts] = {"": (0, 0, 0)}
    for folder, (more, files, more_own) in right_in.items():
        path = folder
        while True:
            size, count, own = below.get(path, (0, 0, 0))
            below[path] = (size + more, count + files, own + more_own)
            if not path:
                break
            path = path.rpartition("/")[0]
    return right_in, below


def distributions(image: Image, tree: Tree) -> list[Distribution]:
    """The installed Python distributions, largest first.

    Sizes are those of the visible files that a distribution's ``RECORD`` names (PyPA, "Recording
    installed projects"); a file that two of them name is the first one's.
    """
    base = _base_layers(image)
    claimed: set[int] = set()
    bytecode = _Bytecode(tree)
    found = []
    for record, text in _visible_records(image, tree):
        info = posixpath.dirname(record)
        folder = posixpath.dirname(info)
        match = _DIST_INFO.search(info)
        files = []
        for path in _recorded(text):
            node = tree.nodes.get(posixpath.normpath(posixpath.join("/", folder, path))[1:])
            for named in (node, *bytecode.of(node)) if node else ():
                if named.file and id(named.file) not in claimed:
                    claimed.add(id(named.file))
                    files.append((named, named.file))
        if not files:
            continue  # part of another one, as what setuptools brings with it
        found.append(
            Distribution(
                name=match[1] if match else posixpath.basename(info),
                version=match[2] if match else "",
                folder=f"/{folder}",
                bytes=sum(file.entry.bytes for _, file in files),
                files=len(files),
                bytecode_bytes=sum(f.entry.bytes for node, f in files if is_bytecode(node.path)),
                own=tree.nodes[record].layer not in base,
            )
        )
    return sorted(found, key=lambda one: (-one.bytes, one.name))


def is_bytecode(path: str) -> bool:
    """Whether a file is Python's compiled bytecode."""
    return path.endswith(".pyc")


def bytecode_bytes(files: Iterable[tuple[Node, File]]) -> int:
    return sum(file.entry.bytes for node, file in files if is_bytecode(node.path))


class _Bytecode:
    """Finds what Python compiled from a file, which a RECORD need not list."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._by_folder: dict[str, dict[str, list[Node]]] = {}

    def of(self, node: Node) -> list[Node]:
        folder, _, name = node.path.rpartition("/")
        if not name.endswith(".py"):
            return []
        if folder not in self._by_folder:
            cache = self._tree.nodes.get(f"{folder}/__pycache__".lstrip("/"))
            by_module = self._by_folder[folder] = {}
            for compiled, other in (cache.children or {}).items() if cache else ():
                if match := _COMPILED.fullmatch(compiled):
                    by_module.setdefault(match[1], []).append(other)
        return self._by_folder[folder].get(name[:-3], [])


def _base_layers(image: Image) -> set[int]:
    return {layer.position for layer in image.layers if layer.base}


def _visible_records(image: Image, tree: Tree) -> list[tuple[str, str]]:
    by_layer: Mapping[int, Mapping[str, str]] = {
        layer.position: layer.changeset.records for layer in image.layers
    }
    found = [
        (path, text)
        for position, records in by_layer.items()
        for path, text in records.items()
        if (node := tree.nodes.get(path)) and node.file and node.file.layer == position
    ]
    # What uv keeps has records, too, and shares its files with what it installed.
    return sorted(found, key=lambda record: ("/.cache/" in f"/{record[0]}", record))


def _recorded(text: str) -> Iterable[str]:
    """The paths of a RECORD, a CSV file; up to what can't be one."""
    try:
        for row in csv.reader(io.StringIO(text, newline="")):
            if row and row[0]:
                yield row[0]
    except csv.Error:
        return
