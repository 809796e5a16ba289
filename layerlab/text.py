"""Text from outside, made fit to be shown."""

import difflib
import re
from collections.abc import Sequence

from layerlab.errors import LabError

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(text: str) -> str:
    """Untrusted text made harmless to a terminal: controls, direction marks and broken UTF-8 are shown."""
    return _CONTROL.sub(lambda match: _visible(ord(match[0])), text)


def _visible(code: int) -> str:
    # Python keeps bytes that are not UTF-8 as surrogates from U+DC80 on.
    return f"\\x{code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code:02x}"


def decoded(data: bytes, where: str, what: str) -> str:
    """A user's file as text, without a byte order mark.

    Raises:
        LabError: it is not UTF-8, with the line.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LabError(
            f"{where}:{line}: this {what} is not UTF-8 text: save it as UTF-8"
        ) from error


def counted(number: int, word: str) -> str:
    """ "1 round", "2 rounds", "0 rounds"."""
    return f"{number} {word}{'s' * (number != 1)}"


def shorten(text: str, width: int = 60) -> str:
    """One line of at most ``width`` characters, its white space folded."""
    folded = " ".join(text.split())
    return folded if len(folded) <= width else folded[: width - 1] + "…"


def near(word: str, known: Sequence[str]) -> str:
    """A hint at the known word that was probably meant, or nothing."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean `{close[0]}`?)" if close else ""
