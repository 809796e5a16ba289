"""Ignore files: what of a build context a variant's build never sees."""

import re
from dataclasses import dataclass
from pathlib import Path

from docker.utils.build import Pattern
from docker.utils.fnmatch import translate

from layerlab.build.variant import Variant
from layerlab.errors import LabError

NAME = ".dockerignore"
#: Characters that make a pattern more than a path.
_SPECIAL = frozenset("*?[]\\")
#: For each pattern, whether it matched a folder or one above it.
Matches = tuple[bool, ...]


@dataclass(frozen=True)
class _Rule:
    """One line: what it matches is left out, or with ``!`` taken in again."""

    regex: re.Pattern[str]
    kept: bool
    path: str


@dataclass(frozen=True)
class Ignore:
    """An ignore file as moby's patternmatcher reads it; without any rule, all is seen."""

    rules: tuple[_Rule, ...] = ()

    def look(self, path: str, parent: Matches) -> tuple[bool, Matches]:
        """Whether a path is ignored, and its matches, which are the ``parent`` of what is below it.

        As moby/patternmatcher, MatchesUsingParentResults: the last rule that matches has the say, and a
        rule that matched a folder matches all in it.
        """
        ignored = False
        matches = []
        for index, rule in enumerate(self.rules):
            match = bool(parent) and parent[index]
            if not match and rule.kept == ignored:
                match = rule.regex.match(path) is not None
            matches.append(match)
            if match:
                ignored = not rule.kept
        return ignored, tuple(matches)

    def may_keep_below(self, folder: str) -> bool:
        """Whether something in an ignored folder may be taken in again.

        As tonistiigi/fsutil, filter.go: a rule without wildcards can do that only in its own folders.
        """
        kept = [rule.path for rule in self.rules if rule.kept]
        if any(_SPECIAL & set(path.removesuffix("/**")) for path in kept):
            return True
        return any(f"{path}/".startswith(f"{folder}/") for path in kept)


def read(variant: Variant, context: Path) -> Ignore:
    """What a variant's build ignores: by the ignore file beside it, else by that of the context.

    Raises:
        LabError: the file can't be read.
    """
    for file in (variant.ignore_file, context / NAME):
        if file.is_file():
            try:
                return parse(file.read_bytes().decode("utf-8-sig", errors="surrogateescape"))
            except OSError as error:
                raise LabError(f"{file}: {error.strerror}: make it readable") from error
    return Ignore()


def parse(text: str) -> Ignore:
    """The rules of an ignore file's text (moby/patternmatcher, ignorefile.ReadAll)."""
    rules = []
    for line in text.splitlines():
        pattern = "" if line.startswith("#") else line.strip()
        kept = pattern.startswith("!")
        path = "/".join(Pattern.normalize(pattern.removeprefix("!")))
        if path:
            rules.append(_Rule(re.compile(translate(path)), kept, path))
    return Ignore(tuple(rules))
