"""Bars: the stacked bar chart of image sizes for a terminal."""

from collections.abc import Sequence
from itertools import cycle, islice

from wcwidth import wcswidth

from layerlab.show.plots import WASTE, Bar, label, part_names
from layerlab.units import bytes_text, megabytes

#: Glyphs in the order of parts, from the first again after the last; neighbours differ as much as
#: they can, for there is no colour.
_SHADES = "█░▓▒▪·"
_SIGNS = "#=+:%o"
_WASTE_SHADE = "╱"
_WASTE_SIGN = "/"
_GAP = "  "


def lines(title: str, bars: Sequence[Bar], width: int, *, unicode: bool = True) -> list[str]:
    """The chart as lines of at most ``width`` columns: title, one for each of ``bars``, legend.

    A bar is as long as its total, rounded to whole columns. In it a part of a column or more is
    always drawn, and one of less than half a column never, unless none is larger. The legend says
    how many bytes a column stands for. Without ``unicode`` the lines are ASCII. Raises ValueError
    without a bar.
    """
    if not bars:
        raise ValueError("a chart needs at least one bar")
    parts = part_names(bars)
    glyphs = [_glyph(part, number, unicode) for number, part in enumerate(parts)]
    names = [_label(bar.name, width // 3, unicode) for bar in bars]
    totals = [megabytes(bar.total) for bar in bars]
    name_columns, total_columns = max(map(wcswidth, names)), max(map(len, totals))
    room = max(1, width - name_columns - total_columns - 2 * len(_GAP))
    longest = max(bar.total for bar in bars)

    chart = [_label(title, width, unicode)]
    for bar, name, total in zip(bars, names, totals, strict=True):
        counts = cells([bar.parts.get(part, 0) for part in parts], longest, room)
        drawn = "".join(glyph * count for glyph, count in zip(glyphs, counts, strict=True))
        blank = " " * (name_columns - wcswidth(name))
        chart.append(f"{name}{blank}{_GAP}{drawn:<{room}}{_GAP}{total:>{total_columns}}")
    key = [
        f"{glyph} {_label(part, width // 3, unicode)}"
        for glyph, part in zip(glyphs, parts, strict=True)
    ]
    if longest:
        key.append(f"(one column is {bytes_text(round(longest / room))})")
    # A terminal of a few columns has no room for a bar: what does not fit is cut.
    return [_cut(line, width) for line in (*chart, *_wrapped(key, width))]


def cells(parts: Sequence[int], longest: int, room: int) -> list[int]:
    """How many columns each part of a bar gets where ``longest`` bytes fill ``room`` columns.

    Together they are the bar's rounded length: each part gets its whole columns, and what is left
    goes to the parts of at least half a column, the largest fraction first.
    """
    if not longest:
        return [0 for _ in parts]
    whole, fractions = zip(*(divmod(count * room, longest) for count in parts), strict=True)
    found = list(whole)
    left = (2 * sum(parts) * room + longest) // (2 * longest) - sum(whole)
    able = [number for number, count in enumerate(parts) if 2 * count * room >= longest]
    able = sorted(able, key=lambda number: -fractions[number]) or [parts.index(max(parts))]
    for number in islice(cycle(able), left):
        found[number] += 1
    return found


def _glyph(part: str, number: int, unicode: bool) -> str:
    if part == WASTE:
        return _WASTE_SHADE if unicode else _WASTE_SIGN
    glyphs = _SHADES if unicode else _SIGNS
    return glyphs[number % len(glyphs)]


def _label(text: str, columns: int, unicode: bool) -> str:
    if unicode:
        return label(text, columns)
    return label(text.encode("ascii", "backslashreplace").decode(), columns, "...")


def _wrapped(items: Sequence[str], width: int) -> list[str]:
    """The items in as few lines as hold them, none of them parted."""
    rows: list[str] = []
    for item in items:
        if rows and wcswidth(rows[-1] + _GAP + item) <= width:
            rows[-1] += _GAP + item
        else:
            rows.append(item)
    return rows


def _cut(line: str, width: int) -> str:
    while line and wcswidth(line) > width:
        line = line[:-1]
    return line
