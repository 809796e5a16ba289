"""An env file, checked before it is handed to Docker."""

import re
from pathlib import Path

from layerlab.errors import LabError
from layerlab.text import plain

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_QUOTED = re.compile(r"""\s*(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""", re.DOTALL)


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
        LabError: the file is missing or no text, or a line is malformed (with its number).
    """
    lines = _read(path).split("\n")
    found: dict[str, str | None] = {}
    number = 0
    while number < len(lines):
        line, start = lines[number].removesuffix("\r"), number + 1
        number += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = _split(line, f"{path}:{start}", compose)
        if compose and value.lstrip()[:1] in ("'", '"') and equals:
            while not _QUOTED.match(value):
                if number == len(lines):
                    raise LabError(f"{plain(str(path))}:{start}: a quote is opened and not closed")
                value += "\n" + lines[number]
                number += 1
        found[name] = value if equals else None
    return found


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise LabError(f"{plain(str(path))}:{line}: this env file is not UTF-8 text") from error
    except OSError as error:
        raise LabError(
            f"{plain(str(path))}: {error.strerror}: name an env file that can be read"
        ) from error


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
