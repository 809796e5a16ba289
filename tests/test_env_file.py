"""Env files, checked before Docker gets them: one sentence with the line for each mistake."""

from pathlib import Path

import pytest

from layerlab.errors import LabError
from layerlab.run import envfile

GOOD = "\ufeff# a comment\n\n  A=a b\nB=\nC\r\nD='x=1' # y\nE.f-g=#\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.env"


def test_a_good_file(path: Path) -> None:
    path.write_text(GOOD)
    found = {"A": "a b", "B": "", "C": None, "D": "'x=1' # y", "E.f-g": "#"}
    assert envfile.check(path, compose=False) == found
    assert envfile.check(path, compose=True) == found


def test_compose_knows_export_and_quotes_over_lines(path: Path) -> None:
    path.write_text("export A = \"one\n2 two\"\nB='it\\'s'\n")
    assert envfile.check(path, compose=True) == {"A": ' "one\n2 two"', "B": "'it\\'s'"}
    with pytest.raises(LabError, match=r"app\.env:1: `export A ` is no name of a variable"):
        envfile.check(path, compose=False)


def test_a_missing_file(path: Path) -> None:
    with pytest.raises(LabError) as error:
        envfile.check(path, compose=False)
    assert (
        str(error.value) == f"{path}: No such file or directory: name an env file that can be read"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A=1\nthis is no variable\n", "2: `this is no variable` is not NAME=VALUE"),
        ("A=1\n\n2B=2\n", "3: `2B` is no name of a variable"),
        ("=x\n", "1: `` is no name of a variable"),
        ("A B=x\n", "1: `A B` is no name of a variable"),
        ("변수=x\n", "1: `변수` is no name of a variable"),
        ("A\x1b[2J=x\n", "1: `A\\x1b[2J` is no name of a variable"),
    ],
)
@pytest.mark.parametrize("compose", [False, True], ids=["docker", "compose"])
def test_a_malformed_line(path: Path, text: str, sentence: str, compose: bool) -> None:
    path.write_text(text)
    with pytest.raises(LabError) as error:
        envfile.check(path, compose=compose)
    assert str(error.value).startswith(f"{path}:{sentence}")


def test_a_quote_that_is_not_closed(path: Path) -> None:
    path.write_text('A=1\nB="open\nC=2\n')
    with pytest.raises(LabError, match=":2: a quote is opened and not closed"):
        envfile.check(path, compose=True)
    assert envfile.check(path, compose=False)["B"] == '"open'


def test_a_file_that_is_no_text(path: Path) -> None:
    path.write_bytes(b"A=1\nB=\xff\n")
    with pytest.raises(LabError, match=":2: this env file is not UTF-8 text"):
        envfile.check(path, compose=False)
