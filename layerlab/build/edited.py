"""The file that an edit is made to: which one, and why that."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from layerlab.build.ignore import Ignore, Matches
from layerlab.build.mark import marked
from layerlab.build.snapshot import Tree
from layerlab.errors import LabError


@dataclass(frozen=True)
class Edited:
    """A file of the context, by its path in it."""

    path: str
    #: Why it was chosen, as a clause.
    why: str


def asked(option: str, word: str, tree: Tree, ignores: Mapping[str, Ignore], here: Path) -> Edited:
    """The file that the user named with ``option``: by its path in the context, or from ``here``.

    ``ignores`` has what each variant ignores, by its name.

    Raises:
        LabError: it is no file that every variant's build sees, or one that can't be edited.
    """
    root = tree.root.resolve()
    places = [root / word, here / word]
    found = next((one for one in places if one.is_symlink() or one.exists()), places[0])
    absolute = found.parent.resolve() / found.name
    given = f"{option} {word}"
    if not absolute.is_relative_to(root):
        raise LabError(f"{given}: it is not in the build context {tree.root}: name a file of it")
    path = absolute.relative_to(root).as_posix()
    if absolute.is_symlink():
        raise LabError(
            f"{given}: it is a link: name the file that it points at, if that is in {root}"
        )
    if absolute.is_dir():
        raise LabError(f"{given}: it is a folder: name a file")
    if not absolute.is_file():
        raise LabError(f"{given}: there is no such file in the build context {tree.root}")
    if path not in tree.common:
        names = [name for name, ignore in ignores.items() if hidden(ignore, path)]
        raise LabError(
            f"{given}: the build of {' and '.join(names)} does not see it, because an ignore file "
            "excludes it: name one that every variant's build sees"
        )
    marked(read(tree, path), path, "")
    return Edited(path, f"given with {option}")


def hidden(ignore: Ignore, path: str) -> bool:
    """Whether a file is ignored, by all rules for it and for the folders that it is in."""
    parts = path.split("/")
    ignored = False
    matches: Matches = ()
    for end in range(1, len(parts) + 1):
        ignored, matches = ignore.look("/".join(parts[:end]), matches)
    return ignored


def read(tree: Tree, path: str) -> bytes:
    """What is in a file of the context.

    Raises:
        LabError: it can't be read.
    """
    try:
        return (tree.root / path).read_bytes()
    except OSError as error:
        raise LabError(f"{tree.root / path}: {error.strerror}: make it readable") from error
