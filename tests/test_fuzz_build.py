"""What a build prints and what people write into Dockerfiles, at random: read, or refused in a sentence.

`pytest --hypothesis-profile=long` tries far more examples (tests/conftest.py).
"""

import json
import math
import time
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from streams import progress, recorded

from layerlab.build import header, variant
from layerlab.build.dockerfile import LONGEST_ARGUMENT, Dockerfile, parse
from layerlab.build.failure import explain
from layerlab.build.progress import LOG_LINES, Progress
from layerlab.errors import LabError
from layerlab.text import plain

FILE = parse("FROM a AS x\nRUN b\nFROM x\nCOPY . .\nONBUILD RUN c\nRUN <<E\nd\nE\n")
WILD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -1, 2**63, 2**64]),
    st.floats(),
    st.text(st.characters(exclude_categories=[]), max_size=20),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
TIMES = st.sampled_from(
    (
        *("2026-11-27T01:23:51.123456789Z", "2026-11-27T01:23:52Z", "2026-11-27T01:23:49.5Z"),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-11-27T01:23:50+09:00"),
        *("2026-11-27T01:23:51.1e999Z", "2026-11-27T01:23:51.nanZ", "2026-13-45T99:99:99Z", "Z"),
        *("2026-11-27T01:23:51._1Z", "2026-11-27T01:23:51." + "9" * 400 + "Z"),
    )
)
NAMES = st.sampled_from(
    (
        *("[1/2] FROM a", "[x 1/2] FROM a", "[x 2/2] RUN b", "[stage-1 1/2] COPY . .", "[2/2] "),
        *("[stage-1 2/2] ONBUILD RUN c", "[linux/arm64 x 2/2] RUN b", "[x 0/0] RUN b", "[x 9/2] R"),
        *(f"[x {'9' * 5000}/2] RUN b", f"[x 2/{'9' * 20}] RUN b", "[x ٣/٤] RUN b", "[[1/1] ] RUN"),
        *("[internal] load build context", "[internal] load metadata for docker.io/library/a"),
    )
)
DIGESTS = st.sampled_from(["sha256:1", "sha256:2", "sha256:3"])
ERRORS = st.sampled_from(["", "context canceled", "exit code: 1", "\x1b[31m\ud800"])
DATA = st.sampled_from(["", "aGVsbG8K", "aGVsbG8K" * 500, "DQ0KDQo=", "no base64", "é"])


def sometimes(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(right, right, right, WILD)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A list of objects, each with some of these fields, and not all as they should be."""
    each = st.fixed_dictionaries(
        {}, optional={name: sometimes(right) for name, right in fields.items()}
    )
    return sometimes(st.lists(sometimes(each), max_size=3))


STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "vertexes": some(
            digest=DIGESTS,
            name=NAMES,
            started=TIMES,
            completed=TIMES,
            cached=st.booleans(),
            error=ERRORS,
        ),
        "statuses": some(
            id=st.just("transferring context:"),
            vertex=DIGESTS,
            current=st.integers(0, 10**7),
            started=TIMES,
        ),
        "logs": some(vertex=DIGESTS, data=DATA),
    },
)
PLAIN = st.sampled_from(
    (
        *("ERROR: failed to solve: x: not found", "Dockerfile:3", "--------------------", " 1 | R"),
        *(
            "{",
            "}",
            "{}",
            "{ not JSON",
            "[1]",
            "",
            "\x1b[2J",
            "ERROR: \\udc80 dockerfile parse error",
        ),
        *("ERROR: dockerfile parse error on line 99999999999999999999: x", "[" * 3000, "{[" * 3000),
    )
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A stream of either layout, with buildx's own lines in between, perhaps damaged."""
    lines: list[bytes] = []
    for status in draw(st.lists(STATUSES, max_size=5)):
        indent = draw(st.sampled_from([None, None, 1]))
        lines.append(json.dumps(status, indent=indent).encode(errors="surrogatepass"))
        lines += [text.encode() for text in draw(st.lists(PLAIN, max_size=2))]
    data = bytearray(b"\n".join(lines) + draw(st.sampled_from([b"", b"\n"])))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 9))] = draw(st.binary(max_size=4))
    return bytes(data)


@given(streams(), st.data())
@example(b'{"vertexes":[{"digest":"a","name":5}]}\n', None)
@example(b'{"vertexes":[{"digest":"a","name":"[1/1] RUN x","error":{"a":1}}]}\n', None)
def test_any_stream_gives_sane_steps_however_it_is_cut(
    data: bytes, choice: st.DataObject | None
) -> None:
    whole = Progress()
    told = whole.feed(data)
    whole.close()
    pieces = Progress()
    told_in_pieces: list[str] = []
    at = 0
    while at < len(data):
        size = choice.draw(st.integers(1, 200)) if choice else 1
        told_in_pieces += pieces.feed(data[at : at + size])
        at += size
    pieces.close()
    assert pieces == whole
    assert told_in_pieces == told
    assert all(isinstance(name, str) for name in told)
    check(whole, FILE)


def check(read: Progress, dockerfile: Dockerfile) -> None:
    steps = read.steps(dockerfile)
    lines = {0, *(one.line for one in dockerfile.instructions)}
    assert math.isfinite(read.begin())
    assert 0 <= read.engine_seconds() < math.inf
    assert read.context_bytes >= 0
    for step in steps:
        assert 0 <= step.seconds <= read.engine_seconds() + 1e-3
        assert 0 <= step.offset_seconds < math.inf
        assert step.line in lines
        assert step.end_line >= step.line
        assert len(step.log) <= LOG_LINES
        f"{step}".encode()  # can be written to a file
    for limit in (None, 5.0):
        assert explain(read, steps, "Dockerfile", dockerfile, limit).sentence


