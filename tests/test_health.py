"""Health, without an engine: predictions by hand, predictions of what real engines did, and how it is shown."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layerlab.labs.health_case import COMPOSE, settings
from layerlab.labs.health_cases import CASES, fault
from layerlab.run.agreement import Comparison, compare
from layerlab.run.events import read
from layerlab.run.health import (
    END,
    FAULT,
    HANGS,
    HEALTHY,
    OK,
    PAUSE,
    REFUSES,
    START,
    STARTING,
    UNHEALTHY,
    UNPAUSE,
    Check,
    Course,
    configured,
    predict,
)
from layerlab.run.timeline import app_course, recorded, verdict
from layerlab.show import health as shown
from layerlab.show.lanes import lanes_svg

STREAMS = sorted((Path(__file__).parent / "streams" / "health").glob("*.json"))
NEW, OLD = "28.5.2", "20.10.24"
ALWAYS_OK = Course(((0, OK),))
NEVER = Course(((0, REFUSES),))


def stream(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    found["check"]["test"] = tuple(found["check"]["test"])
    return found


def compared(path: Path, engine: str = "", **changed: float) -> Comparison:
    """A recorded stream beside its prediction, as if the engine or the check had been another one."""
    told = stream(path)
    check = Check(**told["check"])
    events = [read(message) for message in told["events"]]
    timeline = recorded(events, told["log"], check, told["command"], told["started_at"])
    assert timeline is not None
    timeline = replace(timeline, check=replace(check, **changed))
    return compare(timeline, engine or told["engine"], told["app"], told["until"])


def changes(
    check: Check, engine: str, course: Course, until: float = 100
) -> list[tuple[float, str]]:
    found = predict(check, engine, course, probe_seconds=[0.1], until_seconds=until)
    return [(round(change.seconds, 3), change.state) for change in found.announced()]


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_what_a_real_engine_did_is_predicted(path: Path) -> None:
    one = compared(path)
    assert one.timeline.announced()
    assert one.off_seconds < 0.1


@pytest.mark.parametrize(
    ("name", "engine", "changed"),
    [
        ("28.5-ready-at-once", "26.1.5", {}),
        ("26.1-ready-at-once", NEW, {}),
        ("26.1-ready-after-the-start-period", NEW, {"start_period_seconds": 5}),
        ("28.5-its-probe-hangs", "", {"timeout_seconds": 1}),
        ("28.5-breaks-and-recovers", "", {"retries": 1}),
        ("28.5-breaks-and-recovers", "", {"interval_seconds": 1.2}),
        ("28.5-paused-in-the-start-period", "", {"interval_seconds": 2}),
    ],
)
def test_other_rules_or_settings_would_be_noticed(
    name: str, engine: str, changed: dict[str, float]
) -> None:
    (path,) = (path for path in STREAMS if path.stem == name)
    assert not compared(path, engine, **changed).agrees


def test_docker_s_defaults() -> None:
    """Every 30 s, three failures in a row (docs.docker.com, Dockerfile reference, HEALTHCHECK)."""
    assert changes(Check(), NEW, ALWAYS_OK) == [(30.1, HEALTHY)]
    assert changes(Check(), OLD, NEVER) == [(90.3, UNHEALTHY)]
    hangs = Course(((0, HANGS),))
    assert changes(Check(retries=1), OLD, hangs) == [(60.0, UNHEALTHY)]
    assert changes(Check(retries=1), NEW, hangs) == [(60.1, UNHEALTHY)]


@pytest.mark.parametrize(
    ("engine", "at"), [("20.10.24", 2.1), ("24.0.9", 2.1), ("26.1.5", 2.1), ("27.0.1", 5.1)]
)
def test_an_unset_start_interval_differs_from_release_to_release(engine: str, at: float) -> None:
    check = Check(interval_seconds=2, start_period_seconds=5)
    assert changes(check, engine, ALWAYS_OK) == [(at, HEALTHY)]


def test_start_intervals_begin_with_engine_25() -> None:
    check = Check(interval_seconds=10, start_period_seconds=60, start_interval_seconds=1)
    assert changes(check, "24.0.9", ALWAYS_OK) == [(10.1, HEALTHY)]
    assert changes(check, "25.0.0", ALWAYS_OK) == [(1.1, HEALTHY)]


def test_in_the_start_period_a_failure_does_not_count_until_the_first_success() -> None:
    check = Check(interval_seconds=1, start_period_seconds=5, start_interval_seconds=1, retries=1)
    late = Course(((0, REFUSES), (3, OK)))
    assert changes(check, NEW, late) == [(3.3, HEALTHY)]
    assert changes(check, NEW, NEVER) == [(5.5, UNHEALTHY)]
    breaks = Course(((0, OK), (1.5, FAULT)))
    assert changes(check, NEW, breaks) == [(1.1, HEALTHY), (2.2, UNHEALTHY)]


def test_the_start_period_counts_from_where_the_engine_dates_the_start() -> None:
    check = Check(interval_seconds=1, start_period_seconds=1.05, retries=1)
    assert changes(check, OLD, NEVER) == [(2.2, UNHEALTHY)]
    assert changes(check, OLD, replace(NEVER, head_start_seconds=0.1)) == [(1.1, UNHEALTHY)]


def test_a_pause_makes_a_container_unhealthy_without_a_word() -> None:
    check = Check(interval_seconds=1, retries=2)
    course = Course(((0, OK),), ((1.5, PAUSE), (3.0, UNPAUSE)))
    found = predict(check, NEW, course, probe_seconds=[0.1], until_seconds=5)
    told = [(round(c.seconds, 2), c.state, c.announced) for c in found.changes]
    assert told == [
        (0, STARTING, False),
        (1.1, HEALTHY, True),
        (1.5, UNHEALTHY, False),
        (4.1, HEALTHY, True),
    ]


def test_a_probe_that_is_interrupted_counts_for_nothing() -> None:
    check = Check(interval_seconds=1, retries=1)
    paused = Course(((0, FAULT),), ((1.05, PAUSE), (2.0, UNPAUSE)))
    assert changes(check, NEW, paused, 2.9) == []
    restarted = Course(((0, FAULT),), ((1.05, END), (2.0, START)))
    assert changes(check, NEW, restarted, 3.5) == [(3.1, UNHEALTHY)]


def test_a_start_begins_anew() -> None:
    check = Check(interval_seconds=1, retries=2)
    course = Course(((0, FAULT),), ((1.5, END), (2.0, START)))
    assert changes(check, NEW, course, 5) == [(4.2, UNHEALTHY)]


def test_an_app_that_goes_on_answers_the_probe_that_waits() -> None:
    check = Check(interval_seconds=1, timeout_seconds=3, retries=1)
    course = Course(((0, OK), (1.5, HANGS), (2.5, OK)))
    found = predict(check, NEW, course, probe_seconds=[0.1], until_seconds=3)
    assert [round(probe.end_seconds, 2) for probe in found.probes] == [1.1, 2.5]
    assert found.announced()[-1].state == HEALTHY


def test_a_change_within_a_probe_is_doubtful() -> None:
    check = Check(interval_seconds=1, retries=1)
    course = Course(((0, OK), (1.05, FAULT)))
    assert predict(check, NEW, course, probe_seconds=[0.1], until_seconds=2).doubtful
    assert not predict(check, NEW, ALWAYS_OK, probe_seconds=[0.1], until_seconds=2).doubtful


def test_what_the_app_does_outlives_a_restart() -> None:
    course = app_course([0.5, 4.0], [3.0], [(2.0, FAULT)])
    assert course == ((0, REFUSES), (0.5, OK), (2.0, FAULT), (3.0, REFUSES), (4.0, FAULT))


@pytest.mark.parametrize("config", [None, {}, {"Test": []}, {"Test": ["NONE"]}])
def test_no_healthcheck(config: Any) -> None:
    assert configured(config) is None


def test_a_healthcheck_as_the_engine_has_it() -> None:
    config = {"Test": ["CMD", "true"], "Interval": 1_500_000_000, "Retries": 2}
    assert configured(config) == Check(("CMD", "true"), interval_seconds=1.5, retries=2)


def test_the_settings_are_many_and_each_is_another_one() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert sum(not case.wants_start_interval for case in CASES) >= 30


def test_settings_reach_docker_run_and_compose() -> None:
    case = next(c for c in CASES if c.wants_start_interval and c.by != COMPOSE)
    words = case.flags()
    assert words[words.index("--health-start-interval") + 1] in ("1000ms", "500ms")
    composed = next(c for c in CASES if c.by == COMPOSE and c.check.test[0] == "CMD-SHELL")
    assert "$$status" in composed.healthcheck()["test"][1]
    # A variant keeps its own probe.
    assert "--health-cmd" not in fault(NEW).flags()
    assert "--health-start-interval" not in fault(OLD).flags()


def test_each_of_many_quick_probes_is_one() -> None:
    """Ten milliseconds apart: no two are taken for one because both are near an entry of the log."""
    messages = [{"timeNano": 10**18, "Action": "start", "Actor": {"Attributes": {"name": "a"}}}]
    for number in range(20):
        begin = 10**18 + number * 20_000_000
        for action, at in (("exec_create: true", begin), ("exec_die", begin + 10_000_000)):
            about = {"name": "a", "execID": str(number), "exitCode": "0"}
            messages.append({"timeNano": at, "Action": action, "Actor": {"Attributes": about}})
    check = Check(("CMD", "true"), interval_seconds=0.01)
    timeline = recorded([read(m) for m in messages], [], check, "true", None)
    assert timeline is not None
    assert len(timeline.probes) == 20


def test_a_probe_that_fails_slowly_was_not_stopped() -> None:
    (path,) = (path for path in STREAMS if path.stem == "28.5-breaks-and-recovers")
    timeline = compared(path).timeline
    slow = replace(timeline.probes[-1], end_seconds=timeline.probes[-1].begin_seconds + 1.1)
    failed = replace(timeline, probes=(replace(slow, exit_code=1),))
    stopped = replace(timeline, probes=(replace(slow, exit_code=-1),))
    assert failed.outcomes()[-1][1] == FAULT
    assert stopped.outcomes()[-1][1] == HANGS


def test_what_became_of_it_in_a_sentence() -> None:
    by_name = {path.stem: compared(path).timeline for path in STREAMS}
    curl = verdict(by_name["28.5-no-such-command.compose"], 3)
    assert curl.startswith("unhealthy after 1.")
    assert "and never healthy; its last probe said: OCI runtime exec failed" in curl
    assert "curl" in curl
    assert verdict(by_name["28.5-ready-at-once"], 6).startswith("healthy after 5.")


def test_a_disagreement_shows_both_timelines_and_no_escapes() -> None:
    (path,) = (path for path in STREAMS if path.stem == "28.5-breaks-and-recovers")
    one = compared(path, retries=1)
    probes = tuple(replace(p, output="\x1b[2J" + p.output) for p in one.timeline.probes)
    one = replace(one, timeline=replace(one.timeline, probes=probes))
    text = shown.disagreement("breaks\x1b", one, "")
    assert "measured   ---" in text
    assert "predicted  ---" in text
    assert "\x1b" not in text
    assert all(len(line) <= 80 for line in shown.lanes(one, 80))


def test_tables_have_each_change(tmp_path: Path) -> None:
    cases = {path.stem: compared(path) for path in STREAMS}
    table = shown.changes(cases, "simple")
    assert table.count("healthy") == sum(len(c.timeline.announced()) for c in cases.values())
    grouped = shown.groups(cases, dict.fromkeys(cases, "all"), "simple")
    assert f"{len(cases)}" in grouped
    assert max(map(len, grouped.splitlines())) <= 80
    assert settings(Check(interval_seconds=0.5, retries=2)) == "I=0.5 R=2"


def test_the_picture_is_the_same_each_time_and_shows_names_as_text(tmp_path: Path) -> None:
    cases = {"<script>alert(1)</script>&": compared(STREAMS[0])}
    for name in ("one.svg", "two.svg"):
        lanes_svg("title", cases, tmp_path / name)
    one, two = ((tmp_path / name).read_text() for name in ("one.svg", "two.svg"))
    assert one == two
    assert "<script>" not in one
    assert "&lt;script&gt;" in one
