"""An env file, checked before it is handed to Docker."""

import re
from itertools import accumulate
from pathlib import Path

from layerlab.errors import LabError
from layerlab.text import decoded, plain

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_QUOTED = re.compile(r"""\s*(?:"(?:[^"\\]++|\\.)*+"|'(?:[^'\\]++|\\.)*+')""", re.DOTALL)
#: Linux gives a program 2 MiB for its arguments and its environment (execve(2)).
LONGEST = 2 << 20


def check_name(name: str, where: str) -> None:
    """See to it that a name can be a variable's; ``where`` begins the error.

    Raises:
        LabError: it can't.
    """
    if not _NAME.fullmatch(name):
        raise LabError(
            f"{plain(where)}: `{plain(name[:40])}` is no name of a variable: use letters, digits and "
            "_, and begin with a letter or _"
        )


def check(path: Path, *, compose: bool) -> dict[str, str | None]:
    """The variables of an env file, as its lines write them; None for a bare name.

    ``docker run`` takes every line as it is; ``compose`` knows quotes, which may span lines, and
    `export`. Values are as they are written: what becomes of them is in :mod:`layerlab.run.spelling`.

    Raises:
        LabError: the file is missing, too long or no text, or a line is malformed (with its number).
    """
    text = _read(path)
    lines = text.split("\n")
    begins = [0, *accumulate(len(line) + 1 for line in lines)]
    found: dict[str, str | None] = {}
    number = 0
    while number < len(lines):
        line, start = lines[number].removesuffix("\r"), number + 1
        number += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = _split(line, f"{path}:{start}", compose)
        if compose and equals and value.lstrip()[:1] in ("'", '"'):
            value_begins = begins[start - 1] + line.index("=") + 1
            quoted = _QUOTED.match(text, value_begins)
            if quoted is None:
                raise LabError(
                    f"{plain(str(path))}:{start}: a quote is opened and not closed: close it, or "
                    "begin the value with another character"
                )
            number = start + text.count("\n", value_begins, quoted.end())
            value = "\n".join([value, *lines[start:number]])
        found[name] = value if equals else None
    return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except OSError as error:
        raise LabError(
            f"{plain(str(path))}: {error.strerror}: name an env file that can be read"
        ) from error
    if len(data) > LONGEST:
        raise LabError(
            f"{plain(str(path))} is longer than the {LONGEST >> 20} MiB that Linux gives a program for its "
            "environment: name an env file"
        )
    text = decoded(data, plain(str(path)), "env file")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise LabError(
            f"{plain(str(path))}:{line}: no variable can hold a zero byte: take it out of this line"
        )
    return text


def _split(line: str, where: str, compose: bool) -> tuple[str, str, str]:
    """Name, equals sign (if there is one) and value of a line."""
    name, equals, value = line.lstrip().partition("=")
    if compose:
        name = name.removeprefix("export ").strip()
    if not equals and len(name.split()) > 1:
        raise LabError(
            f"{plain(where)}: `{plain(line.strip()[:40])}` is not NAME=VALUE: write one, or begin the "
            "line with #"
        )
    check_name(name, where)
    return name, equals, value
