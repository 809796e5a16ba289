"""SVG: a figure of matplotlib's as a file that a page can hold as it is."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#222222"


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


def sheet(width: float, height: float) -> "Figure":
    """An empty figure; a point is a dot in it, and y counts from below."""
    # A figure of its own, not pyplot's: no display is looked for, and nothing stays open.
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="white")


def write(
    draw: Callable[[], "Figure"], title: str, path: Path, *, font: float, hatch: float = 1.2
) -> None:
    """Write the figure that ``draw`` makes, with letters of ``font`` points and hatches of ``hatch``.

    The same figure gives the same bytes. The file begins with its ``<svg>`` element and shrinks with the page.
    Takes about half a second where matplotlib has yet to be imported. Raises OSError where ``path`` can't
    be written.
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
    path.write_text(svg, encoding="utf-8")
