"""The chart of image sizes, as the page that embeds it and its readers find it."""

import re
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wcwidth import wcswidth

from layerlab.show.plots import Bar, label, part_names, stacked_svg

MB = 10**6
SINGLE = Bar("single-stage", {"base": 400 * MB, "deps": 190 * MB, "app": MB, "waste": 88 * MB})
MULTI = Bar("multi-stage", {"base": 100 * MB, "deps": 49 * MB, "app": MB, "waste": 0})
TEXT = "{http://www.w3.org/2000/svg}text"
PATH = "{http://www.w3.org/2000/svg}path"
BLUE, ORANGE = "#0072b2", "#e69f00"

#: Any text at all, and what has gone wrong in terminals, XML and matplotlib.
ANY_TEXT = st.text(
    st.characters(exclude_categories=())
    | st.sampled_from("$_^\\{}<>&\"'\n\t\x00\x1b\x9b\u202e\u061c\u2028\ufffe\uffff\ud800\udcff도커")
)


def draw(folder: Path, *bars: Bar, title: str = "Image sizes") -> ElementTree.Element:
    stacked_svg(title, bars, folder / "chart.svg")
    return ElementTree.fromstring((folder / "chart.svg").read_bytes())


def texts(svg: ElementTree.Element) -> list[str]:
    return ["".join(element.itertext()) for element in svg.iter(TEXT)]


def filled(svg: ElementTree.Element, fill: str) -> list[tuple[float, float]]:
    """The left and right end of every shape with this fill that is part of a bar."""
    found = []
    for axes in svg.iter():
        if axes.get("id") == "axes_1":
            for path in axes.iter(PATH):
                if f"fill: {fill}" in path.get("style", ""):
                    xs = [float(x) for x in re.findall(r"[ML] (\S+) ", path.get("d", ""))]
                    found.append((min(xs), max(xs)))
    return found


def test_bars_are_as_long_as_their_bytes(tmp_path: Path) -> None:
    svg = draw(tmp_path, SINGLE, MULTI)
    (left, right), (other_left, other_right) = filled(svg, BLUE)
    assert left == other_left
    assert (right - left) / (other_right - other_left) == pytest.approx(4, rel=1e-3)
    # Each part begins where the one before it ends.
    orange = filled(svg, ORANGE)
    assert [begin for begin, _ in orange] == pytest.approx([right, other_right])
    # Only what is there is drawn, and waste with a hatch.
    ((begin, end),) = filled(svg, "url")
    assert (begin - left) / (end - left) == pytest.approx(591 / 679, rel=1e-3)


def test_names_parts_and_totals_are_text(tmp_path: Path) -> None:
    shown = texts(draw(tmp_path, SINGLE, MULTI))
    for text in ("Image sizes", "single-stage", "multi-stage", "679.0 MB", "150.0 MB"):
        assert shown.count(text) == 1
    # One legend.
    assert [shown.count(part) for part in SINGLE.parts] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("$x_1^2$ \\frac", "$x_1^2$ \\frac"),
        ("$unclosed", "$unclosed"),
        ("_hidden", "_hidden"),
        ("<script>alert()</script>", "<script>alert()</script>"),
        ("a & b \"c\" 'd'", "a & b \"c\" 'd'"),
        ("-->]]>", "-->]]>"),
        ("two\nlines\tof it", "two lines of it"),
        ("\x1b[31mred\x00", "\\x1b[31mred\\x00"),
        ("file\u202egnp.exe", "file\\x202egnp.exe"),
        ("도커 학습", "도커 학습"),
        ("byte\udcff", "byte\\udcff"),
        ("\ufffe\uffff\u061c", "\\xfffe\\xffff\\x61c"),
    ],
)
def test_untrusted_text_shows_as_text(tmp_path: Path, name: str, shown: str) -> None:
    svg = draw(tmp_path, Bar(name, {"base": MB, name: MB}), title=name)
    assert texts(svg).count(shown) == 3
    assert not [element for element in svg.iter() if element.tag.endswith("script")]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.builds(Bar, ANY_TEXT, st.dictionaries(ANY_TEXT, st.integers(0))), min_size=1))
