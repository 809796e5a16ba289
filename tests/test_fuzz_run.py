"""Env files, compose files and sizes at random: read, or refused in a sentence.

`pytest --hypothesis-profile=long` tries far more examples (tests/conftest.py).
"""

import os
import threading
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from layerlab.errors import LabError
from layerlab.run import composefile, envfile
from layerlab.text import plain, shorten
from layerlab.units import bytes_text, megabytes, parse_bytes, parse_percent


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "file"


def check_sentence(error: LabError) -> None:
    """One line that a terminal can show, and nobody would mind reading."""
    assert len(str(error)) < 1_000
    assert plain(str(error)) == str(error)
    assert "\n" not in str(error)


ENV_TEXTS = st.lists(
    st.sampled_from(
        (
            *("A", "_b1", "=", "\n", "\r\n", '"', "'", "\\", "#", " ", "\t", "export ", "$A", "é"),
            *("\0", "\ufeff", "\x85", "\u2028", "\x1b[2J", "=x" * 300, "0", "-", "."),
        )
    )
    | st.text(max_size=4),
    max_size=30,
).map("".join)


@given(st.one_of(st.binary(max_size=60), ENV_TEXTS.map(str.encode)), st.booleans())
@example(b"A=1\0", False)
@example(b"A='\n" * 3, True)
def test_any_env_file_is_read_or_refused(path: Path, data: bytes, compose: bool) -> None:
    path.write_bytes(data)
    try:
        found = envfile.check(path, compose=compose)
    except LabError as error:
        check_sentence(error)
        return
    text = data.decode("utf-8-sig")
    for name, value in found.items():
        envfile.check_name(name, "x")
        assert value is None or (value in text.replace("\r\n", "\n") or value in text)
    if not compose:
        lines = [line for line in text.split("\n") if line.strip() and line.lstrip()[0] != "#"]
        assert len(found) <= len(lines)


#: What takes time with the square of the length takes a minute at this one.
SIZE = envfile.LONGEST // 8
LONG = {
    "a quote without an end": "A='" + "x\n" * (SIZE // 2),
    "many quotes": "A='x\n'\n" * (SIZE // 7),
    "escapes": 'A="' + '\\"' * (SIZE // 2) + '"',
    "one value": "A=" + "x" * SIZE,
    "no value": "A\n" * (SIZE // 2),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_env_file_takes_no_time(path: Path, name: str) -> None:
    path.write_text(LONG[name])
    begun = time.perf_counter()
    try:
        envfile.check(path, compose=True)
    except LabError as error:
        check_sentence(error)
    assert time.perf_counter() - begun < 5


def test_an_env_file_without_an_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is longer than the 2 MiB"):
        envfile.check(Path("/dev/zero"), compose=False)
    with pytest.raises(LabError, match="Is a directory"):
        envfile.check(tmp_path, compose=False)


def test_an_env_file_may_be_a_pipe(tmp_path: Path) -> None:
    """As of `<(…)` in a shell; what can be read once only is read once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for data, line in ((b"A=1\nB=\xff", 2), (b"A=1\nB=\0", 2)):
        writer = threading.Thread(target=pipe.write_bytes, args=(data,))
        writer.start()
        with pytest.raises(LabError, match=f"pipe:{line}: "):
            envfile.check(pipe, compose=False)
        writer.join()


YAML_TEXTS = st.lists(
    st.sampled_from(
        (
            *("services:", "\n", "  ", "    ", "- ", "web", ": ", "{", "}", "[", "]", "&a ", "*a"),
            *("!!python/object/apply:os.system ['x']", "!<%zz> ", "%YAML 1.1\n---\n", "? ", "|\n"),
            *('"\\U00110000"', '"\\x1', "'", '"', "#", "\t", "\0", "\ufeff", "<<: ", "---\n", "..."),
            *("[" * 300, "0x" + "1" * 5_000, "\x1b", "\ud7ff", "a: &a [*a]\n", "%YAML " + "9" * 5_000),
        )
    ),
    max_size=20,
).map("".join)  # fmt: skip
KEYS = st.lists(st.sampled_from(["services", "web", "0", "a", ""]), min_size=1, max_size=3)


@given(st.one_of(st.binary(max_size=60), YAML_TEXTS.map(str.encode)), KEYS)
@example(b"- " * 5_000, ["0"])
@example(b"a: {" * 5_000, ["a"])
@example(b'a: "\\U00110000"', ["a"])
@example(b"[" * 5_000, ["0"])
@example(b"%YAML " + b"9" * 5_000 + b".1\n---\na", ["a"])
def test_any_compose_file_has_a_line_for_what_is_wrong(
    path: Path, data: bytes, keys: list[str]
) -> None:
    path.write_bytes(data)
    wrong = composefile.broken(path)
    lines = len(data.decode(errors="replace").splitlines()) + 1
    if wrong:
        assert 1 <= wrong[0] <= lines
        assert wrong[1]
        assert "\n" not in wrong[1]
    line = composefile.line_of(path, keys)
    assert line is None or 1 <= line <= lines
    composefile.nearest([path, path.with_name("missing")], keys)


def test_an_alias_in_itself_has_a_line(path: Path) -> None:
    path.write_text("a: &a\n  a: *a\n")
    assert composefile.line_of(path, ["a"] * 50) == 2
    assert yaml.safe_load(path.read_text())


SIZES = st.text("0123456789.eE+-_ kKMGTiB%\n٣½", max_size=30) | st.text(max_size=40)


@given(SIZES)
@example("9" * 18 + "." + "9" * 9 + "TiB")
def test_any_text_is_a_size_or_refused(text: str) -> None:
    for read in (parse_bytes, parse_percent):
        try:
            found = read(text)
        except LabError as error:
            check_sentence(error)
        else:
            assert 0 <= found < 2**110


@given(st.integers(-(10**30), 10**30))
def test_any_number_of_bytes_can_be_printed(count: int) -> None:
    assert bytes_text(count).isprintable()
    assert megabytes(count).isprintable()


@given(st.text(st.characters(exclude_categories=[]), max_size=100), st.integers(1, 80))
def test_any_text_can_be_shown(text: str, width: int) -> None:
    shown = plain(text)
    assert plain(shown) == shown
    shown.encode()
    assert not set(shown) & {"\x1b", "\r", "\x9b", "\u202e", "\u2066", "\x7f"}
    assert len(shorten(text, width)) <= width


def test_nothing_of_yaml_is_run(path: Path) -> None:
    path.write_text(f"a: !!python/object/apply:os.mkdir ['{path}-made']\n")
    composefile.broken(path)
    composefile.line_of(path, ["a", "0"])
    assert not path.with_name(f"{path.name}-made").exists()
