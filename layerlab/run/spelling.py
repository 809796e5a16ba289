"""How each way of setting a variable is spelled, and what its documented syntax makes of a value.

A value is written down as it is wherever that can be said at all, as people do who do not think of
quotes; Dockerfile and YAML have no such way, and there it is quoted by their rules.
"""

import re
from dataclasses import dataclass

from layerlab.run import env
from layerlab.run.env import Way

_REFERENCE = re.compile(r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*))")
#: Ways whose value is read from a file in compose's own syntax.
DOTENV_SYNTAX = (*env.FILES, env.DOT_ENV, env.CLI_FILE)


@dataclass(frozen=True)
class Change:
    """A documented change of a value on its way."""

    letter: str
    sentence: str
    page: str


_ENV_FILE = "https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/"
COMMENT = Change("c", "a # after a blank begins a comment", f"{_ENV_FILE}#env-file-syntax")
QUOTES = Change("q", "quotes around a value are not part of it", f"{_ENV_FILE}#env-file-syntax")
# Said by no page: compose-go `dotenv/parser.go`, extractVarValue trims what is not quoted.
SPACES = Change("s", "blanks around a value are not part of it", "compose-go dotenv/parser.go")
DOLLAR = Change(
    "d",
    "compose replaces $NAME, and writes $$ as $",
    "https://docs.docker.com/reference/compose-file/interpolation/",
)
CHANGES = (COMMENT, DOLLAR, QUOTES, SPACES)


@dataclass(frozen=True)
class Odd:
    """A value that breaks naive tools."""

    number: int
    name: str
    text: str

    def variable(self, way: Way) -> str:
        """The name of the variable that carries this value in a way."""
        return f"LAB_V{self.number:02}_{way.number:02}"


ODD = tuple(
    Odd(number, name, text)
    for number, (name, text) in enumerate(
        (
            ("Korean", "학습 환경 변수 🐳"),
            ("spaces inside", "one  two   three"),
            ("spaces around", "  both sides  "),
            ("quotes inside", "say \"hi\" and 'bye'"),
            ("quotes around", '"all of it"'),
            ("JSON", '{"a": [1, null]}'),
            ("# inside a word", "C#sharp"),
            ("# after a blank", "before #after"),
            ("$NAME", "pa$LAB_NOBODYss word"),
            ("$$", "a$$b"),
            ("=", "a=b==c="),
            ("empty", ""),
            ("trailing \\", "C:\\new\\table\\"),
            ("32,000 letters", "x" * 31_997 + "end"),
            ("newline", "first\nsecond"),
        ),
        1,
    )
)


def unspeakable(way: Way, text: str) -> str | None:
    """Why a value can't be given in a way; None where it can."""
    if "\n" in text and way == env.RUN_FILE:
        return "a line of docker run's --env-file ends with its value"
    if "\n" in text and way in env.IMAGE:
        return "a Dockerfile's ENV has no escape for a newline"
    return None


def dockerfile(text: str) -> str:
    """A value between double quotes, as ENV and ARG of a Dockerfile take it."""
    return '"' + re.sub(r'([\\"$])', r"\\\1", text) + '"'


def dotenv(text: str) -> str:
    """A value as a line of compose's env files takes it: as it is, or quoted where it has a newline."""
    return '"' + text.replace("\n", "\\n") + '"' if "\n" in text else text


def arrives(way: Way, text: str) -> tuple[str, list[Change]]:
    """What the app is to read when a value was given in a way, and which rules changed it.

    ``text`` refers to no variable that has a value.
    """
    changes: list[Change] = []
    if way in DOTENV_SYNTAX and "\n" not in text:
        text = _dotenv_value(text, changes)
    elif way == env.LITERAL:
        text = _interpolated(text, changes)
    return text, changes


def _dotenv_value(text: str, changes: list[Change]) -> str:
    def now(after: str, change: Change) -> str:
        if after != text:
            changes.append(change)
        return after

    text = now(text.strip(" \t"), SPACES)
    quote = text[:1]
    if quote in ("'", '"') and text.find(quote, 1) == len(text) - 1:
        text = now(text[1:-1], QUOTES)
        return text if quote == "'" else _interpolated(text, changes)
    text = now(re.split(r"\s#", text, maxsplit=1)[0].rstrip(), COMMENT)
    return _interpolated(text, changes)


def _interpolated(text: str, changes: list[Change]) -> str:
    after = _REFERENCE.sub(lambda match: match[1] or "", text)
    if after != text:
        changes.append(DOLLAR)
    return after
