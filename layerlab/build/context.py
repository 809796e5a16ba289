"""A private copy of the build context, and the edits that are made to it."""

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from layerlab.build.mark import marked
from layerlab.errors import LabError

#: What running the app or its tests leaves in its folder; no part of the source.
_LITTER = ("__pycache__", "*.pyc", ".pytest_cache", ".mypy_cache", ".ruff_cache")


@dataclass(frozen=True)
class Edit:
    """What is changed in the context before a rebuild."""

    scenario: str
    #: The file that gets a mark, which is a comment where it can have one; None changes nothing.
    path: str | None


#: The rebuilds of the layer-cache lab, in the order in which they follow a cold build. Each comes on
#: top of the one before, so that it alone differs from what the engine has in its cache.
EDITS = (
    Edit("no-change", None),
    Edit("source-edit", "main.py"),
    Edit("requirements-edit", "requirements.txt"),
    Edit("unrelated-edit", "README.md"),
)


@dataclass(frozen=True)
class Context:
    """A copy of a build context, which may be edited."""

    folder: Path
    #: sha256 of the files that were copied, before any edit; "" where nobody asked.
    digest: str = ""

    def apply(self, edit: Edit, nonce: str) -> None:
        """Make an edit; ``nonce`` must be unique to variant and round.

        Two variants with the same first instructions share BuildKit's cache: without the nonce
        the second one's rebuild would be a hit that the first one made.
        """
        if edit.path is None:
            return
        path = self.folder / edit.path
        if not path.is_file():
            raise LabError(f"the edit `{edit.scenario}` needs {edit.path} in the build context")
        if not path.resolve().is_relative_to(self.folder.resolve()):
            # What the link points at is no copy, and nobody's files but ours are edited.
            raise LabError(
                f"the edit `{edit.scenario}` needs {edit.path} as a file of the build context, and "
                f"it is a link to {path.resolve()}: replace it by the file"
            )
        _replace(path, marked(path.read_bytes(), edit.path, f"layerlab {edit.scenario} {nonce}"))


def _replace(path: Path, content: bytes) -> None:
    """Put a new file in the place of one that may be the same file elsewhere (a hard link)."""
    before = path.stat()
    new = path.with_name(f"{path.name[:100]}.layerlab")
    new.write_bytes(content)
    new.chmod(stat.S_IMODE(before.st_mode))
    if new.stat().st_mtime_ns == before.st_mtime_ns:
        # BuildKit takes a file with the same size and time for unchanged
        # (moby/buildkit#4950); a coarse clock must not make it so.
        later = before.st_mtime_ns + 1_000_000
        os.utime(new, ns=(later, later))
    new.replace(path)


def copy_context(source: Path, folder: Path, nonce: str | None) -> Context:
    """Copy ``source`` to ``folder`` and give every file that will be edited the nonce, if there is one.

    Raises:
        LabError: the context is missing or can't be copied.
    """
    if not source.is_dir():
        raise LabError(f"the build context {source} is not a folder")
    try:
        shutil.copytree(source, folder, symlinks=True, ignore=shutil.ignore_patterns(*_LITTER))
        context = Context(folder, digest(folder))
    except shutil.Error as error:
        # One entry for each file: source, target, why.
        first, _, why = error.args[0][0]
        raise LabError(
            f"the build context {source} could not be copied to {folder}: {first}: {why}, and "
            f"{len(error.args[0]) - 1} more"
        ) from error
    except OSError as error:
        raise LabError(
            f"the build context {source} could not be copied to {folder}: {error}"
        ) from error
    if nonce:
        for edit in EDITS:
            context.apply(edit, nonce)
    return context


def digest(folder: Path) -> str:
    """sha256 of what a build can see of a context: names, contents, links, and who may execute.

    Times and owners are left out: a clone of the same files has others.
    """
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            kind, content = b"l", os.fsencode(path.readlink())
        elif stat.S_ISREG(mode):
            kind, content = b"x" if mode & stat.S_IXUSR else b"f", _file_digest(path)
        elif stat.S_ISDIR(mode):
            kind, content = b"d", b""
        else:
            continue
        name = os.fsencode(path.relative_to(folder))
        for part in (kind, name, content):
            # Lengths, so that no two contexts make one stream of bytes.
            found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
