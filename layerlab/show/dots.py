"""Dots: every sample of a metric, and what follows from them, as an SVG."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wcwidth import wcswidth

from layerlab.compare.comparison import Comparison
from layerlab.show import svg
from layerlab.show.plots import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _FONT, _ROW, _AXIS = 560, 9, 18, 28
_COLUMN = svg.column(_FONT)
_NAME_COLUMNS = 44
_DOT, _LINE, _BAND = "#0072B2", "#BBBBBB", "#DDDDDD"


def samples_svg(title: str, rows: Mapping[str, Sequence[float]], unit: str, path: Path) -> None:
    """Write a dot for each sample, a line from the least to the most, and a tick at the median.

    ``rows`` maps variant -> its samples, in ``unit``. The same samples give the same bytes.

    Raises:
        ValueError: there is no sample.
        OSError: ``path`` can't be written.
    """
    found = {name: samples for name, samples in rows.items() if samples}
    if not found:
        raise ValueError("a picture of samples needs at least one")

    def draw() -> "Figure":
        most = max(max(samples) for samples in found.values())
        key = "every dot is a sample; the line is their range, the tick their median"
        figure, axes = _sheet(title, key, list(found), most * 1.05 or 1.0, unit)
        for row, samples in enumerate(found.values()):
            axes.plot([min(samples), max(samples)], [row, row], color=_LINE, linewidth=3)
            middle = statistics.median(samples)
            axes.plot([middle] * 2, [row - 0.32, row + 0.32], color=svg.INK, linewidth=1.4)
            _dots(axes, samples, row)
        return figure

    svg.write(draw, title, path, font=_FONT)


def ratios_svg(title: str, comparisons: Sequence[Comparison]) -> str:
    """Each comparison's pairs as dots, and its interval, beside the baseline and its margin.

    A ratio below 1 is better than the baseline. The same comparisons give the same text.

    Raises:
        ValueError: none of the comparisons has an effect.
    """
    found = [(one, one.effect) for one in comparisons if one.effect]
    if not found:
        raise ValueError("a picture of ratios needs at least one comparison with an effect")
    names = [f"{one.metric.name} {one.variant}" for one, _ in found]

    def draw() -> "Figure":
        ratios = [[p.ratio for p in effect.pairs if p.ratio is not None] for _, effect in found]
        most = max(1.0, *(ratio for row in ratios for ratio in row))
        key = "every dot is a pair; the line is the interval, the tick the median, the band the margin"
        figure, axes = _sheet(title, key, names, most * 1.05, "×")
        axes.axvline(1.0, color=svg.INK, linewidth=1)
        for row, ((one, effect), pairs) in enumerate(zip(found, ratios, strict=True)):
            low, high = 1 / (1 + one.margin), 1 + one.margin
            axes.fill_betweenx([row - 0.45, row + 0.45], low, high, color=_BAND, linewidth=0)
            if span := effect.interval:
                axes.plot([span.low, span.high], [row, row], color=_LINE, linewidth=3)
            tick = [row - 0.32, row + 0.32]
            axes.plot([effect.ratio] * 2, tick, color=svg.INK, linewidth=1.4)
            _dots(axes, pairs, row)
        return figure

    return svg.drawn(draw, title, font=_FONT)


def _dots(axes: "Axes", values: Sequence[float], row: int) -> None:
    axes.plot(values, [row] * len(values), "o", color=_DOT, markersize=4, markeredgewidth=0)


def _sheet(
    title: str, key: str, names: Sequence[str], most: float, unit: str
) -> "tuple[Figure, Axes]":
    from matplotlib.ticker import MaxNLocator
    from matplotlib.transforms import IdentityTransform

    shown = [label(name, _NAME_COLUMNS) for name in names]
    left = svg.MARGIN + max(map(wcswidth, shown)) * _COLUMN + 6
    body = len(shown) * _ROW
    height = 48 + body + _AXIS
    figure = svg.sheet(_WIDTH, height, title)
    ink: dict[str, Any] = {"color": svg.INK, "parse_math": False}
    points = IdentityTransform()
    soft = {**ink, "color": "#555555"}
    figure.text(svg.MARGIN, height - 36, key, transform=points, **soft)
    box = (left, _AXIS, _WIDTH - left - svg.MARGIN - 8, body)
    axes = svg.rows(figure, len(shown), box, most, unit)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    for row, name in enumerate(shown):
        svg.name_row(axes, name, row, _FONT)
    return figure, axes
