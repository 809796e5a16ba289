"""Verdicts as a table of 80 columns, and as a sentence."""

import re
from dataclasses import replace

import pytest

from layerlab.compare.comparison import Comparison, Turn, Verdict
from layerlab.compare.metric import metric
from layerlab.compare.verdict import compare
from layerlab.show import verdicts

SECONDS = {
    "build.cold": ("layer-cache", "cold", "wall", "s"),
    "rebuild.source-edit": ("layer-cache", "source-edit", "wall", "s"),
    "rebuild.requirements-edit": ("layer-cache", "requirements-edit", "wall", "s"),
    "run.memory": ("shutdown", "plain", "memory", "bytes"),
    "run.stop": ("shutdown", "plain", "stop", "s"),
    "image.unpacked": ("image-size", "image", "unpacked", "bytes"),
    "image.layers": ("image-size", "image", "layers", "layers"),
    "steps.source-edit": ("layer-cache", "source-edit", "ran", "steps"),
}
#: Six rounds of a quiet machine.
WAVERING = (1.0, 1.01, 0.99, 1.02, 0.98, 1.0)


def compared(
    name: str, old: float, new: float, rounds: int = 6, variant: str = "new.Dockerfile"
) -> Comparison:
    """A comparison as the bench gets it."""
    what = metric(*SECONDS[name])
    turns = []
    for number, factor in zip(range(1, rounds + 1), WAVERING, strict=False):
        by = 1.0 if what.exact else factor
        turns += [
            Turn(number, "old.Dockerfile", old * by),
            Turn(number, variant, new * by * by),
            Turn(number, "old.Dockerfile", old * (2 - by), control=True),
        ]
    return compare(what, turns, "old.Dockerfile", variant, 0.05)


def test_the_sentence_of_the_question_that_most_people_have() -> None:
    assert verdicts.sentence(
        [
            compared("build.cold", 31.0, 31.0),
            compared("rebuild.source-edit", 3.4, 0.415),
            compared("image.unpacked", 1_000_000_000, 380_000_000),
        ]
    ) == (
        "new.Dockerfile rebuilds 8.2 times as fast after a source edit (0.4 s instead of 3.4 s) and its "
        "image is 62 % smaller; a cold build takes as long as before."
    )


@pytest.mark.parametrize(
    ("one", "sentence"),
    [
        (
            compared("rebuild.source-edit", 10, 8),
            "new.Dockerfile rebuilds in 20 % less time after a source edit (8.0 s instead of 10.0 s).",
        ),
        (
            compared("rebuild.source-edit", 10, 12),
            "new.Dockerfile takes 20 % longer to rebuild after a source edit (12.0 s instead of 10.0 s).",
        ),
        (
            compared("rebuild.source-edit", 1, 3),
            "new.Dockerfile takes 3.0 times as long to rebuild after a source edit (3.0 s instead of 1.0 s).",
        ),
        (
            compared("build.cold", 10, 20),
            "With new.Dockerfile a cold build takes 2.0 times as long (20.0 s instead of 10.0 s).",
        ),
        (
            compared("run.memory", 100e6, 50e6),
            "With new.Dockerfile the idle app has 50 % less memory (50.0 MB instead of 100.0 MB).",
        ),
        (
            compared("run.stop", 10.2, 0.42),
            "With new.Dockerfile docker stop takes 96 % less time (0.4 s instead of 10.2 s).",
        ),
        (
            compared("image.unpacked", 100, 150),
            "The image of new.Dockerfile is 1.5 times as large.",
        ),
        (
            compared("image.unpacked", 100_000_000, 100_002_560),
            "The image of new.Dockerfile is about as large as before (2.56 kB more).",
        ),
        (compared("image.layers", 5, 6), "new.Dockerfile differs in small things alone."),
        (compared("build.cold", 10, 10), "new.Dockerfile makes no difference that matters."),
        (compared("image.unpacked", 5, 5), "new.Dockerfile makes no difference that matters."),
        (
            compared("build.cold", 10, 12, rounds=2),
            "With new.Dockerfile of “cold build” nothing can be said yet.",
        ),
    ],
)
def test_a_sentence_for_each_verdict(one: Comparison, sentence: str) -> None:
    assert verdicts.sentence([one]) == sentence