def test_the_file_is_always_well_formed(tmp_path: Path, bars: list[Bar]) -> None:
    draw(tmp_path, *bars[:2], title=bars[0].name)


@given(ANY_TEXT, st.integers(0, 40))
def test_a_label_is_one_line_that_fits(text: str, columns: int) -> None:
    short = label(text, columns)
    assert 0 <= wcswidth(short) <= columns
    assert len(short.splitlines()) <= 1
    short.encode()


def test_a_long_name_keeps_both_its_ends() -> None:
    assert label("registry.example.com/team/app:single-stage", 26) == "registry.exam…single-stage"
    assert label("도커 학습용 이미지 이름", 12) == "도커 … 이름"
    # Names that fit are left alone; combining marks do not make one endless.
    assert label("single-stage", 12) == "single-stage"
    assert len(label("e" + "\u0301" * 10_000, 12)) == 12
    # macOS spells Korean file names in single letters.
    assert label("\u1112\u1161\u11ab\u1100\u1173\u11af", 4) == "한글"


def test_parts_have_one_order_in_all_bars() -> None:
    assert part_names([Bar("a", {"base": 1, "app": 1}), MULTI]) == ["base", "deps", "app", "waste"]


def test_the_same_bars_give_the_same_file_whatever_the_users_settings(tmp_path: Path) -> None:
    draw(tmp_path, SINGLE, MULTI)
    first = (tmp_path / "chart.svg").read_bytes()
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30, "axes.grid": True}):
        draw(tmp_path, SINGLE, MULTI)
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "chart.svg").read_bytes() == first


def test_the_file_can_be_put_into_a_page(tmp_path: Path) -> None:
    svg = draw(tmp_path, SINGLE)
    content = (tmp_path / "chart.svg").read_text(encoding="utf-8")
    # No XML declaration, no DTD; nothing is loaded from elsewhere; it shrinks with the page.
    assert content.startswith("<svg ")
    assert not re.search(r"<!DOCTYPE|<image|@import|href=\"(?!#)", content)
    assert "max-width: 100%" in svg.get("style", "")


@pytest.mark.parametrize("count", [1, 60])
def test_everything_is_inside_the_picture(tmp_path: Path, count: int) -> None:
    wide = Bar("W" * 50, {f"part {number}": 10**12 for number in range(9)})
    svg = draw(tmp_path, wide, *[Bar(wide.name, {"part 0": 1})] * (count - 1))
    width, height = map(float, svg.get("viewBox", "").split()[2:])
    assert width == 480
    feet = [float(text.get("y", "nan")) for text in svg.iter(TEXT)]
    assert min(feet) > 10
    assert max(feet) < height
    rows = [float(text.get("y", "nan")) for text in svg.iter(TEXT) if "…" in (text.text or "")]
    assert len(rows) == count
    assert feet[texts(svg).index("part 8")] < min(rows) - 20
    assert all(below - above == pytest.approx(20) for above, below in pairwise(rows))
    for text in svg.iter(TEXT):
        columns = wcswidth(text.text or "") * 6.02
        x, style = float(text.get("x", "nan")), text.get("style", "")
        begin = x - columns if "anchor: end" in style else x
        assert begin >= 0
        assert begin + (columns if "anchor: middle" not in style else columns / 2) <= width


def test_images_without_a_byte_have_bars_without_length(tmp_path: Path) -> None:
    svg = draw(tmp_path, Bar("scratch", {"base": 0}), Bar("nothing", {}))
    assert texts(svg).count("0.0 MB") == 2
    assert not filled(svg, BLUE)


def test_what_can_not_be_drawn_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one bar"):
        stacked_svg("empty", [], tmp_path / "chart.svg")
    with pytest.raises(ValueError, match="negative"):
        Bar("broken", {"base": -1})


def test_korean_gives_no_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(tmp_path, Bar("학생", {"기반": MB}), title="이미지 크기")


def test_commands_without_a_plot_do_not_wait_for_matplotlib() -> None:
    code = "import sys, layerlab.show.bars; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
