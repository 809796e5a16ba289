"""Clutter: what a runtime image has no use for, by where it lies."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from layerlab.image.layers import Image
from layerlab.image.tree import Tree


@dataclass(frozen=True)
class Kind:
    """One kind of clutter."""

    name: str
    #: What files belong to it: a pattern for their folder, with a slash behind it.
    folders: str
    #: What its author can do about it.
    advice: str
    #: The scenario of the image-size lab that asks for it; None where it only gets a line.
    goal: str | None = None
    #: Fewer bytes are no fault: a slim base has headers and lock files of its own.
    noticeable_bytes: int = 1
    #: Files that belong to it wherever they lie: a pattern for the whole path.
    files: str | None = None


#: Up to the first of these folders and never back, lest a path of many takes a second.
_PACKAGES = r"(?:(?!(?:site|dist)-packages/)[^/]+/)*+(?:site|dist)-packages/"
#: The closed list, the first that fits counts. Paths are below the root, without a slash in front.
KINDS = (
    Kind(
        "package cache",
        r"(?:.*/)?\.cache/(?:pip|uv|pypoetry|pdm|pipenv)/.*|(?:.*/)?\.npm/_cacache/.*"
        r"|usr/local/share/\.cache/yarn/.*",
        "install with `pip install --no-cache-dir`, or keep the cache outside the image with "
        "`RUN --mount=type=cache,target=/root/.cache/pip`",
        goal="package-cache",
        noticeable_bytes=100_000,
    ),
    Kind(
        "apt lists and archives",
        r"var/lib/apt/lists/.*|var/cache/apt/.*",
        "end the same RUN with `rm -rf /var/lib/apt/lists/*`; in a later one it frees nothing",
        goal="apt-lists",
        noticeable_bytes=100_000,
    ),
    Kind(
        "version control",
        r"(?:.*/)?\.(?:git|hg|svn)/.*",
        "list `.git` in .dockerignore",
        goal="version-control",
    ),
    Kind(
        "compilers and headers",
        r"usr/(?:local/)?lib(?:exec)?/gcc(?:-cross)?/.*|usr/(?:local/)?include/.*"
        r"|usr/lib/llvm-[\d.]+/.*|usr/lib/rustlib/.*|usr/local/go/.*"
        r"|usr/local/(?:rustup|cargo)/.*|(?:root|home/[^/]+)/\.(?:rustup|cargo)/.*",
        "build in a first stage and copy only the result into a slim one",
        goal="compilers",
        noticeable_bytes=5_000_000,
        files=r"(?:usr/(?:local/)?)?bin/(?:[\w-]+-linux-gnu\w*-)?"
        r"(?:gcc|g\+\+|c\+\+|cc|cpp|clang|clang\+\+|ld|ld\.bfd|ld\.gold|as|lto-dump|rustc|cargo|gfortran"
        r"|make|cmake)(?:-[\d.]+)?"
        r"|usr/lib/[\w-]+/lib[\w+.-]+\.a",
    ),
    Kind(
        "bytecode of build tools",
        _PACKAGES
        + r"(?:pip|setuptools|wheel|pkg_resources|_distutils_hack)/(?:.*/)?__pycache__/.*",
        "leave pip and setuptools out of the last stage: copy only the environment that they filled",
    ),
    Kind(
        "tests of packages",
        # Not "testing": those of numpy, sympy and torch are imported by their packages.
        _PACKAGES + r"(?!django/test/)(?:[^/]+/)+tests?/.*",
        "remove them in the step that installs, or in the first stage",
    ),
    Kind(
        "what tests and tools leave",
        r"(?:.*/)?\.(?:pytest_cache|mypy_cache|ruff_cache|tox|nox)/.*",
        "list it in .dockerignore",
    ),
)
_FOLDERS = [(kind, re.compile(kind.folders, re.DOTALL)) for kind in KINDS]
_FILES = [(kind, re.compile(kind.files, re.DOTALL)) for kind in KINDS if kind.files]


@dataclass(frozen=True)
class Clutter:
    """The visible files of one kind."""

    kind: str
    bytes: int
    files: int
    #: What of it lies in layers on top of the base.
    own_bytes: int
    own_files: int
    #: The largest file.
    example: str
    advice: str
    goal: str | None
    #: Whether there is enough of it to be a fault.
    noticeable: bool


def _first(patterns: Sequence[tuple[Kind, re.Pattern[str]]], path: str) -> Kind | None:
    return next((kind for kind, pattern in patterns if pattern.fullmatch(path)), None)


def find(image: Image, tree: Tree) -> list[Clutter]:
    """The clutter of an image, largest first."""
    base = {layer.position for layer in image.layers if layer.base}
    files: dict[str, list[tuple[int, str, bool]]] = {}
    # Folders are few beside files, and seven patterns for each file would take longer than reading it.
    of_folder: dict[str, Kind | None] = {}
    for node, file in tree.files():
        if not file.entry.bytes:
            continue
        folder = node.path.rpartition("/")[0]
        if folder not in of_folder:
            of_folder[folder] = _first(_FOLDERS, f"{folder}/")
        if kind := of_folder[folder] or _first(_FILES, node.path):
            found = (file.entry.bytes, node.path, file.layer not in base)
            files.setdefault(kind.name, []).append(found)
    clutter = [
        Clutter(
            kind=kind.name,
            bytes=sum(size for size, _, _ in members),
            files=len(members),
            own_bytes=sum(size for size, _, own in members if own),
            own_files=sum(own for _, _, own in members),
            example=f"/{max(members)[1]}",
            advice=kind.advice,
            goal=kind.goal,
            noticeable=sum(size for size, _, _ in members) >= kind.noticeable_bytes,
        )
        for kind in KINDS
        if (members := files.get(kind.name))
    ]
    return sorted(clutter, key=lambda one: (-one.bytes, one.kind))
