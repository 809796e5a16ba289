"""A compose file as its author wrote it: where in it a key stands, and where it is broken."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import yaml

#: PyYAML takes time with the square of the depth, and composes recursively.
DEEPEST = 100


def broken(file: Path) -> tuple[int, str] | None:
    """The line from 1 at which a file is no YAML, and why; None where it is, or can't be read.

    Compose names lines, too; for a wrong indentation it names the line where the block began.
    """
    try:
        _check(file.read_text(encoding="utf-8", errors="replace"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return (mark.line + 1 if mark else 1), error.problem or "not YAML"
    except yaml.YAMLError as error:
        return 1, str(error).splitlines()[0]
    except ValueError:
        # PyYAML lets through what `chr` and `int` say of "\U00110000" and of a number in a directive.
        return 1, "an escape that is no character, or a number that is too long"
    except OSError:
        return None
    return None


def line_of(file: Path, keys: Sequence[str]) -> int | None:
    """The line from 1 of the last of ``keys``, each below the one before; None where it is not there.

    An element of a list is found by its number, by its text, or as the key that it begins with.
    """
    try:
        text = file.read_text(encoding="utf-8")
        _check(text)
        node = yaml.compose(text, yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    line = None
    for key in keys:
        found = _below(node, key)
        if found is None:
            return None
        line, node = found
    return line


def _check(text: str) -> None:
    """Raise what is wrong with a text as YAML: a ValueError where it is an escape or a number."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(
                problem=f"nested more than {DEEPEST} deep",
                problem_mark=cast(yaml.Mark | None, event.start_mark),
            )


def nearest(files: Sequence[Path], keys: Sequence[str]) -> str | None:
    """`FILE:LINE` of a key, or of the nearest one above it; in the last file that has it."""
    for count in range(len(keys), 0, -1):
        for file in reversed(files):
            if line := line_of(file, keys[:count]):
                return f"{file.name}:{line}"
    return None


def _below(node: yaml.Node | None, key: str) -> tuple[int, yaml.Node] | None:
    """The line and the value of a key of a mapping, or of an element of a list."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if getattr(name, "value", None) == key:
                return name.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            if key in (str(number), getattr(value, "value", None)):
                return value.start_mark.line + 1, value
    return None
