"""Who wins when a variable is set in two ways: predicted, handed over, told and shown, without an engine."""

from dataclasses import replace

import pytest

from layerlab.engine.endpoint import Capabilities
from layerlab.labs import env_injection
from layerlab.labs.env_injection import Answers
from layerlab.run import env, handover, spelling
from layerlab.run.env import RULES, WAYS, Pair, Rule, Way
from layerlab.run.handover import DOCKER_RUN, Setting, Start
from layerlab.run.spelling import ODD, Odd
from layerlab.show import env as tables

PREDICTED = [
    (env.IMAGE_ENV, env.BUILD_ARG),
    (env.RUN_FILE, env.IMAGE_ENV),
    (env.RUN_VALUE, env.BUILD_ARG),
    (env.RUN_VALUE, env.RUN_FILE),
    (env.RUN_BARE, env.RUN_FILE),
    (env.RUN_FILE, env.RUN_UNSET),
    (env.RUN_UNSET, env.IMAGE_ENV),
    (env.RUN_UNSET, env.RUN_VALUE),
    (env.ENV_FILE, env.IMAGE_ENV),
    (env.LAST_FILE, env.ENV_FILE),
    (env.LITERAL, env.IMAGE_ENV),
    (env.LITERAL, env.LAST_FILE),
    (env.DOT_ENV, env.ENV_FILE),
    (env.DOT_ENV, env.LITERAL),
    (env.SHELL, env.DOT_ENV),
    (env.SHELL, env.CLI_FILE),
    (env.CLI_FILE, env.DOT_ENV),
    (env.DOT_ENV, env.UNRESOLVED),
    (env.UNRESOLVED, env.BUILD_ARG),
    (env.UNRESOLVED, env.ENV_FILE),
    (env.COMPOSE_RUN, env.SHELL),
    (env.COMPOSE_RUN, env.UNRESOLVED),
]
CAN = Capabilities("28.5.2", "1.51", "overlay2", "0.29.1", "2.40.3", False, "linux/amd64", 2, 1)


def pair(one: Way, other: Way) -> Pair:
    first, second = sorted((one, other), key=lambda way: way.number)
    return Pair(first, second)


def as_predicted(lacking: dict[Way, str] | None = None) -> Answers:
    """What the app would answer if every prediction were right."""
    lacking = lacking or {}
    here = [way for way in WAYS if way not in lacking]
    values: dict[str, str | None] = {}
    for one in env.pairs(here):
        predicted = env.predict(one)
        assert predicted
        values[one.variable] = None if predicted[0].removes else env.value(predicted[0])
    for odd in ODD:
        for way in here:
            if not way.removes and spelling.unspeakable(way, odd.text) is None:
                values[odd.variable(way)] = spelling.arrives(way, odd.text)[0]
    return Answers(values, lacking)


class TestPredictor:
    @pytest.mark.parametrize(
        ("winner", "loser"), PREDICTED, ids=[f"{w.number}-{x.number}" for w, x in PREDICTED]
    )
    def test_who_wins(self, winner: Way, loser: Way) -> None:
        predicted = env.predict(pair(winner, loser))
        assert predicted is not None
        assert predicted[0] == winner

    def test_every_pair_is_decided_by_just_one_rule(self) -> None:
        for one in env.pairs():
            ways = set(one.ways)
            deciding = [
                rule
                for rule in RULES
                if not one.alone and ways & set(rule.winners) and ways & set(rule.losers)
            ]
            assert len(deciding) == (not one.alone), f"{one}: {deciding}"

    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.sentence)
    def test_without_a_rule_the_lab_fails(self, rule: Rule) -> None:
        answers, fewer = as_predicted(), [one for one in RULES if one != rule]
        told = [env_injection.explain(one, answers, fewer) for one in env.pairs()]
        assert any(one and "no rule says who wins" in one for one in told)
        assert not any(env_injection.explain(one, answers) for one in env.pairs())

    def test_ways_that_cannot_meet_are_no_pairs(self) -> None:
        assert env.apart(pair(env.RUN_VALUE, env.LITERAL))
        assert env.apart(pair(env.RUN_BARE, env.RUN_UNSET))
        assert env.apart(pair(env.LITERAL, env.UNRESOLVED))
        assert env.apart(pair(env.IMAGE_ENV, env.UNRESOLVED)) is None
        variables = [one.variable for one in env.pairs()]
        assert len(variables) == len(set(variables)) == 71

    @pytest.mark.parametrize(
        ("compose", "missing"),
        [
            (None, {7, 8, 9, 10, 11, 12, 13, 14}),
            ("2.24.6", set()),
            ("2.24.7", {13}),
            ("2.28.1", {13}),
            ("2.29.0", set()),
        ],
    )
    def test_what_a_client_lacks(self, compose: str | None, missing: set[int]) -> None:
        can = replace(CAN, compose=compose)
        assert {way.number for way in WAYS if env.lacking(way, can)} == missing


