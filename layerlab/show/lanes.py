"""Lanes: the timelines of containers' health as an SVG, each state a colour, each probe a mark."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wcwidth import wcswidth

from layerlab.run.agreement import Comparison
from layerlab.run.health import HEALTHY, PAUSE, STARTING, UNHEALTHY, UNPAUSE
from layerlab.show import svg
from layerlab.show.plots import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH = 640
_FONT = 9
_COLUMN = svg.column(_FONT)
_ROW = 19
_HEAD = 60
_AXIS = 28
_NAME_COLUMNS = 56
#: Okabe and Ito's colours; they differ in lightness, too, and unhealthy is hatched.
_COLOURS = {STARTING: "#CCCCCC", HEALTHY: "#56B4E9", UNHEALTHY: "#D55E00"}


def lanes_svg(title: str, rows: Mapping[str, Comparison], path: Path) -> None:
    """Write one lane for each timeline: its states, its probes, and where a change was predicted.

    The same timelines give the same bytes. The file begins with its ``<svg>`` element, so that a page
    can hold it as it is. Raises ValueError without a row, OSError where ``path`` can't be written.
    """
    if not rows:
        raise ValueError("a picture of lanes needs at least one")
    svg.write(lambda: _draw(title, rows), title, path, font=_FONT, hatch=0.8)


def _draw(title: str, rows: Mapping[str, Comparison]) -> "Figure":
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import IdentityTransform

    names = [label(name, _NAME_COLUMNS) for name in rows]
    longest = max(one.until_seconds for one in rows.values())
    left = svg.MARGIN + max(map(wcswidth, names)) * _COLUMN + 6
    body = len(rows) * _ROW
    height = _HEAD + body + _AXIS
    figure = svg.sheet(_WIDTH, height, title)
    points = IdentityTransform()
    ink: dict[str, Any] = {"color": svg.INK, "parse_math": False}
    x = float(svg.MARGIN)
    for state in _COLOURS:
        corner = (x, height - 44)
        figure.add_artist(Rectangle(corner, 12, 10, transform=points, **_look(state)))
        figure.text(x + 16, height - 43, state, transform=points, **ink)
        x += 26 + len(state) * _COLUMN
    key = "| a probe that succeeded   × one that failed   ▼ predicted change"
    figure.text(x, height - 43, key, transform=points, **ink)

    width = _WIDTH - left - svg.MARGIN - 8
    axes = svg.rows(figure, len(rows), (left, _AXIS, width, body), longest, "s")
    beside: dict[str, Any] = {"textcoords": "offset points", "va": "center", **ink}
    for row, (name, one) in enumerate(zip(names, rows.values(), strict=True)):
        for begin, end, state in _spans(one):
            look = _look(state)
            axes.add_patch(Rectangle((begin, row - 0.3), end - begin, 0.6, **look))
        for succeeded, mark in ((True, "|"), (False, "x")):
            at = [p.begin_seconds for p in one.timeline.probes if (p.exit_code == 0) == succeeded]
            axes.plot(at, [row] * len(at), mark, color=svg.INK, markersize=4, linewidth=0)
        foreseen = [change.seconds for change, _ in one.pairs() if change]
        axes.plot(foreseen, [row - 0.36] * len(foreseen), "v", color=svg.INK, markersize=3.5)
        axes.annotate(name, (0, row), (-6, 0), ha="right", family="monospace", **beside)
    return figure


def _spans(one: Comparison) -> list[tuple[float, float, str]]:
    """From when to when the container was in which state; a pause leaves a gap."""
    moments = [(change.seconds, change.state) for change in one.timeline.changes]
    spans = []
    for number, (begin, state) in enumerate(moments):
        end = moments[number + 1][0] if number + 1 < len(moments) else one.until_seconds
        for pause, resumed in _pauses(one):
            if begin <= pause < end:
                spans.append((begin, pause, state))
                begin = min(resumed, end)
                state = UNHEALTHY
        spans.append((begin, end, state))
    return spans


def _pauses(one: Comparison) -> list[tuple[float, float]]:
    begins = [at for at, what in one.timeline.container if what == PAUSE]
    ends = [at for at, what in one.timeline.container if what == UNPAUSE]
    return list(zip(begins, ends, strict=False))


def _look(state: str) -> dict[str, Any]:
    hatch = "////" if state == UNHEALTHY else None
    return {"facecolor": _COLOURS[state], "edgecolor": "white", "linewidth": 0.5, "hatch": hatch}
