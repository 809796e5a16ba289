"""One build, measured on a real engine."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from layerlab.build.buildx import Build
from layerlab.engine.endpoint import Endpoint

pytestmark = pytest.mark.engine
BuildText = Callable[..., Build]


def test_step_seconds_are_true(build_text: BuildText) -> None:
    """A step's seconds are its command's, to within what starting a container takes."""
    built = build_text("FROM SLIM\nRUN sleep 0.5\nRUN sleep 1\nRUN sleep 2\nRUN true\n")
    *sleeps, nothing = built.ran
    assert [step.line for step in sleeps] == [2, 3, 4]
    # What the engine needs for any RUN is measured beside them: a busy machine needs more.
    container = nothing.seconds
    for step, slept in zip(sleeps, (0.5, 1.0, 2.0), strict=True):
        assert slept <= step.seconds <= slept + max(0.15, 2 * container)


def test_parallel_stages_are_not_summed(build_text: BuildText) -> None:
    built = build_text(
        """
        FROM SLIM AS left
        RUN sleep 1.5 && touch /left
        FROM SLIM AS right
        RUN sleep 1.5 && touch /right
        FROM SLIM
        COPY --from=left /left /
        COPY --from=right /right /
        """
    )
    assert [step.line for step in built.counted] == [2, 4, 6, 7]
    assert sum(step.seconds for step in built.steps) > 3.0
    assert built.engine_seconds < 3.0
    assert built.wall_seconds >= built.engine_seconds


def test_every_kind_of_step_has_its_line(build_text: BuildText) -> None:
    """Heredocs, links, variables and continuation lines are numbered as in the file."""
    built = build_text(
        """
        ARG GREETING=hello
        FROM SLIM AS builder
        ENV NAME=world
        WORKDIR /src
        RUN <<EOF
        echo one
        echo FROM nowhere
        EOF
        RUN echo a && \\
            # a comment inside
            echo b
        FROM SLIM
        ARG GREETING
        COPY --link --from=builder /src /src
        COPY --link main.py /app/
        RUN echo "$GREETING" > /greeting
        """,
        files={"main.py": "print()"},
    )
    lines = [(step.keyword, step.line) for step in built.steps if not step.is_base]
    assert lines == [
        ("WORKDIR", 4),
        ("RUN", 5),
        ("RUN", 9),
        ("COPY", 14),
        ("COPY", 15),
        ("RUN", 16),
    ]


def test_context_bytes_are_those_sent_this_time(build_text: BuildText) -> None:
    dockerfile = "FROM SLIM\nCOPY big.txt /\nCOPY small.txt /\n"
    # The nonce keeps another run's context out of BuildKit's own copy.
    nonce = f"{os.getpid()} {time.time_ns()}"
    first = build_text(dockerfile, files={"big.txt": nonce + "x" * 200_000, "small.txt": nonce})
    again = build_text(dockerfile, files={"small.txt": nonce + "!"}, cold=False)
    assert first.context_bytes > 200_000
    assert again.context_bytes < 5_000
    assert [step.line for step in again.ran] == [3]


@pytest.mark.parametrize("prefix", ["\ufeff", ""], ids=["bom", "plain"])
@pytest.mark.parametrize("end", ["\r\n", "\n"], ids=["crlf", "lf"])
def test_windows_text_builds(build_text: BuildText, prefix: str, end: str) -> None:
    built = build_text(f"{prefix}FROM SLIM{end}RUN echo hi{end}")
    assert built.failure is None
    assert [step.line for step in built.ran] == [2]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("FROM SLIM\nRUNN true\n", "dockerfile", "student.Dockerfile:2: unknown instruction: RUNN"),
        ("FROM SLIM\nCOPY gone.txt /\n", "copy", "student.Dockerfile:2: gone.txt is not in the"),
        ("FROM no/such:1\nRUN true\n", "base", "student.Dockerfile:1: the image no/such:1 can't"),
        ("FROM SLIM\nRUN echo why >&2; exit 7\n", "run", "exit code 7; its last lines:\n    why"),
        ("FROM SLIM\nCOPY --from=x /a /b\n", "base", "student.Dockerfile:2: the image x"),
        ("# syntax=docker/dockerfile:9\nFROM SLIM\n", "base", "frontend (# syntax=)"),
    ],
)
def test_failures_say_what_where_and_why(
    build_text: BuildText, text: str, kind: str, words: str
) -> None:
    failure = build_text(text).failure
    assert failure is not None
    assert failure.kind == kind
    assert words in failure.sentence


def test_a_step_without_space_is_said_so(build_text: BuildText) -> None:
    """/dev/shm in a build container is a small file system of its own: it fills for real."""
    failure = build_text("FROM SLIM\nRUN dd if=/dev/zero of=/dev/shm/x bs=1M count=4000\n").failure
    assert failure is not None
    assert failure.kind == "disk"
    assert "student.Dockerfile:2: no space is left" in failure.sentence


def processes(marker: str) -> list[str]:
    """Processes of this machine, those in the private engine's containers too, by a word."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if marker.encode() in words:
            found.append(entry.parent.name)
    return found


def gone(marker: str) -> bool:
    deadline = time.monotonic() + 10
    while processes(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not processes(marker)


def test_a_build_over_its_limit_stops_on_the_engine_too(
    build_text: BuildText, endpoint: Endpoint
) -> None:
    marker = f"{3_000 + os.getpid() / 1_000_000:.6f}"
    built = build_text(f"FROM SLIM\nRUN echo begun; sleep {marker}\n", limit=4)
    assert built.failure is not None
    assert built.failure.kind == "time"
    assert "student.Dockerfile:2" in built.failure.sentence
    assert "limit of 4 s" in built.failure.sentence
    if endpoint.private:
        assert gone(marker)


def test_ctrl_c_stops_the_build_on_the_engine(build_text: BuildText, endpoint: Endpoint) -> None:
    marker = f"{4_000 + os.getpid() / 1_000_000:.6f}"

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while not processes(marker) and time.monotonic() < deadline and endpoint.private:
            time.sleep(0.05)
        os.kill(os.getpid(), 2)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        build_text(f"FROM SLIM\nRUN exec sleep {marker}\n", limit=60)
    if endpoint.private:
        assert gone(marker)
