"""Failed builds, as recorded, explained in one sentence with file, line and cause."""

import pytest
from streams import BUILDX, failure, recorded


@pytest.mark.parametrize(
    ("name", "kind", "line", "words"),
    [
        ("parse", "dockerfile", 3, "unknown instruction: RUNN (did you mean RUN?)"),
        ("arg", "dockerfile", 2, "base name ($BASE) should not be blank"),
        ("badflag", "dockerfile", 2, 'unsupported mount type "wrong"'),
        ("comment", "dockerfile", 1, "no instructions"),
        ("empty", "other", 0, "the Dockerfile cannot be empty"),
        ("nobase", "base", 1, "the image nosuchimage:9 can't be had: "),
        ("badstage", "base", 2, "the image nostage:latest can't be had: "),
        ("circular", "base", 1, "the image a:latest can't be had: "),
        ("syntax", "base", 1, "the frontend (# syntax=) docker/dockerfile:1.4 can't be had: "),
        # A registry that refuses the connection is no engine that went away.
        ("refused", "base", 1, "the image 127.0.0.1:1/python:3.11 can't be had: "),
        ("add-refused", "dockerfile", 2, "connection refused"),
        ("copy", "copy", 2, "missing.txt is not in the build context"),
        ("mountfrom", "copy", 2, "nowhere.txt is not in the build context"),
        ("copyfrom", "copy", 4, "/nowhere is not in `builder`"),
        ("bare", "copy", 3, "/nowhere is not in `one`"),
        ("run", "run", 3, "[3/3] RUN echo before && echo problem"),
        ("run", "run", 3, "failed with exit code 3; its last lines:\n    before\n    problem"),
        ("heredoc", "run", 2, "failed with exit code 1; its last lines:\n    inside"),
        ("log", "run", 2, "도커 학습 앱"),
        (
            "says-refused",
            "run",
            2,
            "failed with exit code 7; its last lines:\n    connection refused",
        ),
        # The other stage's step was only cancelled because of it.
        ("parallel-fail", "run", 4, "[wrong 2/2] RUN sleep 0.3 && exit 4 failed with exit code 4"),
        ("disk", "disk", 2, "no space is left where this step writes"),
        ("lost", "engine", 3, "the engine went away in mid-build"),
    ],
)
def test_the_sentence_says_where_and_why(name: str, kind: str, line: int, words: str) -> None:
    found = failure(recorded(name), name)
    file = "cancelled" if name == "lost" else name
    place = f"{file}.Dockerfile:{line}: " if line else f"{file}.Dockerfile: "
    assert (found.kind, found.line) == (kind, line)
    assert found.sentence.startswith(place)
    assert words in found.sentence


@pytest.mark.parametrize(
    ("name", "kind", "line", "words"),
    [
        ("nobase", "base", 1, "the image nosuchimage:9 can't be had: "),
        ("badstage", "base", 2, "the image nostage:latest can't be had: "),
        ("syntax", "base", 1, "the frontend (# syntax=) docker/dockerfile:1.4 can't be had: "),
        ("add-refused", "dockerfile", 2, "connection refused"),
        ("copy", "copy", 2, "missing.txt is not in the build context"),
        ("copyfrom", "copy", 4, "/nowhere is not in `builder`"),
        ("bare", "copy", 3, "/nowhere is not in `one`"),
        ("run", "run", 3, "failed with exit code 3; its last lines:\n    problem\n    before"),
        ("parallel-fail", "run", 4, "[wrong 2/2] RUN sleep 0.3 && exit 4 failed with exit code 4"),
    ],
)
def test_the_words_of_engine_20_10_are_understood(
    name: str, kind: str, line: int, words: str
) -> None:
    found = failure(recorded(name, "2010"), name)
    assert (found.kind, found.line) == (kind, line)
    assert found.sentence.startswith(f"{name}.Dockerfile:{line}: ")
    assert words in found.sentence
    assert "/.cache/" not in found.sentence  # where this engine keeps its files


@pytest.mark.parametrize("name", ["run", "log", "lost"])
def test_both_layouts_give_the_same_kind_and_line(name: str) -> None:
    new, old = (failure(recorded(name, buildx), name) for buildx in BUILDX)
    assert (new.kind, new.line) == (old.kind, old.line)


@pytest.mark.parametrize("buildx", BUILDX)
@pytest.mark.parametrize("cut", [0, 3, 150])
def test_the_time_limit_names_the_step_that_was_at_work(buildx: str, cut: int) -> None:
    # The client is stopped in mid-line; two more steps were waiting behind the one at work.
    data = recorded("lost", buildx).partition(b"ERROR")[0]
    found = failure(data[: len(data) - cut], "cancelled", limit=3)
    assert (found.kind, found.line) == ("time", 3)
    assert "cancelled.Dockerfile:3: [3/5] RUN echo waiting; sleep 60" in found.sentence
    assert "limit of 3 s" in found.sentence


def test_the_time_limit_with_nothing_at_work_still_makes_a_sentence() -> None:
    assert failure(b"", "cancelled", limit=3).sentence.startswith(
        "cancelled.Dockerfile: the build was stopped"
    )


@pytest.mark.parametrize("buildx", BUILDX)
def test_a_client_that_was_killed_leaves_no_json_in_the_sentence(buildx: str) -> None:
    data = recorded("lost", buildx).partition(b"ERROR")[0]
    assert "{" not in failure(data[:-30], "cancelled").sentence


def test_a_race_of_the_image_store_is_not_the_dockerfiles_fault() -> None:
    # Engine 28.5.2 with the containerd image store.
    said = (
        b'ERROR: failed to build: failed to solve: failed to prepare extraction snapshot "extract-1-8wqm '
        b'sha256:18c4": parent snapshot sha256:6e60 does not exist: not found\n'
    )
    found = failure(said, "ok")
    assert (found.kind, found.line) == ("other", 0)
    assert "the engine's image store lost a layer" in found.sentence
    assert "run again" in found.sentence


def test_no_engine_at_all() -> None:
    # What buildx 0.29.1 prints where nothing listens.
    said = b"ERROR: Cannot connect to the Docker daemon at unix:///nowhere.sock. Is the docker daemon running?\n"
    found = failure(said, "run")
    assert found.kind == "engine"
    assert "unix:///nowhere.sock" in found.sentence
