"""A start as a picture: when each service was created, started, answered and healthy, as an SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wcwidth import wcswidth

from layerlab.show import svg
from layerlab.show.plots import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _FONT, _ROW, _AXIS = 480, 10, 26, 30
_COLUMN = svg.column(_FONT)
#: Okabe and Ito's colours, which the colour-blind tell apart; they differ in lightness, too.
_PARTS = (
    ("created", "#BBBBBB"),
    ("starting", "#E69F00"),
    ("answers", "#56B4E9"),
    ("healthy", "#0072B2"),
)


@dataclass(frozen=True)
class Bar:
    """One service's start, in seconds; None where it did not happen."""

    name: str
    created: float | None
    started: float | None
    answered: float | None
    healthy: float | None

    def parts(self, end: float) -> list[tuple[float, float] | None]:
        """What each of its states began and ended with, in their order."""
        moments = [self.created, self.started, self.answered, self.healthy]
        # A health check may have seen it just before we did.
        if self.answered is not None and self.healthy is not None:
            moments[2] = min(self.answered, self.healthy)
        found: list[tuple[float, float] | None] = []
        for number, begun in enumerate(moments):
            later = [one for one in moments[number + 1 :] if one is not None]
            found.append(None if begun is None else (begun, later[0] if later else end))
        return found


def timeline_svg(title: str, bars: Sequence[Bar], path: Path) -> None:
    """Write a row for each of ``bars``; the same bars give the same bytes.

    The file begins with its ``<svg>`` element, so that a page can hold it as it is.

    Raises:
        ValueError: there is no bar.
        OSError: ``path`` can't be written.
    """
    if not bars:
        raise ValueError("a timeline needs at least one bar")
    title = label(title, 60)
    svg.write(lambda: _draw(title, bars), title, path, font=_FONT)


def _draw(title: str, bars: Sequence[Bar]) -> "Figure":
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import MaxNLocator
    from matplotlib.transforms import IdentityTransform

    names = [label(bar.name, 20) for bar in bars]
    moments = [
        moment
        for bar in bars
        for moment in (bar.created, bar.started, bar.answered, bar.healthy)
        if moment is not None
    ]
    end = max(moments, default=1.0) * 1.04 or 1.0
    left = svg.MARGIN + max(map(wcswidth, names)) * _COLUMN + 6
    head, body = 58, len(bars) * _ROW
    height = head + body + _AXIS
    figure = svg.sheet(_WIDTH, height, title)
    points = IdentityTransform()
    ink: dict[str, Any] = {"color": svg.INK, "parse_math": False}
    x = float(svg.MARGIN)
    for name, colour in _PARTS:
        look: dict[str, Any] = {"facecolor": colour, "edgecolor": "white", "linewidth": 0.6}
        figure.add_artist(Rectangle((x, height - 46), 12, 10, transform=points, **look))
        figure.text(x + 17, height - 45, name, transform=points, **ink)
        x += 17 + wcswidth(name) * _COLUMN + 12

    width = _WIDTH - left - svg.MARGIN
    axes = svg.rows(figure, len(bars), (left, _AXIS, width, body), end, "s")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(labelsize=_FONT - 1)
    for row, (bar, name) in enumerate(zip(bars, names, strict=True)):
        for part, (_, colour) in zip(bar.parts(end), _PARTS, strict=True):
            if part is not None:
                begun, ended = part
                look["facecolor"] = colour
                axes.add_patch(Rectangle((begun, row - 0.32), ended - begun, 0.64, **look))
        svg.name_row(axes, name, row, _FONT)
    return figure
