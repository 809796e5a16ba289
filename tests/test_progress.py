"""BuildKit's stream, as recorded from real builds, read into steps."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import BUILDX, FOLDER, dockerfile, progress, recorded, steps

from layerlab.build.dockerfile import parse
from layerlab.build.progress import LOG_LINES, Progress

BOTH = ("ok", "run", "parallel", "stages", "log", "cancelled", "lost")
both = pytest.mark.parametrize("buildx", BUILDX)


@both
def test_steps_come_in_the_files_order_with_their_lines(buildx: str) -> None:
    found = [(step.label, step.keyword, step.line, step.end_line) for step in steps("ok", buildx)]
    assert found == [
        ("[builder 1/4]", "FROM", 1, 1),
        ("[builder 2/4]", "WORKDIR", 2, 2),
        ("[builder 3/4]", "COPY", 3, 3),
        ("[builder 4/4]", "RUN", 4, 4),
        ("[stage-1 2/4]", "COPY", 7, 7),
        ("[stage-1 3/4]", "COPY", 8, 8),
        ("[stage-1 4/4]", "RUN", 9, 12),
    ]


def test_numbers_are_padded_where_a_stage_has_ten_steps_or_more() -> None:
    found = steps("wide")
    assert [(step.position, step.total, step.line) for step in found] == [
        (number, 11, number + 1) for number in range(1, 12)
    ]


@pytest.mark.parametrize("name", BOTH)
def test_both_layouts_tell_the_same_steps(name: str) -> None:
    # Standard output and standard error of a step may overtake each other: the log is sorted.
    new, old = (
        [(s.label, s.line, s.instruction, sorted(s.log)) for s in steps(name, buildx)]
        for buildx in BUILDX
    )
    assert new == old
    assert new


@pytest.mark.parametrize("buildx", [*BUILDX, "2010"])
def test_a_step_on_a_stage_of_the_file_or_on_scratch_is_the_first_of_its_stage(buildx: str) -> None:
    found = [(step.label, step.line) for step in steps("stages", buildx)]
    assert found == [
        ("[base 1/2]", 1),
        ("[base 2/2]", 2),
        ("[tester 1/2]", 5),
        ("[tester 2/2]", 6),
        ("[stage-2 1/2]", 9),
        ("[stage-2 2/2]", 10),
    ]


def test_steps_on_a_replaced_base_keep_their_numbers_and_lines() -> None:
    """With --build-context for its FROM, BuildKit calls the second step `[builder 1/3]`."""
    found = [(step.label, step.line) for step in steps("replaced")]
    assert found == [
        ("[builder 2/3]", 2),
        ("[builder 3/3]", 3),
        ("[stage-1 2/3]", 5),
        ("[stage-1 3/3]", 6),
    ]


def test_triggers_of_an_images_onbuild_have_no_line_and_move_no_other() -> None:
    found = [(step.instruction, step.keyword, step.line) for step in steps("onbuild")]
    assert found == [
        ("FROM docker.io/library/onb:1", "FROM", 1),
        ("ONBUILD RUN echo trigger one", "RUN", 0),
        ("ONBUILD WORKDIR /trigger", "WORKDIR", 0),
        ("RUN echo own step", "RUN", 2),
        ("COPY main.py /app/", "COPY", 4),
    ]


@both
def test_parallel_stages_overlap_and_are_not_summed(buildx: str) -> None:
    sleeps = {step.line: step for step in steps("parallel", buildx) if step.keyword == "RUN"}
    first, second = sleeps[2], sleeps[4]
    assert first.seconds >= 0.6
    assert second.seconds >= 1
    assert second.offset_seconds < first.offset_seconds + first.seconds
    engine = progress(recorded("parallel", buildx)).engine_seconds()
    assert second.seconds < engine < first.seconds + second.seconds


@both
def test_a_sleep_is_measured(buildx: str) -> None:
    [step] = [step for step in steps("ok", buildx) if "sleep 0.5" in step.instruction]
    assert step.seconds == pytest.approx(0.5, abs=0.35)


def test_cached_is_what_buildkit_did_not_run() -> None:
    assert [step.cached for step in steps("stages-cached") if not step.is_base] == [True] * 5
    assert not any(step.cached for step in steps("stages") if not step.is_base)
    assert sum(step.seconds for step in steps("stages-cached")) < 0.05


@both
def test_a_log_ends_with_its_last_lines_whatever_is_in_it(buildx: str) -> None:
    log = steps("log", buildx)[-1].log
    assert len(log) == LOG_LINES
    assert log[:2] == ("line 25", "line 26")
    assert log[-4:-1] == ("progress 1%", "progress 2%", "progress 3%")
    assert log[-1] == "\x1b[31m도커 학습 앱\x1b[0m"


def test_context_bytes_are_those_of_the_context() -> None:
    assert progress(recorded("ok")).context_bytes > 0
    assert progress(recorded("parallel")).context_bytes == 2  # no COPY takes anything from it
    assert progress(recorded("refused")).context_bytes == 0  # it was never asked for


@both
def test_a_step_that_never_ended_is_known(buildx: str) -> None:
    assert [(step.line, step.unfinished) for step in steps("lost", buildx)] == [
        (1, False),
        (2, False),
        (3, True),
        (4, False),
        (5, False),
    ]
    assert not any(step.unfinished for step in steps("cancelled", buildx))


def test_steps_are_told_while_they_happen() -> None:
    read = Progress()
    told: list[str] = []
    for line in recorded("parallel").splitlines(keepends=True):
        told += read.feed(line)
    begun = [
        told.index(f"[{stage} 2/2] RUN sleep {s}")
        for stage, s in (("first", "0.6"), ("second", "1"))
    ]
    assert max(begun) < told.index("[stage-2 2/3] COPY --from=first /etc/hostname /1")


@pytest.mark.parametrize("name", ["linux/amd64", "linux/arm/v7", "linux/amd64->arm64"])
def test_a_platform_before_the_stage_is_no_stage(name: str) -> None:
    # BuildKit's prefixCommand puts it there in a multi-platform build, which needs another image store.
    data = recorded("ok").replace(b'"[builder 4/4]', f'"[{name} builder 4/4]'.encode())
    data = data.replace(b'"name":"[builder 4/4]', f'"name":"[{name} builder 4/4]'.encode())
    assert [s.label for s in progress(data).steps(dockerfile("ok"))] == [
        s.label for s in steps("ok")
    ]


RECORDINGS = [path.read_bytes() for path in sorted(FOLDER.glob("*.raw"))]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(RECORDINGS), st.integers(1, 5000), st.integers(1, 300))
def test_any_chunking_gives_the_same_result(data: bytes, first: int, size: int) -> None:
    chunked = Progress()
    chunked.feed(data[:first])
    for start in range(first, len(data), size):
        chunked.feed(data[start : start + size])
    chunked.close()
    assert chunked == progress(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["vertexes", "statuses", "logs", "digest", "name", "started", "id", "vertex"]
            )
            | st.sampled_from(["data", "current", "completed"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.one_of(st.binary(), JSON.map(lambda value: repr(value).replace("'", '"').encode())))
def test_garbage_never_raises(data: bytes) -> None:
    check_readable(progress(b'{"vertexes":' + data + b"}\n" + data))


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(RECORDINGS), st.integers(0, 30_000), st.binary(max_size=20))
def test_a_damaged_or_cut_stream_never_raises(data: bytes, place: int, damage: bytes) -> None:
    check_readable(progress(data[:place]))
    check_readable(progress(data[:place] + damage + data[place + len(damage) :]))


def check_readable(read: Progress) -> None:
    found = read.steps(parse("FROM a\nRUN b"))
    assert all(math.isfinite(step.seconds) and step.seconds >= 0 for step in found)
    assert read.engine_seconds() >= 0