class TestTold:
    def test_a_difference_names_both(self) -> None:
        answers = as_predicted()
        one = pair(env.LITERAL, env.ENV_FILE)
        wrong = Answers({**answers.values, one.variable: env.value(env.ENV_FILE)}, {})
        assert env_injection.explain(one, wrong) == (
            "`compose env_file` and `environment K: V`: `environment K: V` should win (environment "
            "overrides env_file: https://docs.docker.com/reference/compose-file/services/"
            "#environment), and `compose env_file` won: the app has `from-07`"
        )

    def test_a_value_of_neither(self) -> None:
        one = pair(env.LITERAL, env.ENV_FILE)
        told = env_injection.explain(one, Answers({one.variable: None}, {}))
        assert told is not None
        assert told.endswith("and neither did: the app has no such variable")

    def test_an_odd_value_that_differs(self) -> None:
        odd = ODD[7]
        told = env_injection.explain_odd(
            odd, env.ENV_FILE, Answers({odd.variable(env.ENV_FILE): odd.text}, {})
        )
        assert told == (
            "`compose env_file`, # after a blank: expected 'before' (a # after a blank begins a "
            "comment), and the app has 'before #after'"
        )


class TestSpelling:
    @pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
    def test_docker_changes_nothing(self, odd: Odd) -> None:
        for way in (*env.IMAGE, env.RUN_FILE, *env.FLAGS, env.SHELL, env.COMPOSE_RUN):
            assert spelling.arrives(way, odd.text) == (odd.text, [])

    @pytest.mark.parametrize(
        ("written", "text", "letters"),
        [
            ("  a b ", "a b", "s"),
            ('"a  b"', "a  b", "q"),
            ("'a $B'", "a $B", "q"),
            ('" a $B"', " a ", "qd"),
            ('say "hi"', 'say "hi"', ""),
            ("a #b", "a", "c"),
            ("a#b", "a#b", ""),
            ("a$$b$C", "a$b", "d"),
            ("$5", "$5", ""),
            ("C:\\new\\", "C:\\new\\", ""),
            ("a\nb", "a\nb", ""),
        ],
    )
    def test_compose_env_files(self, written: str, text: str, letters: str) -> None:
        arrived, changes = spelling.arrives(env.ENV_FILE, written)
        assert (arrived, "".join(change.letter for change in changes)) == (text, letters)

    def test_literals_are_interpolated_and_nothing_else(self) -> None:
        assert spelling.arrives(env.LITERAL, ' "a" #b $$ $C ')[0] == ' "a" #b $  '

    def test_a_dockerfile_escapes(self) -> None:
        assert spelling.dockerfile('a "b" \\ $C') == '"a \\"b\\" \\\\ \\$C"'

    def test_newlines(self) -> None:
        assert {way.number for way in WAYS if spelling.unspeakable(way, "a\nb")} == {1, 2, 3}
        assert spelling.dotenv("a\nb") == '"a\\nb"'


