"""Build times: builds as timelines of their steps, cold beside rebuild, as an SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wcwidth import wcswidth

from layerlab.build.buildx import Build
from layerlab.show import svg
from layerlab.show.plots import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _FONT, _HEAD, _AXIS = 640, 9, 62, 28
_LANE, _GAP, _DOT = 11, 6, 7
#: The most that all dots of a build may take; of more they overlap.
_DOTS = 210
_COLUMN = svg.column(_FONT)
_NAME_COLUMNS = 30
#: Okabe and Ito's colours; they differ in lightness, too.
_COLOURS = {"RUN": "#0072B2", "COPY": "#E69F00", "ADD": "#E69F00"}
_OTHER = "#BBBBBB"


def timeline_svg(title: str, builds: Mapping[str, Mapping[str, Build]], path: Path) -> None:
    """Write a lane for each build: ``builds`` maps variant -> scenario -> one build; all have one scale.

    Before its lane stands a dot for each of a build's RUN, COPY and ADD: hollow where it came from the
    cache. The same builds give the same bytes.

    Raises:
        ValueError: there is no build.
        OSError: ``path`` can't be written.
    """
    lanes = [(name, its) for name, its in builds.items() if its]
    if not lanes:
        raise ValueError("a timeline needs at least one build")
    svg.write(lambda: _draw(title, lanes), title, path, font=_FONT)


def _draw(title: str, lanes: Sequence[tuple[str, Mapping[str, Build]]]) -> "Figure":
    from matplotlib.patches import Circle, Rectangle
    from matplotlib.transforms import IdentityTransform

    every = [build for _, its in lanes for build in its.values()]
    scenarios = list(dict.fromkeys(scenario for _, its in lanes for scenario in its))
    names = [label(name, _NAME_COLUMNS) for name, _ in lanes]
    longest = max(max(build.engine_seconds for build in every), 0.1)
    dots = svg.MARGIN + max(map(wcswidth, names)) * _COLUMN + 10
    most = max(len(build.counted) for build in every)
    pitch = min(_DOT, _DOTS / max(1, most))
    left = dots + most * pitch + 6
    block = len(scenarios) * _LANE + _GAP
    body = len(lanes) * block
    height = _HEAD + body + _AXIS
    figure = svg.sheet(_WIDTH, height, title)
    points = IdentityTransform()
    ink: dict[str, Any] = {"color": svg.INK, "parse_math": False}
    x = float(svg.MARGIN)
    for word, colour in (
        ("RUN", _COLOURS["RUN"]),
        ("COPY, ADD", _COLOURS["COPY"]),
        ("other", _OTHER),
    ):
        look: dict[str, Any] = {"facecolor": colour, "edgecolor": "none"}
        figure.add_artist(Rectangle((x, height - 46), 12, 9, transform=points, **look))
        figure.text(x + 16, height - 45, word, transform=points, **ink)
        x += 28 + len(word) * _COLUMN
    for word, hollow in (("run", False), ("from the cache", True)):
        figure.add_artist(Circle((x + 3, height - 41), 2.6, transform=points, **_dot(hollow)))
        figure.text(x + 10, height - 45, word, transform=points, **ink)
        x += 24 + len(word) * _COLUMN
    order = " / ".join(scenario.replace("-", " ") for scenario in scenarios)
    figure.text(x, height - 45, f"lanes: {order}", transform=points, **ink)

    width = _WIDTH - left - svg.MARGIN - 8
    axes = svg.rows(figure, len(lanes), (left, _AXIS, width, body), longest, "s")
    axes.set_ylim(body, 0)
    for number, (name, (_, its)) in enumerate(zip(names, lanes, strict=True)):
        top = number * block
        for lane, scenario in enumerate(scenarios):
            if (build := its.get(scenario)) is None:
                continue
            y = top + lane * _LANE + _GAP / 2
            middle = y + _LANE / 2
            # The engine's whole time; what no step took is the context's transfer, and the export.
            axes.plot(
                [0, build.engine_seconds], [middle] * 2, color=_OTHER, linewidth=1, zorder=0.9
            )
            for step in build.steps:
                if not step.cached and step.seconds:
                    look["facecolor"] = _COLOURS.get(step.keyword, _OTHER)
                    corner = (step.offset_seconds, y + 1.5)
                    axes.add_patch(Rectangle(corner, step.seconds, _LANE - 3, **look))
            for place, step in enumerate(build.counted):
                centre = (dots + place * pitch, _AXIS + body - middle)
                figure.add_artist(Circle(centre, 2.6, transform=points, **_dot(step.cached)))
        svg.name_row(axes, name, top + block / 2, _FONT, dots - left - 8)
    return figure


def _dot(hollow: bool) -> dict[str, Any]:
    return {"facecolor": "white" if hollow else svg.INK, "edgecolor": svg.INK, "linewidth": 0.9}
