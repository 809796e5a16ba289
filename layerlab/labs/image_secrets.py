"""Values and patterns that a user looks for in an image: given, looked for, and told of."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from layerlab.errors import LabError
from layerlab.image.needles import LONGEST, MASK, MOST_VALUES, Needle, read_patterns, read_values
from layerlab.image.secrets import HISTORY, LAYER, Finding, Searched
from layerlab.summary import wrapped
from layerlab.text import plain, shorten
from layerlab.units import bytes_text

STDIN = "-"
MOST_SHOWN = 30
#: More than all lines that are allowed can have.
_MOST_BYTES = MOST_VALUES * (LONGEST + 2)
_PARTS = {"header": "in its name or attributes", "padding": "in the padding after it"}


def given_needles(
    values: str | None, patterns: str | None, stdin: BinaryIO, here: Path
) -> list[Needle]:
    """What a user gave: each by a file's path, or ``-`` for standard input, or not at all.

    Raises:
        LabError: nothing was given, it can't be read, or there is something wrong with it.
    """
    if values is None and patterns is None:
        if stdin.isatty():
            raise LabError(
                "no values were given: write them to standard input (`./lab secrets IMAGE - < FILE`), or "
                "name a file with --values or --patterns; never write them on the command line"
            )
        values = STDIN
    if values == patterns == STDIN:
        raise LabError(
            "values and patterns can't both come from standard input: give one of them in a file"
        )
    found: list[Needle] = []
    if values is not None:
        found += read_values(_content(values, "values", stdin, here))
    if patterns is not None:
        found += read_patterns(_content(patterns, "patterns", stdin, here))
    return found


def _content(word: str, what: str, stdin: BinaryIO, here: Path) -> bytes:
    try:
        if word == STDIN:
            data = stdin.read(_MOST_BYTES + 1)
        else:
            with (here / word).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        # Not by its name: that may be a value, given where a file should be.
        raise LabError(
            f"the file of --{what} can't be read ({reason}): name a file that has one a line, or `-` for "
            "standard input"
        ) from None
    if len(data) > _MOST_BYTES:
        raise LabError(f"the {what} are more than {bytes_text(_MOST_BYTES)}: give fewer of them")
    return data


def lines(name: str, searched: Searched, width: int) -> Iterator[str]:
    """What there is to say of an image, its name masked before; all of it fit for a terminal."""
    if not searched.findings:
        yield from wrapped(f"{plain(name)}: nothing found in {_looked(searched)}", width)
        return
    by_needle = Counter(finding.needle for finding in searched.findings)
    places = _count(len(searched.findings), "place")
    yield from wrapped(f"{plain(name)}: found in {places}, of {_looked(searched)}", width)
    several = len({finding.image for finding in searched.findings if finding.image}) > 1
    heading = ""
    for finding in searched.findings[:MOST_SHOWN]:
        if (new := _heading(finding)) != heading:
            heading = new
            yield ""
            yield from wrapped(f"{plain(finding.image)}: {new}" if several else new, width)
        for line in _wrapped_hard(_described(finding), width - 2):
            yield f"  {line}"
    hidden = len(searched.findings) - MOST_SHOWN
    if hidden > 0:
        yield from ("", f"and {_count(hidden, 'more place')}")
    if searched.more:
        yield from wrapped(f"and {_count(searched.more, 'match')} in files beyond those", width)
    yield ""
    for needle, count in by_needle.items():
        yield f"{needle.label}: {_count(count, 'place')}"


def _heading(finding: Finding) -> str:
    if finding.place != LAYER or not finding.layer:
        return finding.place
    whose = "base" if finding.base else "own"
    return f"layer {finding.layer} ({whose}) {_quoted(finding.instruction)}".rstrip()


def _described(finding: Finding) -> str:
    parts = [finding.needle.label, finding.form]
    if finding.matches > 1:
        parts.append(f"{finding.matches:,} times")
    parts.append(f"at byte {finding.offset:,}")
    if finding.part in _PARTS:
        parts.append(_PARTS[finding.part])
    where = finding.where or "after the last file"
    if finding.place == HISTORY:
        if MASK not in finding.instruction and "," not in where:
            parts.append("in what the builder wrote beside it, such as build arguments")
        where = f"{where} {_quoted(finding.instruction)}"
    text = f"{plain(where)}: {', '.join(parts)}"
    if finding.hidden_by:
        by = f"layer {finding.hidden_by} {_quoted(finding.hidden_by_instruction)}".strip()
        text += f"; hidden by {by}, and still there for everyone who pulls the image"
    return text


def _quoted(instruction: str) -> str:
    return f"`{shorten(plain(instruction), 60)}`" if instruction else ""


def _looked(searched: Searched) -> str:
    looked_for = [
        f"{_count(searched.values, 'value')} in {_count(searched.forms, 'form')}"
        if searched.values
        else "",
        _count(searched.patterns, "pattern") if searched.patterns else "",
    ]
    return (
        f"{_count(searched.layers, 'layer')} ({bytes_text(searched.bytes)}, "
        f"{_count(searched.files, 'file')}) and {_count(searched.documents, 'document')} "
        f"(configuration, history, manifests, …); looked for {' and '.join(filter(None, looked_for))}"
    )


def _count(number: int, what: str) -> str:
    plural = f"{what}es" if what.endswith("ch") else f"{what}s"
    return f"{number:,} {what if number == 1 else plural}"


def _wrapped_hard(text: str, width: int) -> Sequence[str]:
    """Wrapped at spaces; a path that is longer than a line goes over several."""
    return [
        line[start : start + width]
        for line in wrapped(text, width)
        for start in range(0, len(line), width)
    ]
