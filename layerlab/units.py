"""Units: bytes, seconds and percentages as text, and the text that a user writes as numbers.

Sizes are decimal, as Docker prints them: 1 kB = 1,000 bytes, 1 MB = 1,000,000 bytes.
"""

import re
from decimal import Decimal

from layerlab.errors import LabError
from layerlab.text import plain, shorten

_UNITS = {
    "B": 1,
    **dict.fromkeys(("kB", "KB", "k"), 10**3),
    **dict.fromkeys(("MB", "M"), 10**6),
    **dict.fromkeys(("GB", "G"), 10**9),
    **dict.fromkeys(("TB", "T"), 10**12),
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
#: Few enough digits for Decimal to calculate exactly.
_NUMBER = r"(?P<number>[0-9]{1,18}(?:\.[0-9]{1,9})?)"
_SIZE = re.compile(rf"{_NUMBER} ?(?P<unit>[A-Za-z]+)")
_PERCENT = re.compile(rf"{_NUMBER} ?%")


def bytes_text(count: int) -> str:
    """A number of bytes in the unit that suits it: "532 B", "12.4 kB", "3.42 MB", "148.2 MB".

    Three or four significant digits; a negative number (a difference) keeps its sign.
    """
    if count < 0:
        return f"-{bytes_text(-count)}"
    if count < 1000:
        return f"{count} B"
    for unit in ("kB", "MB", "GB", "TB"):
        value = _rounded(count, _UNITS[unit], 2)
        if value >= 10:
            value = _rounded(count, _UNITS[unit], 1)
        # What would round to 1000.0 kB is 1.00 MB.
        if value < 1000:
            break
    return f"{value} {unit}"


def megabytes(count: int) -> str:
    """A number of bytes in MB with one decimal, so that a column of sizes can be compared.

    What is there but would round to nothing is "<0.1 MB"; "0.0 MB" is no byte at all.
    """
    value = _rounded(abs(count), 10**6, 1)
    if count and not value:
        return "<0.1 MB" if count > 0 else ">-0.1 MB"
    return f"{'-' if count < 0 else ''}{value} MB"


def value_text(value: float, unit: str) -> str:
    """A measured value with its unit: "2.31 s", "148.2 MB", "12 steps"."""
    if unit == "bytes":
        return bytes_text(round(value))
    return f"{value:.2f} s" if unit == "s" else f"{value:g} {unit}"


def change_text(ratio: float) -> str:
    """A ratio as what it changes: 1.123 is "+12.3%", 0.5 is "-50.0%"."""
    return f"{ratio - 1:+.1%}"


def parse_bytes(text: str) -> int:
    """The bytes that "200MB", "1.5 GiB" or "0B" mean, rounded to a whole byte.

    Takes B, kB (KB, k), MB (M), GB (G), TB (T) and, in powers of 1024, KiB, MiB, GiB, TiB.
    Raises LabError for anything else, a bare number included.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or match["unit"] not in _UNITS:
        raise LabError(
            f"`{_quoted(text)}` is no size: write a number and its unit, such as 200MB or 1.5GB "
            "(B, kB, MB, GB, TB, or KiB, MiB, GiB, TiB)"
        )
    return round(Decimal(match["number"]) * _UNITS[match["unit"]])


def parse_percent(text: str) -> float:
    """The share that "5%" or "5 %" means: 0.05. Raises LabError for anything else."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        # A bare 5 or 0.05 gets no guess: one of the two would be a hundred times off.
        raise LabError(
            f"`{_quoted(text)}` is no percentage: write a number from 0 with its sign, such as `5%`"
        )
    return float(Decimal(match["number"]) / 100)


def _rounded(count: int, size: int, digits: int) -> Decimal:
    """``count / size`` with that many digits after the point: integers, so no float is in between."""
    scale = 10**digits
    return Decimal((count * scale * 2 + size) // (size * 2)).scaleb(-digits)


def _quoted(text: str) -> str:
    return shorten(plain(text), 40)