class TestHandover:
    def test_each_setting_has_its_container(self) -> None:
        def start(*ways: Way) -> Start:
            return Setting("K", dict.fromkeys(ways, "v")).start

        assert start(env.IMAGE_ENV, env.BUILD_ARG) == start(env.RUN_UNSET) == DOCKER_RUN
        assert start(env.IMAGE_ENV, env.DOT_ENV) == Start("compose")
        assert start(env.DOT_ENV, env.CLI_FILE) == Start("compose", env_file=True)
        assert start(env.CLI_FILE, env.COMPOSE_RUN) == Start("compose", True, True)

    def test_dockerfile(self) -> None:
        settings = [
            Setting("A", {env.IMAGE_ENV: "a b"}),
            Setting("B", {env.BUILD_ARG: "b"}),
            Setting("C", {env.IMAGE_ENV: "c", env.BUILD_ARG: "no"}),
            Setting("D", {env.RUN_VALUE: "d"}),
        ]
        assert handover.dockerfile("app", settings) == (
            'FROM app\nARG B C\nENV A="a b" \\\n    B=${B} \\\n    C="c"\n'
        )

    def test_of_two_flags_the_bare_one_is_last(self) -> None:
        one = Setting("K", {env.RUN_UNSET: "", env.RUN_VALUE: "v"})
        assert handover.run_flags([one, Setting("L", {env.RUN_BARE: "w"})]) == ["K=v", "K", "L"]

    def test_service(self) -> None:
        settings = [
            Setting("A", {env.LITERAL: "a"}),
            Setting("B", {env.LITERAL: "b", env.SHELL: "s"}),
            Setting("C", {env.DOT_ENV: "c", env.CLI_FILE: "cc"}),
            Setting("D", {env.UNRESOLVED: "", env.SHELL: "d"}),
            Setting("E", {env.ENV_FILE: "e"}),
        ]
        service = handover.service("app", "127.0.0.1::8000", settings)
        assert service["environment"] == {"A": "a", "B": "${B:-b}", "C": "${C}", "D": None}
        files = handover.compose_files(settings)
        assert (files[".env"], files["cli.env"], files["one.env"]) == ("C=c\n", "C=cc\n", "E=e\n")
        assert set(service["env_file"]) < set(files)


class TestTables:
    @pytest.mark.parametrize("style", ["simple", "github"])
    def test_winners(self, style: str) -> None:
        lines = self.section(as_predicted(), 0, style).splitlines()
        assert "13" in lines[0]
        assert lines[2].replace("|", " ").split()[-14:] == [
            "1",
            *map(str, (1, *range(3, 15))),
        ]
        assert lines[7].replace("|", " ").replace("\\", "").split()[-14:-8] == [
            "6",
            "6",
            "3*",
            "6",
            "-",
            "6",
        ]

    @pytest.mark.parametrize(
        "lacking",
        [{}, {way: "no compose" for way in WAYS if way.tool == "compose"}],
        ids=["all", "no-compose"],
    )
    @pytest.mark.parametrize("table", [0, 1], ids=["winners", "oddities"])
    def test_they_fit_80_columns(self, lacking: dict[Way, str], table: int) -> None:
        text = self.section(as_predicted(lacking), table, "simple")
        assert max(map(len, text.splitlines())) <= 80
        assert "!" not in text
        assert ("x" in text.split("\n", 2)[2]) or not lacking

    def test_what_is_lacking_is_said(self) -> None:
        assert tables.winners_notes({env.UNRESOLVED: "compose is old"})[-1] == (
            "x not available: 13: compose is old."
        )

    def test_a_value_that_is_neither_is_seen(self) -> None:
        answers = as_predicted()
        wrong = Answers(dict.fromkeys(answers.values, "something else"), {})
        assert " ! " in self.section(wrong, 0, "simple")
        assert " ! " in self.section(wrong, 1, "simple")

    @staticmethod
    def section(answers: Answers, number: int, style: str) -> str:
        return list(answers.sections(style, 80))[number].table
