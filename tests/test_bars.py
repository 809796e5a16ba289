"""The chart of image sizes on a terminal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plots import ANY_TEXT, MB, MULTI, SINGLE
from wcwidth import wcswidth

from layerlab.show.bars import cells, lines
from layerlab.show.plots import Bar

BARS = st.lists(
    st.builds(Bar, ANY_TEXT, st.dictionaries(ANY_TEXT, st.integers(0, 10**12), max_size=8)),
    min_size=1,
    max_size=5,
)


def test_one_bar_a_line_with_name_parts_and_total() -> None:
    assert lines("Image sizes", [SINGLE, MULTI], 60) == [
        "Image sizes",
        "single-stage  █████████████████████░░░░░░░░░░╱╱╱╱╱  679.0 MB",
        "multi-stage   █████░░░                              150.0 MB",
        "█ base  ░ deps  ▓ app  ╱ waste  (one column is 18.9 MB)",
    ]


def test_a_plain_terminal_gets_ascii() -> None:
    chart = lines("크기", [SINGLE, Bar("학생", {"base": MB})], 60, unicode=False)
    assert all(line.isascii() for line in chart)
    assert chart[0] == "\\ud06c\\uae30"
    assert chart[1] == "single-stage  #####################==========/////  679.0 MB"
    assert chart[2].startswith("\\ud559\\uc0dd ")
    assert chart[-1] == "# base  = deps  + app  / waste  (one column is 18.9 MB)"


@pytest.mark.parametrize("width", [80, 120])
def test_totals_line_up_at_the_last_column(width: int) -> None:
    chart = lines("Image sizes", [SINGLE, Bar("학생-제출물", MULTI.parts)], width)
    assert [wcswidth(line) for line in chart[1:3]] == [width, width]
    # What the names leave is the bar's.
    assert chart[1].count("█") == round(400 / 679 * (width - 12 - 8 - 4))


@settings(max_examples=60)
@given(ANY_TEXT, BARS, st.integers(1, 130), st.booleans())
def test_no_line_is_wider_than_the_terminal(
    title: str, bars: list[Bar], width: int, unicode: bool
) -> None:
    chart = lines(title, bars, width, unicode=unicode)
    assert len(chart) > len(bars)
    for line in chart:
        assert 0 <= wcswidth(line) <= width
        line.encode("utf-8" if unicode else "ascii")


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=8), st.data())
def test_a_bar_is_as_long_as_its_total(parts: list[int], data: st.DataObject) -> None:
    longest = data.draw(st.integers(max(1, sum(parts)), 10**13))
    room = data.draw(st.integers(1, 100))
    found = cells(parts, longest, room)
    assert abs(sum(found) - sum(parts) * room / longest) <= 0.5 + 1e-6
    assert sum(found) <= room
    for count, drawn in zip(parts, found, strict=True):
        exact = count * room / longest
        # Whole columns are always drawn; less than half of one never, unless nothing is larger.
        assert drawn >= int(exact - 1e-6)
        assert not drawn or exact >= 0.5 - 1e-6 or count == max(parts)


def test_images_without_a_byte_have_bars_without_length() -> None:
    assert lines("Sizes", [Bar("scratch", {"base": 0})], 30) == [
        "Sizes",
        "scratch                 0.0 MB",
        "█ base",
    ]


def test_no_bar_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="at least one bar"):
        lines("empty", [], 80)