def test_an_object_that_never_ends_does_not_hide_what_follows() -> None:
    """buildx quotes a line of a Dockerfile that is a brace alone."""
    data = recorded("ok")
    cut = data.index(b"\n", len(data) // 3) + 1
    hurt = progress(data[:cut] + b"{\n" + data[cut:])
    assert hurt.steps(FILE) == progress(data).steps(FILE)


ENDLESS: dict[str, Callable[[], Iterable[bytes]]] = {
    "a line without an end": lambda: (b'{"x":"' + b"a" * 65_530 for _ in range(3_000)),
    "an object without an end": lambda: [b"{\n"] + [b" " * 65_535 + b"\n"] * 3_000,
    "lines of buildx": lambda: ((b"b" * 9_999 + b"\n") * 6 for _ in range(3_000)),
    "the log of a step": lambda: (
        b'{"logs":[{"vertex":"a","data":"' + b"YWFh" * 16_000 + b'"}]}\n' for _ in range(3_000)
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_output_without_an_end_fills_no_memory(name: str, request: pytest.FixtureRequest) -> None:
    read = Progress()
    pieces = ENDLESS[name]()
    count = 3_000 if request.config.getoption("--hypothesis-profile") == "long" else 400
    tracemalloc.start()
    begun = time.perf_counter()
    for _, piece in zip(range(count), pieces, strict=False):
        read.feed(piece)
    read.close()
    check(read, FILE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 160 << 20
    assert time.perf_counter() - begun < 20


HEADERS = st.lists(
    st.sampled_from(
        (
            *("# layerlab.", "title", "teaches", "labs", "differs-from", "expect.", "layer-cache"),
            *(".", ":", " ", "\n", "no-change", "copy", "nothing", "stack", "multi-stage", ","),
            *("\x1b[2J", "\u202e", "RUN x", "#", "# ", "\r", "\0", "é" * 3000),
        )
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)


@given(HEADERS)
@example(f"# layerlab.{'x' * 100_000}: a")
@example(f"# layerlab.expect.layer-cache.no-change: {'x' * 100_000}")
@example("# layerlab.labs: \x1b[31m")
def test_any_header_is_read_or_refused_in_one_short_line(text: str) -> None:
    try:
        found = header.read(text, Path("x.Dockerfile"))
    except LabError as error:
        check_sentence(error)
    else:
        assert all(value for value in found.declared.values())


def check_sentence(error: LabError) -> None:
    """One line that a terminal can show, and nobody would mind reading."""
    assert len(str(error)) < 1_000
    assert plain(str(error)) == str(error)
    assert "\n" not in str(error)


@given(st.one_of(st.binary(max_size=60), HEADERS.map(str.encode)))
@example(b"FROM a\n" + b"RUN x\n" * (variant.LONGEST // 6))
@example(b"\xff")
def test_any_file_is_a_variant_or_refused(data: bytes) -> None:
    path = FOLDER / "x.Dockerfile"
    path.write_bytes(data)
    try:
        found = variant.load(path)
    except LabError as error:
        check_sentence(error)
    else:
        assert found.dockerfile.instructions


def test_a_file_without_an_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    for name in ("x.Dockerfile", "x.Dockerfile.dockerignore"):
        with (tmp_path / name).open("wb") as file:
            file.write(b"FROM a\n")
            file.truncate(1 << 40)
        with pytest.raises(LabError, match="is longer than 1 MiB"):
            variant.load(tmp_path / "x.Dockerfile")
        (tmp_path / name).write_bytes(b"FROM a\n")


BLOCK = variant.LONGEST // 8
LONG: dict[str, str] = {
    "stages on each other": "FROM s\n"
    + "".join(f"FROM s{i - 1} AS s{i}\n" for i in range(BLOCK // 20)),
    "copies from stages": "".join(
        f"FROM a AS s{i}\nCOPY --from=s{i - 1} a b\n" for i in range(BLOCK // 40)
    ),
    "copies from images": "FROM a\n"
    + "".join(f"COPY --from=i{i} a b\n" for i in range(BLOCK // 22)),
    "variables": f"ARG A={'x' * LONGEST_ARGUMENT}\nFROM " + "$A" * (BLOCK // 2),
    "variables in each other": f"ARG A={'${A:-' * (BLOCK // 5)}\nFROM $A",
    "open quotes": "FROM a\nRUN " + "'\"" * (BLOCK // 2),
    "quotes that escape": 'FROM a\nRUN "' + '\\"' * (BLOCK // 2),
    "a long quote": "FROM a\nRUN '" + "x" * BLOCK + "' <<E\nE",
    "here-documents": "FROM a\nRUN " + "<<a " * (BLOCK // 8) + "\na" * (BLOCK // 8),
    "here-documents without ends": "FROM a\nRUN " + "<<a " * (BLOCK // 8) + "\nb" * (BLOCK // 8),
    "continued lines": "FROM a\nRUN x \\\n" + "\\ \\\n" * (BLOCK // 4),
    "blanks": "FROM a\nRUN x\\" + " " * BLOCK + "x",
    "one line": "FROM a\nRUN " + "x" * BLOCK,
    "triggers": "FROM a\n" + "ONBUILD RUN x\n" * (BLOCK // 14),
    "mounts": "FROM a\nRUN " + "--mount=from=b,from=c " * (BLOCK // 22),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_file_takes_no_time(name: str) -> None:
    begun = time.perf_counter()
    parsed = parse(LONG[name])
    for image in parsed.images()[:3]:
        parsed.line_naming(image)
    parsed.lineage()
    parsed.launching()
    header.read(LONG[name], Path("x"))
    assert time.perf_counter() - begun < 3


FOLDER: Path


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("variants")
