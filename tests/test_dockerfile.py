"""The Dockerfile parser against what BuildKit did with the same text (Engine 28.5.2)."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from streams import dockerfile

from layerlab.build.dockerfile import parse


def lines(text: str) -> list[tuple[str, int, int]]:
    return [(i.keyword, i.line, i.end_line) for i in parse(text).instructions]


def test_steps_of_a_tricky_file_are_found_where_buildkits_provenance_says() -> None:
    # source.locations of the build's own provenance (BUILDX_METADATA_PROVENANCE=max), step by step.
    builder = {1: (4, 4), 2: (5, 8), 3: (9, 13), 4: (14, 14), 5: (15, 15)}
    last = {
        2: (20, 20),
        3: (21, 21),
        4: (22, 22),
        5: (23, 23),
        6: (24, 28),
        7: (29, 29),
        8: (30, 30),
    }
    parsed = dockerfile("tricky")
    for stage, total, places in (("build", 5, builder), ("stage-1", 8, last)):
        for position, place in places.items():
            found = parsed.find(stage, position, total)
            assert found is not None
            assert (found.line, found.end_line) == place
    assert parsed.images() == ["t1:latest", "t1", "base:1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN a \\\n\n # c\n  b\nRUN c", [("RUN", 1, 4), ("RUN", 5, 5)]),
        ("RUN a \\ \t\n b\nRUN c", [("RUN", 1, 2), ("RUN", 3, 3)]),
        # Two backslashes are one that is escaped: no continuation.
        ("RUN a \\\\\nRUN b", [("RUN", 1, 1), ("RUN", 2, 2)]),
        ("RUN a \\", [("RUN", 1, 1)]),
        ("RUN a \\\n", [("RUN", 1, 1)]),
        ("# escape=`\nRUN dir C:\\\nRUN a `\n b", [("RUN", 2, 2), ("RUN", 3, 4)]),
        ("# a comment\n# escape=`\nRUN a \\\n b", [("RUN", 3, 4)]),
        ("\ufeffFROM t1\r\nRUN a \\\r\n\r\n b\r\n", [("FROM", 1, 1), ("RUN", 2, 4)]),
        # Only a line feed ends a line.
        ("FROM t1\n# \f \u2028 \x85 \r \x1c\nRUN b", [("FROM", 1, 1), ("RUN", 3, 3)]),
        ("FROM\tt1\n\trun\ta", [("FROM", 1, 1), ("RUN", 2, 2)]),
        ("", []),
        ("# only\n\n", []),
    ],
)
def test_where_instructions_begin_and_end(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert lines(text) == expected


@pytest.mark.parametrize(
    "opening",
    [
        "RUN <<EOF",
        "RUN cat <<-EOF && echo more",
        "RUN cat 3<<'EOF' <&3",
        'COPY <<"EOF" /x',
        "RUN cat <<EOF \\\n  && true",
        "run <<EOF",
        "ONBUILD RUN <<EOF",
    ],
)
def test_a_heredoc_is_no_instruction(opening: str) -> None:
    text = f"{opening}\nFROM x\nRUN y \\\nEOF\nRUN after"
    first = opening.count("\n") + 1
    assert [line for _, line, _ in lines(text)] == [1, first + 4]


@pytest.mark.parametrize(
    "instruction",
    [
        'RUN echo "use <<EOF here"',
        "RUN echo '<<EOF'",
        "RUN cat <<<EOF",
        "RUN echo $((8<<1))",
        "RUN sh<<EOF",
        "RUN echo it's <<EOF",
        'RUN ["cat", "<<EOF"]',
        "ENV A=<<EOF",
        "CMD cat <<EOF",
    ],
)
def test_what_only_looks_like_a_heredoc_hides_nothing(instruction: str) -> None:
    assert [line for _, line, _ in lines(f"{instruction}\nRUN true\nRUN true")] == [1, 2, 3]


def test_several_heredocs_end_at_their_own_terminators() -> None:
    text = "COPY <<a <<E-O.F; <<'two words' /\na\nE-O.F;\nb\ntwo words\nRUN c"
    assert lines(text) == [("COPY", 1, 5), ("RUN", 6, 6)]


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM a\nRUN x", ["a"]),
        ("ARG V=3.11\nFROM python:${V}-slim", ["python:3.11-slim"]),
        ('ARG A="t1" B=\'2\'\nFROM "$A:$B"', ["t1:2"]),
        ("ARG A=t1\nARG B=z\nFROM ${A:-${B}}", ["t1"]),
        ("ARG B=t1\nFROM ${A:-${B}}", ["t1"]),
        ("FROM t1${UNSET}", ["t1"]),
        ("FROM img-$TARGETARCH", []),
        ("FROM --platform=$BUILDPLATFORM a AS B\nFROM b", ["a"]),
        (
            "FROM a\nCOPY --from=b:1 x y\nRUN --mount=type=bind,from=c,target=/m ls",
            ["a", "b:1", "c"],
        ),
        ("FROM a\nRUN x\nFROM b\nCOPY --from=0 x y\nCOPY --from=7 x y", ["a", "b"]),
        ("FROM a AS One\nFROM scratch\nCOPY --link --from=ONE x y", ["a"]),
        # A stage that the last one does not need is not built, and its image not asked for.
        ("FROM nowhere AS test\nRUN x\nFROM a", ["a"]),
        ("FROM a AS b\nFROM b AS a", ["a"]),
        ("FROM a\nRUN <<EOF\nFROM x\nEOF", ["a"]),
        ("FROM a\nONBUILD COPY --from=b x y", ["a"]),
        ("ARG BASE\nFROM $BASE", []),
        ("FROM", []),
        ("RUN x", []),
    ],
)
def test_images_that_the_build_takes_from_outside(text: str, images: list[str]) -> None:
    assert parse(text).images() == images


@pytest.mark.parametrize(
    ("text", "stage", "position", "total", "line"),
    [
        ("FROM a\nENV x=1\nRUN b", "", 1, 2, 1),
        ("FROM a\nENV x=1\nRUN b", "", 2, 2, 3),
        # BuildKit names the only stage where a mount makes one more of it.
        ("FROM a\nRUN --mount=type=cache,target=/c b", "stage-0", 2, 2, 2),
        ("FROM scratch\nCOPY a b", "", 1, 1, 2),
        ("FROM a AS One\nRUN b\nFROM one\nRUN c", "stage-1", 1, 1, 4),
        ("FROM a AS One\nRUN b\nFROM one\nRUN c", "one", 2, 2, 2),
        # Two triggers of the image's ONBUILD come between.
        ("FROM a\nRUN b", "", 4, 4, 2),
    ],
)
def test_find(text: str, stage: str, position: int, total: int, line: int) -> None:
    found = parse(text).find(stage, position, total)
    assert found is not None
    assert found.line == line


@pytest.mark.parametrize(("stage", "position", "total"), [("x", 1, 2), ("", 3, 4), ("", 9, 2)])
def test_what_is_not_in_the_file_is_not_found(stage: str, position: int, total: int) -> None:
    assert parse("FROM a\nRUN b").find(stage, position, total) is None


def test_the_syntax_line_is_the_first_word_of_its_directive() -> None:
    assert parse("# Syntax = docker/dockerfile:1 more\nFROM a").syntax == "docker/dockerfile:1"
    assert parse("# first\n# syntax=x\nFROM a").syntax is None


PIECES = st.sampled_from(
    (
        *("FROM ", "a", " AS ", "RUN ", "ONBUILD ", "ARG A=", "COPY --from=", "--mount=from="),
        *("<<EOF", "<<-'E F'", "EOF", "${A:-", "}", "$", "'", '"', "`", "\\", "# ", "# escape="),
        *("\n", "\r\n", "\\\n", "\t"),
    )
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
@example("\\")
@example("ONBUILD")
@example("FROM ${A:-${A:-${A")
def test_any_text_is_read(text: str) -> None:
    parsed = parse(text)
    parsed.images()
    parsed.stage_index("x")
    last = len(re.findall("\n", text)) + 1
    reached = 0
    for instruction in parsed.instructions:
        assert reached < instruction.line <= instruction.end_line <= last
        reached = instruction.end_line


def test_arguments_that_double_in_each_line_fill_no_memory() -> None:
    doubling = "".join(f"ARG A{n}=$A{n - 1}$A{n - 1}\n" for n in range(1, 60))
    parse(f"ARG A0=xx\n{doubling}FROM $A59").images()


def test_a_list_that_is_too_deep_is_shell_form() -> None:
    assert parse(f"FROM a\nCMD {'[' * 100_000}\n").instructions[-1].words is None
