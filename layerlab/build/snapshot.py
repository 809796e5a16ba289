"""A snapshot of a build context: copied once, and then linked for every build that may edit it."""

import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from layerlab.build import ignore
from layerlab.build.context import Context, digest
from layerlab.build.ignore import Ignore, Matches
from layerlab.errors import LabError
from layerlab.folders import cache_folder
from layerlab.text import plain


@dataclass(frozen=True)
class Tree:
    """What of a context's folder at least one variant sees; paths are relative, folders come first."""

    root: Path
    folders: tuple[str, ...]
    files: tuple[str, ...]
    links: tuple[str, ...]
    #: The files that every variant sees.
    common: frozenset[str]


@dataclass(frozen=True)
class Snapshot:
    """A copy of a context that nobody edits."""

    folder: Path
    #: See :func:`layerlab.build.context.digest`.
    digest: str

    def linked(self, folder: Path) -> Context:
        """A context of its own: another folder with the same files, which an edit replaces."""
        shutil.copytree(self.folder, folder, symlinks=True, copy_function=_link)
        return Context(folder, self.digest)


def look(root: Path, ignores: Sequence[Ignore]) -> Tree:
    """What is in a context's folder, without what every variant ignores; nothing is followed.

    Sockets, devices and pipes are left out.

    Raises:
        LabError: it is no folder, or one in it can't be read.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise LabError(f"the build context {root} {what}: name the folder that is built from")
    folders: list[str] = []
    files: list[str] = []
    links: list[str] = []
    common = set()
    unique = list(dict.fromkeys(ignores))
    own = cache_folder().resolve()
    waiting: list[tuple[str, list[Matches]]] = [("", [() for _ in unique])]
    while waiting:
        above, parents = waiting.pop()
        for entry in _entries(root, above):
            path = f"{above}/{entry.name}" if above else entry.name
            looked = [one.look(path, its) for one, its in zip(unique, parents, strict=True)]
            seen = not all(ignored for ignored, _ in looked)
            if entry.is_dir(follow_symlinks=False):
                # What layerlab itself keeps there changes while it is copied.
                if Path(entry.path).resolve() == own:
                    continue
                if seen:
                    folders.append(path)
                if seen or any(one.may_keep_below(path) for one in unique):
                    waiting.append((path, [matches for _, matches in looked]))
            # The engine needs the ignore file, whether or not the build sees it.
            elif not seen and path != ignore.NAME:
                continue
            elif entry.is_symlink():
                links.append(path)
            elif entry.is_file(follow_symlinks=False):
                files.append(path)
                if not any(ignored for ignored, _ in looked):
                    common.add(path)
    return Tree(root, tuple(folders), tuple(files), tuple(links), frozenset(common))


def take(tree: Tree, folder: Path) -> Snapshot:
    """Copy what a context holds to ``folder``.

    Raises:
        LabError: a file can't be read, or has gone since it was looked at.
        OSError: nothing can be written there.
    """
    folder.mkdir(parents=True)
    made = {""}
    for path in tree.folders:
        _make(tree.root, folder, path, made)
    for path in (*tree.files, *tree.links):
        _make(tree.root, folder, path.rpartition("/")[0], made)
        try:
            shutil.copy2(tree.root / path, folder / path, follow_symlinks=False)
        except OSError as error:
            if error.filename != str(tree.root / path):
                raise
            raise _unreadable(tree.root / path, error) from error
    return Snapshot(folder, digest(folder))


def _make(root: Path, folder: Path, path: str, made: set[str]) -> None:
    """A folder of the copy, as writable by us as copies of it must be."""
    if path in made:
        return
    _make(root, folder, path.rpartition("/")[0], made)
    made.add(path)
    (folder / path).mkdir()
    (folder / path).chmod(stat.S_IMODE((root / path).stat().st_mode) | stat.S_IRWXU)


def _entries(root: Path, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(root / folder, error) from error


def _unreadable(path: Path, error: OSError) -> LabError:
    return LabError(
        f"{plain(str(path))}: {error.strerror}: it belongs to the build context: make it readable, or "
        f"list it in {ignore.NAME}"
    )


def _link(source: str, target: str, *, follow_symlinks: bool = True) -> None:
    try:
        os.link(source, target, follow_symlinks=follow_symlinks)
    except OSError:  # A file system that has no hard links.
        shutil.copy2(source, target, follow_symlinks=follow_symlinks)
