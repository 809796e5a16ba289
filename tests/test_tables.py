"""Tables of recorded builds, as a reader sees them."""

from dataclasses import replace

import pytest
from streams import build
from wcwidth import wcswidth

from layerlab.show import tables
from layerlab.text import plain

SCENARIOS = ("cold", "no-change", "source-edit")
RESULTS = {
    "single": {"cold": [build("single-cold")], "no-change": [build("single-same")]},
    "ordered": {
        "cold": [replace(build("ordered-cold"), wall_seconds=s) for s in (1.0, 9.0, 2.5)],
        "source-edit": [build("ordered-source"), build("ordered-same")],
    },
}


def test_one_variant_a_row_with_median_seconds_and_reused_steps() -> None:
    table = tables.layer_cache(RESULTS, SCENARIOS, "simple").splitlines()
    assert table[0].split() == ["variant", "cold", "no", "source"]
    rows = [line.split("  ") for line in table]
    single, ordered = ([cell.strip() for cell in row if cell.strip()] for row in rows[-2:])
    assert single == ["single", "1.00 s 0/2", "1.00 s 2/2", "-"]
    # Rounds that reused different steps are not averaged away.
    assert ordered == ["ordered", "2.50 s 0/3", "-", "1.00 s differ"]


def test_the_markdown_table_has_one_line_of_headers() -> None:
    table = tables.layer_cache(RESULTS, SCENARIOS, "github").splitlines()
    assert [cell.strip() for cell in table[0].strip("|").split("|")] == [
        "variant",
        "cold",
        "no change",
        "source edit",
    ]
    assert len(table) == 4


def test_the_step_table_says_what_ran_and_where() -> None:
    rows = tables.steps(build("ordered-source"), "plain").splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["1", "2", "3", "4", "5"]
    states = [row.split("]", 1)[1].split()[0] for row in rows]
    assert states == ["base", "cached", "cached", "cached", "run"]
    assert rows[-1].endswith("COPY . .")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_step_table_fits_its_width(width: int) -> None:
    table = tables.steps(build("tricky"), "simple", max(width, 70))
    assert max(map(wcswidth, table.splitlines())) <= max(width, 70)


def test_a_pipe_in_an_instruction_does_not_break_a_markdown_table() -> None:
    piped = build("single-cold")
    piped = replace(
        piped, steps=tuple(replace(step, instruction="RUN a | b") for step in piped.steps)
    )
    for line in tables.steps(piped, "github").splitlines()[2:]:
        assert line.replace("\\|", "").count("|") == 6


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb\x00\x7f\x9b", "a\\x0db\\x00\\x7f\\x9b"),
        ("file\u202egnp.exe", "file\\x202egnp.exe"),
        ("도커 학습\tline\n", "도커 학습\tline\n"),
    ],
)
def test_untrusted_text_is_made_harmless(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_markdown_has_each_heading_in_one_line() -> None:
    made = tables.table([["a", 1]], ["what", "pre-\ndicted\ns"], "github", left=(0,)).splitlines()
    assert made[0].split("|")[1:3] == [" what ", " predicted s "]
    assert set(made[1]) <= set("|-: ")