def test_what_was_not_measured_is_said() -> None:
    void = replace(compared("build.cold", 1, 1), verdict=Verdict.VOID)
    faster = compared("rebuild.source-edit", 4, 1)
    assert verdicts.sentence([void, faster]).endswith("; of “cold build” nothing can be said yet.")
    assert verdicts.verdict(void) == "not measured"
    assert verdicts.sentence([]) == ""


def test_many_things_that_are_undecided_are_not_listed() -> None:
    names = [name for name in SECONDS if not metric(*SECONDS[name]).exact]
    said = verdicts.sentence([compared(name, 10, 9, rounds=2) for name in names])
    assert said == "With new.Dockerfile of how long anything takes nothing can be said yet."


def test_the_table_has_80_columns_whatever_is_in_it() -> None:
    found = [compared(name, 1.23e8, 1.2e9) for name in ("run.memory", "image.unpacked")]
    found += [compared("rebuild.requirements-edit", 1234.5, 0.02)]
    found += [compared("build.cold", 100, 104, rounds=2), compared("image.layers", 9, 12)]
    found += [compared("rebuild.source-edit", 0.01, 12), compared("steps.source-edit", 3, 3)]
    lines = verdicts.table(verdicts.ordered(found), "simple").splitlines()
    assert max(map(len, lines)) <= 80
    whole = re.sub(r"\s+", " ", " ".join(lines))
    for word in ("slower", "faster", "larger", "the same", "cannot tell yet: about 4 more pairs"):
        assert word in re.sub(r"\s+", " ", whole) or all(part in whole for part in word.split())


def test_rows_have_one_order_and_only_what_has_a_short_name() -> None:
    other = compare(
        metric("layer-cache", "cold", "engine", "s"), [], "old.Dockerfile", "new.Dockerfile", 0.05
    )
    found = [compared("image.unpacked", 1, 1), other, compared("build.cold", 1, 1)]
    assert [one.metric.name for one in verdicts.ordered(found)] == ["build.cold", "image.unpacked"]


def test_a_void_pair_and_an_outlier_are_noted_with_round_and_reason() -> None:
    what = metric(*SECONDS["build.cold"])
    turns = []
    for number, factor in enumerate((1.0, 1.01, 0.99, 1.02, 0.98, 3.0, 1.0), 1):
        turns += [Turn(number, "old", 10.0), Turn(number, "new", 10.0 * factor)]
    turns[-1] = Turn(7, "new", None, "Dockerfile:4: the build was stopped at its limit of 5 s")
    notes = verdicts.notes([compare(what, turns, "old", "new", 0.05)], 0.05)
    assert any("cold build, round 6: 3.00" in note for note in notes)
    assert any(
        note.startswith("Void: cold build, round 7:") and "stopped at its limit" in note
        for note in notes
    )


def test_what_no_difference_means_is_said() -> None:
    (note,) = (n for n in verdicts.notes([compared("build.cold", 10, 10)], 0.05) if "No diff" in n)
    assert note == "No difference: surely within 5 %, or within 0.10 s, which nobody notices."


def test_the_noise_is_the_baseline_beside_itself() -> None:
    table = verdicts.noise(
        [compared("build.cold", 10, 20), compared("image.layers", 1, 2)], "simple"
    )
    assert "cold build" in table
    assert "image, layers" not in table
    assert verdicts.noise([compared("image.layers", 1, 2)], "simple") == ""


def test_a_name_from_outside_is_shown_and_not_obeyed() -> None:
    one = compared("build.cold", 10, 20, variant="\x1b[31mnew|x")
    assert "\x1b" not in verdicts.sentence([one])
