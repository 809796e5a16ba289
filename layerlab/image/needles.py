"""Needles: the values and patterns that are looked for, and a mask over them.

What a needle is made of is in no ``repr``, no sentence and no name: people and logs get its label.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ahocorasick_rs import BytesAhoCorasick, Implementation

from layerlab.errors import LabError
from layerlab.image.forms import AS_IS, forms
from layerlab.image.tar import shown
from layerlab.text import counted

#: Shorter ones are in every image by chance.
SHORTEST = 4
LONGEST = 4096
MOST_VALUES, MOST_PATTERNS = 1_000, 100
MASK = "•••"
#: A match of a pattern is told from its first byte; so many more are at hand to end it, or to look around.
REACH = 4096
#: Half a character, which JSON may hold and nothing can print; the others stand for bytes (PEP 383).
_HALVED = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_UNTOLD = "(what it says is not repeated here)"


@dataclass(frozen=True)
class Needle:
    """One value or pattern."""

    kind: Literal["value", "pattern"]
    #: From 1, in the order given, among those of its kind.
    number: int
    #: Where it stood.
    line: int
    content: bytes = field(repr=False)

    @property
    def label(self) -> str:
        """What may be printed of it."""
        if self.kind == "pattern":
            return f"pattern {self.number} (line {self.line})"
        count = len(self.content.decode(errors="replace"))
        return f"value {self.number} ({counted(count, 'character')})"


class Match(NamedTuple):
    """Where a needle begins and ends, in bytes."""

    start: int
    end: int
    needle: Needle
    form: str


def read_values(data: bytes) -> list[Needle]:
    """The values of a text, one a line; only the line's end is no part of it.

    Raises:
        LabError: there is none, one is empty, too short or too long, or there are too many.
    """
    found: list[Needle] = []
    for line, value in enumerate(_lines(data, "value"), 1):
        if not value:
            raise LabError(
                f"line {line} of the values is empty: give one value a line and no blank lines "
                "(is the variable set that it comes from?)"
            )
        if len(value) < SHORTEST:
            raise LabError(
                f"the value on line {line} is shorter than {SHORTEST} bytes and would be found "
                "everywhere: give a longer one"
            )
        _check(value, line, "value")
        found.append(Needle("value", len(found) + 1, line, value))
    return _few(found, MOST_VALUES, "values")


def read_patterns(data: bytes) -> list[Needle]:
    """The patterns of a text, one a line: Python's regular expressions, over bytes.

    Blank lines, and those that begin with ``#``, are passed over.

    Raises:
        LabError: there is none, one is broken, finds the empty text or is too long, or there are too many.
    """
    found: list[Needle] = []
    for line, text in enumerate(_lines(data, "pattern"), 1):
        if not text.strip() or text.startswith(b"#"):
            continue
        _check(text, line, "pattern")
        if _compiled(text, line).search(b""):
            raise LabError(
                f"the pattern on line {line} matches the empty text and would be found everywhere: "
                "make it ask for something"
            )
        found.append(Needle("pattern", len(found) + 1, line, text))
    if not found:
        raise LabError("no pattern was given: write at least one, one a line")
    return _few(found, MOST_PATTERNS, "patterns")


def _lines(data: bytes, what: str) -> list[bytes]:
    if not data:
        raise LabError(f"no {what} was given: write at least one, one a line")
    lines = data.removesuffix(b"\n").split(b"\n")
    return [line.removesuffix(b"\r") for line in lines]


def _check(content: bytes, line: int, what: str) -> None:
    if len(content) > LONGEST:
        raise LabError(
            f"the {what} on line {line} is longer than {LONGEST:,} bytes: give a part of it that is "
            "unlike anything else"
        )


def _few(found: list[Needle], most: int, what: str) -> list[Needle]:
    if len(found) > most:
        raise LabError(f"{len(found):,} {what} are more than {most:,}: look for fewer at once")
    return found


def _compiled(text: bytes, line: int) -> re.Pattern[bytes]:
    try:
        with warnings.catch_warnings():  # they would be printed
            warnings.simplefilter("ignore")
            return re.compile(text)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        at = getattr(error, "pos", None)
        where = f" at its character {at + 1}" if at is not None else ""
        raise LabError(
            f"the pattern on line {line} is no regular expression of Python's `re`: "
            f"it is broken{where} {_UNTOLD}"
        ) from None


def _automaton(contents: Sequence[bytes]) -> BytesAhoCorasick | None:
    # Of few contents the library makes a DFA, which took 14 s for one of 4,000 equal characters, and
    # 200 MB for one of 4,000 random bytes; the search is as fast without it.
    return (
        BytesAhoCorasick(contents, implementation=Implementation.ContiguousNFA)
        if contents
        else None
    )


class Needles:
    """All that is looked for at once."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        self.needles = tuple(needles)
        self.patterns = [
            (needle, _compiled(needle.content, needle.line))
            for needle in self.needles
            if needle.kind == "pattern"
        ]
        self._named: dict[bytes, list[tuple[Needle, str]]] = {}
        for needle in self.needles:
            if needle.kind == "value":
                for content, form in forms(needle.content).items():
                    self._named.setdefault(content, []).append((needle, form))
        self._contents = list(self._named)
        # One pass whatever their number: `bytes.find` for each takes longer from about 15 forms on.
        self._automaton = _automaton(self._contents)
        longest = max(map(len, self._contents), default=0)
        self.reach = max(longest, REACH if self.patterns else 0)
        masked = [*self._contents, *self._written_out()]
        self._mask = _automaton(masked)

    @property
    def forms(self) -> int:
        """How many byte strings stand for the values."""
        return len(self._contents)

    def literals(self, data: bytes) -> Iterator[Match]:
        """Where values begin in some bytes, overlapping ones included, in whatever form."""
        if self._automaton is None:
            return
        for index, start, end in self._automaton.find_matches_as_indexes(data, overlapping=True):
            for needle, form in self._named[self._contents[index]]:
                yield Match(start, end, needle, form)

    def find(self, data: bytes) -> Iterator[Match]:
        """Where values and patterns are in all of some bytes."""
        yield from self.literals(data)
        for needle, pattern in self.patterns:
            for match in pattern.finditer(data):
                yield Match(match.start(), match.end(), needle, AS_IS)

    def mask(self, text: str) -> str:
        """A text without any needle in any form; what is shown in place of one is :data:`MASK`."""
        text = _HALVED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
        data = text.encode(errors="surrogateescape")
        spans = {match.span() for _, one in self.patterns for match in one.finditer(data)}
        if self._mask:
            found = self._mask.find_matches_as_indexes(data, overlapping=True)
            spans |= {(start, end) for _, start, end in found}
        parts, at = [], 0
        for start, end in sorted(spans):
            if start >= at and end > start:
                parts += [data[at:start], MASK.encode()]
            at = max(at, end)
        return b"".join([*parts, data[at:]]).decode(errors="surrogateescape")

    def mask_cut(self, text: str) -> str:
        """The same where a text may have been cut off within a needle, as sentences of errors are."""
        text = self.mask(text)
        for content in self._contents:
            whole = content.decode(errors="surrogateescape")
            beginning, at = whole[:8], 0
            while (at := text.find(beginning, at)) >= 0:
                end = at + len(beginning)
                while end - at < len(whole) and text[end : end + 1] == whole[end - at]:
                    end += 1
                text = f"{text[:at]}{MASK}{text[end:]}"
                at += len(MASK)
        return text

    def _written_out(self) -> Iterator[bytes]:
        """Values as sentences of errors show them: with what a terminal would obey written out."""
        for needle in self.needles:
            if needle.kind == "value":
                text = needle.content.decode(errors="surrogateescape")
                for written in {shown(text), repr(text)[1:-1], repr(needle.content)[2:-1]}:
                    yield written.encode(errors="surrogateescape")
