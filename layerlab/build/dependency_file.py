"""The file of a project that says what it depends on: found by what its Dockerfiles copy before they install."""

import posixpath
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from layerlab.build.dockerfile import Dockerfile, Instruction
from layerlab.build.edited import Edited, read
from layerlab.build.snapshot import Tree

#: By the names that package managers give it; where a project has several, the first. Lock files come first where
#: a manager allows comments in them; go.mod stands before go.sum, Cargo.toml before Cargo.lock, and package.json
#: after what is locked.
_KINDS: tuple[tuple[str, str], ...] = (
    ("pip", r"requirements\.txt"),
    ("uv", r"uv\.lock"),
    ("poetry", r"poetry\.lock"),
    ("pdm", r"pdm\.lock"),
    ("pipenv", r"Pipfile\.lock"),
    ("npm", r"package-lock\.json|npm-shrinkwrap\.json"),
    ("pnpm", r"pnpm-lock\.yaml"),
    ("yarn", r"yarn\.lock"),
    ("pip", r"requirements[^/]*\.(?:txt|in)|requirements/[^/]+\.(?:txt|in)"),
    ("Python", r"pyproject\.toml"),
    ("pipenv", r"Pipfile"),
    ("Node", r"package\.json"),
    ("Go", r"go\.mod"),
    ("Go", r"go\.sum"),
    ("Cargo", r"Cargo\.toml"),
    ("Cargo", r"Cargo\.lock"),
    ("Bundler", r"Gemfile"),
    ("Composer", r"composer\.lock"),
    ("Composer", r"composer\.json"),
    ("Maven", r"pom\.xml"),
    ("Gradle", r"build\.gradle(?:\.kts)?"),
    ("Mix", r"mix\.exs"),
    ("NuGet", r"[^/]+\.(?:cs|fs|vb)proj"),
    ("conda", r"environment\.ya?ml"),
    ("setuptools", r"setup\.py|setup\.cfg"),
)
_WORD = re.compile(r"(?:[^\s\"']|\"[^\"]*\"|'[^']*')+")


def find(tree: Tree, dockerfiles: Mapping[str, Dockerfile]) -> Edited | None:
    """The dependency file to edit, one that every variant's build sees; None where there is none.

    One that the Dockerfiles (by the variants' names) copy by its name comes first: that is what they install by.
    """
    named = {name: _named(dockerfile) for name, dockerfile in dockerfiles.items()}
    found: list[tuple[int, int, int, str, str]] = []
    for path in tree.common:
        for order, (manager, pattern) in enumerate(_KINDS):
            if re.fullmatch(rf"(?:.*/)?(?:{pattern})", path):
                by = sum(any(_matches(word, path) for word in words) for words in named.values())
                found.append((-by, path.count("/"), order, path, manager))
                break
    for by, _, _, path, manager in sorted(found):
        # Yarn 2 and later refuse a lock file that they would not write so (--immutable).
        if path.endswith("yarn.lock") and b"__metadata:" in read(tree, path):
            continue
        if not by:
            return Edited(path, f"{manager} installs by it")
        of = [n for n, words in named.items() if any(_matches(word, path) for word in words)]
        who = "" if len(of) == len(named) else f" in {' and '.join(of)}"
        return Edited(path, f"{manager} installs by it, and it is copied by name{who}")
    return None


def _named(dockerfile: Dockerfile) -> list[str]:
    """What a Dockerfile copies or mounts by name from the context."""
    return [word for instruction in dockerfile.instructions for word in _sources(instruction)]


def _sources(instruction: Instruction) -> list[str]:
    words = [word.strip("\"'") for word in _WORD.findall(instruction.value)]
    if instruction.keyword in ("COPY", "ADD"):
        if listed := instruction.words:
            words = listed
        if any(word.startswith("--from=") for word in words):
            return []
        return [word for word in words if not word.startswith("--")][:-1]
    found = []
    for word in words if instruction.keyword == "RUN" else ():
        if word.startswith("--mount=") and "from=" not in word:
            match = re.search(r"\b(?:source|src)=([^,]+)", word)
            found += [match[1]] if match else []
    return found


def _matches(word: str, path: str) -> bool:
    """Whether a word of COPY means a file by its name, not by a folder or by `.` or `*` alone."""
    word = posixpath.normpath(word).lstrip("/")
    if not re.search(r"[^*./]", word):
        return False
    return word == path or (("*" in word or "?" in word) and fnmatchcase(path, word))
