"""Gates: what is read, what is refused and where, and what breaks one."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerlab.compare.comparison import Comparison, Turn
from layerlab.compare.gate import Gate, Outcome, hold, told
from layerlab.compare.grammar import parse
from layerlab.compare.metric import known, metric
from layerlab.compare.verdict import compare
from layerlab.errors import LabError

EDIT = metric("layer-cache", "source-edit", "wall", "s")
SIZE = metric("image-size", "image", "unpacked", "bytes")
LAYERS = metric("image-size", "image", "layers", "layers")
QUIET = (0.99, 1.01, 1.0, 1.005, 0.995, 1.0)


def sizes(old: float | None, *new: float, metric: object = SIZE) -> Comparison:
    taken = [Turn(1, "old", old), *(Turn(n, "new", value) for n, value in enumerate(new, 1))]
    return compare(SIZE if metric is SIZE else LAYERS, taken, "old", "new", 0.05)


def seconds(factor: float, rounds: int = 6, old: float = 10) -> Comparison:
    taken = []
    for number, one in enumerate(QUIET[:rounds], 1):
        taken += [
            Turn(number, "old", old * one),
            Turn(number, "old", old * QUIET[-number], control=True),
            Turn(number, "new", old * factor * QUIET[number - 2]),
        ]
    return compare(EDIT, taken, "old", "new", 0.05)


def broken(gates: list[Gate], comparisons: list[Comparison]) -> list[str]:
    return [one.line for one in hold(gates, comparisons) if one.outcome is Outcome.BROKEN]


def untold(gates: list[Gate], comparisons: list[Comparison]) -> list[str]:
    return [one.line for one in hold(gates, comparisons) if one.outcome is Outcome.UNTOLD]


def breaks(gate: str, *comparisons: Comparison) -> bool | None:
    """None where nobody can tell."""
    lines = broken([parse(gate)], list(comparisons))
    open_ = untold([parse(gate)], list(comparisons))
    assert len(lines) + len(open_) <= 1
    said = [f"failed: {one}" for one in lines] + [f"undecided: {one}" for one in open_]
    assert told([parse(gate)], comparisons) == (bool(lines), said)
    return None if open_ else bool(lines)


@pytest.mark.parametrize(
    ("gate", "new", "expected"),
    [
        ("image.unpacked > +5%", 105, False),
        ("image.unpacked > +5%", 106, True),
        ("image.unpacked>+5%", 106, True),
        ("image.unpacked larger 5%", 106, True),
        ("image.unpacked larger 10 %", 106, False),
        ("image.unpacked larger", 101, True),
        ("image.unpacked larger", 100, False),
        ("image.unpacked larger", 50, False),
        ("image.unpacked > 0.2kB", 200, False),
        ("image.unpacked > 0.2 kB", 201, True),
        ("image.unpacked >= 200B", 200, True),
        ("image.unpacked < 100B", 99, True),
        ("image.unpacked <= 100B", 100, True),
        ("image.unpacked <= 100B", 101, False),
    ],
)
def test_bytes_are_held_against_the_baseline_or_a_limit(
    gate: str, new: int, expected: bool
) -> None:
    assert breaks(gate, sizes(100, new)) is expected


@settings(max_examples=25)
@given(st.integers(1, 10**12), st.integers(0, 300))
def test_a_share_of_bytes_is_held_to_the_byte(old: int, share: int) -> None:
    allowed = old * (100 + share) // 100
    gate = f"image.unpacked > +{share}%"
    assert breaks(gate, sizes(old, allowed)) is False
    assert breaks(gate, sizes(old, allowed + 1)) is True


def test_counts_have_no_unit() -> None:
    assert breaks("image.layers > 12", sizes(8, 13, metric=LAYERS)) is True
    assert breaks("image.layers > 12", sizes(8, 12, metric=LAYERS)) is False


@pytest.mark.parametrize(
    ("gate", "factor", "expected"),
    [
        ("rebuild.source-edit slower 10%", 1.2, True),
        ("rebuild.source-edit slower 30%", 1.2, False),
        ("rebuild.source-edit > +10%", 1.2, True),
        ("rebuild.source-edit slower", 1.2, True),
        ("rebuild.source-edit slower", 1.03, False),
        ("rebuild.source-edit slower 10%", 0.5, False),
        ("rebuild.source-edit slower 10%", 1.095, None),
        ("rebuild.source-edit > 11 s", 1.2, True),
        ("rebuild.source-edit > 11000ms", 1.2, True),
        ("rebuild.source-edit > 0.1 min", 1.2, True),
        ("rebuild.source-edit > 13 s", 1.2, False),
        ("rebuild.source-edit > 12 s", 1.2, None),
        ("rebuild.source-edit < 13s", 1.2, True),
    ],
)
def test_seconds_break_a_gate_when_that_is_sure(
    gate: str, factor: float, expected: bool | None
) -> None:
    assert breaks(gate, seconds(factor)) is expected


def test_two_rounds_break_no_gate_on_seconds() -> None:
    for gate in ("rebuild.source-edit slower 10%", "rebuild.source-edit > 1 s"):
        assert breaks(gate, seconds(5, rounds=2)) is None


def test_a_gate_s_own_share_is_taken_at_its_word() -> None:
    """Nobody feels 0.05 s, but who writes a share means it."""
    assert breaks("rebuild.source-edit slower", seconds(1.5, old=0.1)) is False
    assert breaks("rebuild.source-edit slower 10%", seconds(1.5, old=0.1)) is True


def test_each_line_says_the_gate_and_what_was_measured() -> None:
    gates = [parse("image.unpacked > +5%"), parse("rebuild.source-edit slower 10%")]
    assert broken(gates, [sizes(100e6, 112.3e6), seconds(1.2)]) == [
        "image.unpacked > +5%: new 112.3 MB, +12.3% beside old 100.0 MB",
        "rebuild.source-edit slower 10%: new 12.00 s, +20.2% (+18.5% to +20.9%) beside old 10.00 s",
    ]
    (line,) = untold(gates, [sizes(100e6, 90e6), seconds(1.5, rounds=2)])
    assert line == (
        "rebuild.source-edit slower 10%: cannot tell of new: 14.93 s, +49.4% beside old 9.97 s; "
        "about 4 more rounds"
    )
    limit = [parse("rebuild.source-edit > 11 s")]
    assert broken(limit, [seconds(1.2)]) == [
        "rebuild.source-edit > 11 s: new 12.00 s (11.88 s to 12.12 s)"
    ]


def test_what_grew_from_nothing_breaks_any_share() -> None:
    assert broken([parse("image.unpacked > +500%")], [sizes(0, 1)]) == [
        "image.unpacked > +500%: new 1 B, beside old 0 B"
    ]


def test_what_was_not_measured_is_told_and_breaks_nothing() -> None:
    void = sizes(100)
    assert untold([parse("image.unpacked > 1MB")], [void]) == [
        "image.unpacked > 1MB: cannot tell of new: not measured"
    ]
    without = sizes(None, 2_000_000)
    assert breaks("image.unpacked > 1MB", without) is True
    assert breaks("image.unpacked > +5%", without) is None


def test_a_gate_on_what_a_run_does_not_measure_is_refused_with_what_it_does() -> None:
    with pytest.raises(
        LabError, match=r"does not measure `run.start`; it measures: image.unpacked"
    ):
        broken([parse("run.start > 2 s")], [sizes(1, 1)])
    with pytest.raises(LabError, match=r"did you mean `image.unpacked`"):
        broken([parse("a.image.unpacked > 2MB")], [sizes(1, 1)])


def test_a_metric_without_a_short_name_is_called_by_its_three_words() -> None:
    wall = metric("registry", "cold", "wall", "s")
    taken = [Turn(n, name, 5) for n in range(1, 7) for name in ("old", "new")]
    found = compare(wall, taken, "old", "new", 0.05)
    assert breaks("registry.cold.wall > 2 s", found) is True
    with pytest.raises(LabError, match=r"registry.cold.wall is in seconds: write a limit such"):
        broken([parse("registry.cold.wall > 2MB")], [found])
    # Whatever a lab calls its scenarios can be written.
    odd = metric("health", "슬로우", "healthy, measured", "s")
    assert parse(f"{odd.name} slower 10%").metric == odd.name


@pytest.mark.parametrize(
    ("gate", "at", "why"),
    [
        ("", 0, "a gate begins with a metric"),
        ("> 5", 0, "a gate begins with a metric"),
        ("image.unpaked > 5%", 0, "did you mean `image.unpacked`?"),
        ("size", 0, "those with short names are build.cold, "),
        ("image.unpacked", 14, "write one of >, >=, <, <=, slower, larger here"),
        ("image.unpacked 5%", 15, "write one of >, >=, <, <=, slower, larger here"),
        ("image.unpacked => 5%", 15, "write one of >, >=, <, <=, slower, larger here"),
        ("run.start faster", 10, "write one of >, >=, <, <=, slower, larger here"),
        ("image.unpacked >", 16, "write a number here"),
        ("image.unpacked > 5%", 17, "write `+5%`"),
        ("image.unpacked > -5%", 17, "write `+5%`"),
        ("image.unpacked < +5%", 15, "such as `> +5%`"),
        ("image.unpacked > +5MB", 17, "a limit has no sign"),
        ("image.unpacked > 5", 17, "in bytes: write a limit such as `200MB`"),
        ("image.unpacked > 5 s", 17, "in bytes: write a limit such as `200MB`"),
        ("image.unpacked slower", 15, "in bytes: write `larger` instead of `slower`"),
        ("run.start > 2MB", 12, "in seconds: write a limit such as `2 s`"),
        ("run.start larger 5%", 10, "in seconds: write `slower` instead of `larger`"),
        ("image.layers > 5MB", 15, "in layers: write a number without a unit"),
        ("run.start > 5 parsecs", 14, "units are ms, s, min;"),
        ("run.start slower 10", 17, "such as `10%`"),
        ("run.start slower 10% now", 21, "nothing can follow here"),
        ("run.start > 1,5 s", 13, "nothing can follow here"),
        ("a.도커.c => 5", 9, "write one of"),
        ("run.start \x1b[31m> 5", 10, "write one of"),
        ("\n run.start\t?? 5", 10, "write one of"),
        (f"a.b.{'c' * 300} ?", 41, "write one of"),
    ],
)
def test_a_gate_that_is_none_is_pointed_at(gate: str, at: int, why: str) -> None:
    with pytest.raises(LabError) as refusal:
        parse(gate)
    sentence, shown, caret = str(refusal.value).split("\n")
    assert why in sentence
    assert caret == " " * (4 + at) + "^"
    assert "\x1b" not in shown
    assert len(shown) <= 4 + 82


@settings(max_examples=25)
@given(st.text(max_size=30))
def test_any_text_is_a_gate_or_refused(text: str) -> None:
    for gate in (text, f"image.unpacked {text}", f"run.start > {text}"):
        with suppress(LabError):
            assert parse(gate).text == " ".join(gate.split())


def test_every_metric_with_a_short_name_can_be_gated() -> None:
    for one in known():
        word = "slower" if one.unit == "s" else "larger"
        assert parse(f"{one.name} {word} 5%").metric == one.name
