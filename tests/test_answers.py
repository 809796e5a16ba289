"""What each lab asks and answers: in one sentence, also where little or nothing was measured."""

from dataclasses import replace

import pytest
import recorded
from streams import build
from wcwidth import wcswidth

from layerlab.errors import LabError
from layerlab.labs.env_injection import Answers
from layerlab.labs.healthcheck import Healths
from layerlab.labs.image_size import Sizes
from layerlab.labs.layer_cache import SCENARIOS, Rebuilds
from layerlab.labs.lives import Life, Lives
from layerlab.labs.registry import Transfers
from layerlab.labs.reloads import Reloads
from layerlab.labs.stack_result import Stacks
from layerlab.result import Result
from layerlab.run import env, readers
from layerlab.run.readers import Found
from layerlab.run.reload import BIND
from layerlab.run.shutdown import ANSWERED, LOST, Stop
from layerlab.show import secrets, sentence
from layerlab.summary import answer_lines

FAILED = LabError("it can't be built")


def rebuilds(*names: str, failed: tuple[str, ...] = ()) -> Rebuilds:
    """Recorded builds of `ordered` and `single`; the others were not measured."""
    kept = {
        "ordered": {"cold": [build("ordered-cold")], "source-edit": [build("ordered-source")]},
        "single": {"cold": [build("single-cold")], "source-edit": [build("single-source")]},
    }
    builds = {
        name: {scenario: list(kept.get(name, {}).get(scenario, ())) for scenario in SCENARIOS}
        for name in names
    }
    return Rebuilds(builds, dict.fromkeys(failed, FAILED), count=1)


NOTHING: list[Result] = [
    rebuilds(),
    Sizes([], {}, {}),
    Answers({}, {}),
    Lives(),
    Healths({}, {}, {}, (), "28.5.2", 0.0, 0.0),
    Reloads(),
    Transfers({}, {}, {}),
    Stacks(),
]


@pytest.mark.parametrize("result", NOTHING, ids=lambda one: type(one).__name__)
def test_nothing_measured_is_said_to_be_nothing(result: Result) -> None:
    assert result.answer() == "Nothing was measured."
    assert result.question.endswith("?")
    assert wcswidth(result.question) <= 80


def test_what_failed_is_named() -> None:
    assert rebuilds("a", failed=("a",)).answer() == "Nothing was measured; a could not be measured."
    lives = Lives(problems=dict.fromkeys("abcde", FAILED))
    assert lives.answer() == "Nothing was measured; a, b, c and 2 more could not be measured."
    assert Reloads(problems={BIND: FAILED}).answer().endswith("; bind mount could not be measured.")


def test_an_edit_is_told_by_its_lowest_and_its_highest_median() -> None:
    slow = rebuilds("ordered", "single")
    slow.builds["single"]["source-edit"] = [
        replace(build("single-source"), wall_seconds=seconds) for seconds in (9.0, 3.55, 3.0)
    ]
    assert slow.answer() == (
        "After an edit of main.py, ordered is back in 1.00 s and reuses 2 of 3 steps; "
        "single needs 3.55 s and reuses nothing."
    )


def test_one_variant_alone_is_compared_with_none() -> None:
    only = rebuilds("ordered", "broken", failed=("broken",))
    assert only.answer() == (
        "After an edit of main.py, ordered is back in 1.00 s and reuses 2 of 3 steps; "
        "broken could not be measured."
    )


def test_without_an_edit_the_cold_build_is_told() -> None:
    cold = rebuilds("ordered")
    cold.builds["ordered"]["source-edit"] = []
    assert cold.answer() == "From nothing, ordered is back in 1.00 s and reuses nothing."


def test_ends_are_told_by_their_kind() -> None:
    clean = Life(0.81, 40_400_000, "python3.11", Stop(0.31, 0, False, True), ANSWERED, "")
    stop = Stop(10.24, 137, True, False, (LOST,))
    killed = replace(clean, first="dash", stop=stop, request=LOST)
    assert Lives(lives={"good": clean}).answer() == "good ended cleanly, 0.3 s after docker stop."
    lives = {**{f"v{number}": clean for number in range(4)}, "shell-form": killed}
    assert Lives(lives=lives).answer() == (
        "4 of 5 starts ended cleanly, 0.3 s after docker stop; shell-form had to be killed, 10.2 s "
        "after docker stop; shell-form lost a request in flight."
    )


def test_who_wins_is_told_with_how_much_was_predicted() -> None:
    pairs = {pair: (env.predict(pair) or (None,))[0] for pair in env.pairs()}
    values = {
        pair.variable: None if way is None or way.removes else env.value(way)
        for pair, way in pairs.items()
    }
    right = sum(not pair.alone for pair in pairs)
    told = Answers(values, {}).answer()
    assert told.startswith("`docker run -e K` and `compose run -e K=V` win against every other way")
    assert f"all {right} pairs went by Docker's rules" in told
    wrong = {**values, "LAB_P_01_02": env.value(env.BUILD_ARG)}
    assert f"{right - 1} of {right} pairs went by Docker's rules" in Answers(wrong, {}).answer()


def test_secrets_are_told_by_who_reads_them() -> None:
    found = [
        Found(readers.COPIED, readers.PULLS, "layer", "x"),
        Found(readers.RUN_ENV, readers.INSPECTS, "docker inspect", "x"),
    ]
    ways = (readers.COPIED, readers.RUN_ENV, readers.BUILD_SECRET)
    lacking = {way: "not here" for way in readers.WAYS if way not in ways}
    assert secrets.answer(found, lacking) == (
        "Who pulls the image can read a secret given by `COPY .env`; who may inspect the engine can read "
        "one given by `docker run -e`; neither of them can read one given by `RUN --mount=type=secret`."
    )
    assert secrets.answer([], dict.fromkeys(readers.WAYS, "x")) == "Nothing was measured."


def test_a_name_from_outside_stays_one_line() -> None:
    name = "a\nb\u202e" + "x" * 300
    told = sentence.sentence([None], [name])
    assert "\n" not in told
    assert "\u202e" not in told
    assert len(told) < 120


def test_question_and_answer_fit_a_terminal() -> None:
    for chapter in recorded.chapters():
        lines = answer_lines(chapter, 80)
        assert lines[0] == chapter.question
        assert max(map(wcswidth, lines)) <= 80
        assert " ".join(line.strip() for line in lines[1:]) == chapter.answer
