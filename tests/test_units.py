"""Sizes and shares as a reader sees them and as a user writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerlab.errors import LabError
from layerlab.units import bytes_text, megabytes, parse_bytes, parse_percent


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (532, "532 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (12_400, "12.4 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.00 MB"),
        (3_420_000, "3.42 MB"),
        (9_995_000, "10.0 MB"),
        (148_200_000, "148.2 MB"),
        (1_020_000_000, "1.02 GB"),
        (-5_000_000, "-5.00 MB"),
    ],
)
def test_a_size_has_three_or_four_digits_and_the_unit_that_suits_it(count: int, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0.0 MB"),
        (1, "<0.1 MB"),
        (49_999, "<0.1 MB"),
        (50_000, "0.1 MB"),
        (679_123_456, "679.1 MB"),
        (1_020_000_000, "1020.0 MB"),
        (-20_000, ">-0.1 MB"),
        (-2_000_000, "-2.0 MB"),
    ],
)
def test_megabytes_never_say_nothing_of_something(count: int, text: str) -> None:
    assert megabytes(count) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0B", 0),
        ("532 B", 532),
        *((f"2{unit}", 2_000) for unit in ("kB", "KB", "k")),
        *((f"200{unit}", 200_000_000) for unit in ("MB", "M", " MB")),
        *((f"1.5{unit}", 1_500_000_000) for unit in ("GB", "G", " GB")),
        ("2KiB", 2048),
        ("1.5 MiB", 1_572_864),
        ("1GiB", 2**30),
        (" 5MB\n", 5_000_000),
    ],
)
def test_a_size_is_read_with_its_unit(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "MB", "200", "-5MB", "+5MB", "nan", "nanMB", "inf", "infGB", "1e3MB", "0x10MB"),
        *("1,5GB", "1_000MB", "٣MB", "200mb", "5 m", "5  MB", "5MB 6MB", ".5MB", "5.MB"),
        "9" * 400 + "MB",
    ],
)
def test_what_is_no_size_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(LabError, match="is no size: write a number and its unit, such as 200MB"):
        parse_bytes(text)


def test_a_refusal_is_one_short_harmless_line() -> None:
    with pytest.raises(LabError) as refusal:
        parse_bytes("\x1b[31m5\nMB" + "x" * 10_000)
    assert str(refusal.value).startswith("`\\x1b[31m5 MBxxx")
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 200


@given(st.integers(0, 10**16))
def test_a_printed_size_is_read_as_about_the_same(count: int) -> None:
    assert abs(parse_bytes(bytes_text(count)) - count) <= count * 0.005
    assert parse_bytes(f"{count}B") == count


@pytest.mark.parametrize(
    ("text", "share"), [("5%", 0.05), ("5 %", 0.05), ("0%", 0), ("2.5%", 0.025), ("150%", 1.5)]
)
def test_a_percentage_is_read_as_a_share(text: str, share: float) -> None:
    assert parse_percent(text) == share


@pytest.mark.parametrize("text", ["", "5", "0.05", "%", "-5%", "nan%", "inf%", "5%%", "5e1%", "٣%"])
def test_what_is_no_percentage_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(LabError, match=r"is no percentage: .* such as `5%`"):
        parse_percent(text)
