"""Plots: a stacked bar chart of image sizes as an SVG that a page can embed."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wcwidth import wcswidth

from layerlab.show import svg
from layerlab.text import plain
from layerlab.units import megabytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The part whose bytes no container can read; drawn hatched.
WASTE = "waste"

#: Okabe and Ito's colours, which the colour-blind tell apart. The first three differ in lightness,
#: too, for print in black and white. Vermilion is kept for waste.
_COLOURS = ("#0072B2", "#E69F00", svg.INK, "#56B4E9", "#009E73", "#F0E442", "#CC79A7")
_WASTE_COLOUR = "#D55E00"

# The layout in points (a browser shows 4/3 pixels for each). Widths are counted in terminal columns,
# not measured: a page's reader may not have the font that would be measured here, and matplotlib's
# own has no Korean.
_WIDTH = 480
_FONT = 10
_COLUMN = svg.column(_FONT)
#: A row's height; from its middle down to the foot of its letters; the scale below the last row.
_ROW = 20
_BASELINE = -0.36 * _FONT
_AXIS = 28
_NAME_COLUMNS = 26
_TITLE_COLUMNS = 66
_PART_COLUMNS = 24

#: What plain() leaves and a chart can't show: a direction mark, and two that XML does not allow.
_UNSHOWN = re.compile("[\u061c\ufffe\uffff]")


#: Rows of a picture: more can't be compared by looking, and would make a page too large.
MOST_ROWS = 40
T = TypeVar("T")


def first_rows(
    title: str, rows: Mapping[str, T], most: int = MOST_ROWS
) -> tuple[str, dict[str, T]]:
    """What of ``rows`` a picture shows, and its title, which says so where that is not all."""
    if len(rows) <= most:
        return title, dict(rows)
    return f"{title}: the first {most} of {len(rows)}", dict(islice(rows.items(), most))


@dataclass(frozen=True)
class Bar:
    """One bar: an image or variant and what its bytes are."""

    #: Untrusted: it may be a student's file name.
    name: str
    #: Part -> bytes, in drawing order: base, dependencies, app, waste.
    parts: Mapping[str, int]

    def __post_init__(self) -> None:
        if any(count < 0 for count in self.parts.values()):
            raise ValueError(f"a part of {self.name!r} has a negative number of bytes")

    @property
    def total(self) -> int:
        """The bytes of all parts."""
        return sum(self.parts.values())


def part_names(bars: Sequence[Bar]) -> list[str]:
    """Every part of any bar, once, in the bars' own order: the order of drawing and legend."""
    names: list[str] = []
    for bar in bars:
        at = 0
        for name in bar.parts:
            if name not in names:
                names.insert(at, name)
            at = names.index(name) + 1
    return names


def label(text: str, columns: int, ellipsis: str = "…") -> str:
    """Untrusted text as one line of at most ``columns`` columns, fit for a terminal and for XML.

    Controls, direction marks and lone surrogates are shown as escapes. Long text loses its middle:
    the names of images and variants often differ only at their end.
    """
    encodable = text.encode("utf-8", "backslashreplace").decode()
    visible = _UNSHOWN.sub(lambda match: f"\\x{ord(match[0]):02x}", plain(encodable))
    # Composed, because macOS writes a Korean file name as single letters that a cut would part.
    line = unicodedata.normalize("NFC", " ".join(visible.split()))
    # The length counts, too: a thousand combining marks have no width.
    if wcswidth(line) <= columns and len(line) <= 4 * columns:
        return line
    for kept in range(columns - len(ellipsis), 0, -1):
        short = line[: (kept + 1) // 2] + ellipsis + line[len(line) - kept // 2 :]
        if wcswidth(short) <= columns:
            return short
    return ellipsis[:columns]


def stacked_svg(title: str, bars: Sequence[Bar], path: Path) -> None:
    """Write one stacked horizontal bar for each of ``bars``, its total in MB at the end.

    The same bars give the same bytes. The file begins with its ``<svg>`` element, so that a page can
    hold it as it is; it is 640 pixels wide and shrinks with the page. Takes about half a second where
    matplotlib has yet to be imported. Raises ValueError without a bar, OSError where ``path`` can't
    be written.
    """
    if not bars:
        raise ValueError("a chart needs at least one bar")
    title = label(title, _TITLE_COLUMNS)
    svg.write(lambda: _draw(title, bars), title, path, font=_FONT)


def _draw(title: str, bars: Sequence[Bar]) -> "Figure":
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import MaxNLocator
    from matplotlib.transforms import IdentityTransform

    parts = part_names(bars)
    legend = _legend_places([label(part, _PART_COLUMNS) for part in parts])
    names = [label(bar.name, _NAME_COLUMNS) for bar in bars]
    totals = [megabytes(bar.total) for bar in bars]
    longest = max(bar.total for bar in bars)
    left = svg.MARGIN + max(map(wcswidth, names)) * _COLUMN + 6
    right = svg.MARGIN + max(map(len, totals)) * _COLUMN + 6
    head = 56 + legend[-1][2] if legend else 34
    body = len(bars) * _ROW
    height = head + body + _AXIS

    figure = svg.sheet(_WIDTH, height, title)
    points = IdentityTransform()
    ink: dict[str, Any] = {"color": svg.INK, "parse_math": False}
    for number, (name, x, y) in enumerate(legend):
        corner = (x, height - 44 - y)
        look = _look(parts[number], number)
        figure.add_artist(Rectangle(corner, 12, 10, transform=points, **look))
        figure.text(x + 17, corner[1] + 1, name, transform=points, **ink)

    width = _WIDTH - left - right
    axes = svg.rows(figure, len(bars), (left, _AXIS, width, body), longest / 1e6 or 1, "MB")
    axes.xaxis.set_visible(longest > 0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(labelsize=_FONT - 1)
    beside: dict[str, Any] = {"textcoords": "offset points", "va": "baseline", **ink}
    for row, (bar, name, total) in enumerate(zip(bars, names, totals, strict=True)):
        begin = 0
        for number, part in enumerate(parts):
            if count := bar.parts.get(part, 0):
                corner = (begin / 1e6, row - 0.35)
                axes.add_patch(Rectangle(corner, count / 1e6, 0.7, **_look(part, number)))
                begin += count
        svg.name_row(axes, name, row, _FONT)
        # A total would have the grid's lines run through it.
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.annotate(total, (begin / 1e6, row), (5, _BASELINE), bbox=paper, **beside)
    return figure


def _look(part: str, number: int) -> dict[str, Any]:
    """How a part is filled: hatched where it is waste, solid with a thin white edge elsewhere."""
    shared = {"linewidth": 0.6, "clip_on": False}
    if part == WASTE:
        return {"facecolor": "white", "edgecolor": _WASTE_COLOUR, "hatch": "/////", **shared}
    again, colour = divmod(number, len(_COLOURS))
    # An eighth part has the first one's colour, with dots.
    hatch = (None, "...", "xxx")[again % 3]
    return {"facecolor": _COLOURS[colour], "edgecolor": "white", "hatch": hatch, **shared}


def _legend_places(names: Sequence[str]) -> list[tuple[str, float, float]]:
    """Each name with its place, in points from the left and from the legend's top, in rows."""
    places: list[tuple[str, float, float]] = []
    x, y = float(svg.MARGIN), 0.0
    for name in names:
        width = 17 + wcswidth(name) * _COLUMN + 12
        if places and x + width > _WIDTH - svg.MARGIN:
            x, y = svg.MARGIN, y + 16
        places.append((name, x, y))
        x += width
    return places
