"""SVG: a figure of matplotlib's as a file that a page can hold as it is, or in the page's colours."""

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#222222"
#: Points around a figure.
MARGIN = 10
#: The colours of which a page has its own for light and dark, by the names of its CSS variables.
_PAGE_COLOURS = {
    INK: "ink",
    "#555555": "soft",
    "#dddddd": "line",
    "#ffffff": "paper",
    "#bbbbbb": "idle",
    "#cccccc": "idle",
    "#0072b2": "blue",
}
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_TAG = re.compile(r"<[^<>]+>")
#: What says nothing to people: the title is an element of its own, and a page has a style for all figures.
_ASIDE = re.compile(
    r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->|\n\s*(?=<)", re.DOTALL
)
_GROUP = re.compile(r'(<g) id="[^"]*"')
_DIGITS = re.compile(r"(\.\d\d)\d+")


def column(font: float) -> float:
    """The advance of a monospaced letter, in points; of a proportional one at its widest, on average."""
    return 0.602 * font


def rows(
    figure: "Figure",
    count: int,
    box: tuple[float, float, float, float],
    length: float,
    unit: str,
) -> "Axes":
    """Axes for ``count`` rows, the first one on top, and a scale of ``length`` units below them.

    ``box`` is their left and lower edge, width and height, in points.
    """
    from matplotlib.ticker import FuncFormatter

    left, bottom, width, height = box
    whole_width, whole_height = figure.get_size_inches() * 72
    part = (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    axes = figure.add_axes(part)
    axes.set_frame_on(False)
    axes.set_xlim(0, length)
    axes.set_ylim(count - 0.5, -0.5)
    axes.yaxis.set_visible(False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} {unit}"))
    axes.tick_params(length=0, labelcolor="#555555")
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def sheet(width: float, height: float, title: str) -> "Figure":
    """A figure with nothing but its title; a point is a dot in it, and y counts from below."""
    # A figure of its own, not pyplot's: no display is looked for, and nothing stays open.
    from matplotlib.figure import Figure
    from matplotlib.transforms import IdentityTransform

    figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="white")
    place: dict[str, Any] = {"transform": IdentityTransform(), "weight": "bold"}
    figure.text(MARGIN, height - 20, title, color=INK, parse_math=False, **place)
    return figure


def name_row(axes: "Axes", name: str, row: float, font: float, left: float = -6) -> None:
    """Write a row's name so that it ends ``left`` points beside the axes, in letters of ``font`` points."""
    axes.annotate(
        name,
        (0, row),
        (left, -0.36 * font),
        textcoords="offset points",
        ha="right",
        va="baseline",
        family="monospace",
        color=INK,
        parse_math=False,
    )


def write(
    draw: Callable[[], "Figure"], title: str, path: Path, *, font: float, hatch: float = 1.2
) -> None:
    """Write what :func:`drawn` gives to a file. Raises OSError where ``path`` can't be written."""
    path.write_text(drawn(draw, title, font=font, hatch=hatch), encoding="utf-8")


def drawn(draw: Callable[[], "Figure"], title: str, *, font: float, hatch: float = 1.2) -> str:
    """The figure that ``draw`` makes, with letters of ``font`` points and hatches of ``hatch``.

    The same figure gives the same text. It begins with its ``<svg>`` element and shrinks with the page.
    Takes about half a second where matplotlib has yet to be imported.
    """
    from matplotlib import style

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": "layerlab",
        "font.sans-serif": ["DejaVu Sans"],
        "font.monospace": ["DejaVu Sans Mono"],
        "font.size": font,
        "hatch.linewidth": hatch,
    }
    out = io.StringIO()
    # From matplotlib's defaults, whatever the user's own settings are. It warns that its font has
    # no Korean; the reader's browser has.
    with (
        style.context(["default", settings]),
        warnings.catch_warnings(action="ignore", category=UserWarning),
    ):
        # Neither a date nor matplotlib's version, so that the same figure gives the same bytes.
        about = {"Title": title, "Date": None, "Creator": None}
        draw().savefig(out, format="svg", metadata=about)
    text = out.getvalue()
    shrinking = '<svg role="img" style="max-width: 100%; height: auto" '
    svg = text[text.index("<svg ") :].replace("<svg ", shrinking, 1)
    return svg.replace(">", f">\n <title>{escape(title)}</title>", 1)


def in_page(svg: str) -> str:
    """A figure as a part of a page: its colours follow the page's, and nothing in it has a name of the page's.

    What it says (``svg`` may quote names from outside) stays as it is: only tags are changed.
    """

    def tag(match: re.Match[str]) -> str:
        text = _GROUP.sub(r"\1", match[0])
        return _DIGITS.sub(r"\1", _COLOUR.sub(_page_colour, text))

    return _TAG.sub(tag, _ASIDE.sub("", svg)).strip()


def _page_colour(match: re.Match[str]) -> str:
    name = _PAGE_COLOURS.get(match[0])
    return f"var(--{name})" if name else match[0]
