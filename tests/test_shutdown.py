"""What a stop means, what is told of it and how it is shown; no engine is asked."""

from dataclasses import replace
from pathlib import Path

import pytest

from layerlab.build.variant import Variant, load
from layerlab.labs.lives import Case, Life, Lives, explain
from layerlab.labs.shutdown import cases_of
from layerlab.run.shutdown import ANSWERED, LOST, REFUSED, Stop, culprit, remedy
from layerlab.summary import section_lines

PROJECT = Path(__file__).parent.parent
IDLE = Stop(seconds=0.31, exit_code=0, killed=False, hook=True)
BAD = Stop(seconds=10.24, exit_code=137, killed=True, hook=False, requests=(LOST,))
LIFE = Life(0.81, 40_400_000, "python3.11", IDLE, ANSWERED, "\n    INFO:     bye")
KILLED = replace(LIFE, first="dash", stop=BAD, request=LOST)


def written(folder: Path, text: str) -> Variant:
    path = folder / "student.Dockerfile"
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize(
    ("stop", "kind"),
    [
        (IDLE, "clean"),
        (replace(IDLE, exit_code=143), "clean"),
        (replace(IDLE, hook=False, exit_code=143), "abrupt"),
        (replace(IDLE, hook=False), "abrupt"),
        # The app's log is off.
        (replace(IDLE, hook=None), "clean"),
        (replace(IDLE, hook=None, exit_code=143), "abrupt"),
        (BAD, "killed"),
        # Its hook ran, and then it did not end.
        (replace(BAD, hook=True), "killed"),
    ],
)
def test_kind(stop: Stop, kind: str) -> None:
    assert stop.kind == kind


@pytest.mark.parametrize(
    ("requests", "became"),
    [
        ((), None),
        ((REFUSED,), None),
        ((ANSWERED,), ANSWERED),
        ((REFUSED, ANSWERED), ANSWERED),
        ((LOST, ANSWERED), LOST),
    ],
)
def test_request(requests: tuple[str, ...], became: str | None) -> None:
    assert replace(IDLE, requests=requests).request == became


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("FROM a\n", []),
        ("FROM a\nCMD x\nCMD y\n", [3]),
        ('FROM a\nCMD ["x"]\nENTRYPOINT ["y"]\n', [3, 2]),
        # A command of shell form takes no further words.
        ('FROM a\nCMD ["x"]\nENTRYPOINT y\n', [3]),
        ('FROM a AS one\nCMD ["x"]\nFROM b\nCMD ["y"]\n', [4]),
        ('FROM a AS one\nENTRYPOINT ["x"]\nFROM one\nCMD ["y"]\n', [2, 4]),
    ],
)
def test_what_starts_the_app(tmp_path: Path, text: str, lines: list[int]) -> None:
    assert [one.line for one in written(tmp_path, text).dockerfile.launching()] == lines


@pytest.mark.parametrize(
    ("text", "first", "line", "said"),
    [
        (
            "FROM a\nCMD uvicorn main:app --port 8000\n",
            "dash",
            2,
            'write CMD ["uvicorn", "main:app", "--port", "8000"]',
        ),
        # Single quotes are no JSON: BuildKit takes it for shell form.
        ("FROM a\nCMD ['uvicorn', 'main:app']\n", "dash", 2, "write a list in double quotes (CMD"),
        ("FROM a\nCMD uvicorn main:app --port $PORT\n", "dash", 2, "or `exec` before the command"),
        ("FROM a\nENTRYPOINT run me\n", "docker-init", 2, 'write ENTRYPOINT ["run", "me"]'),
        (
            'FROM a\nENTRYPOINT ["/x"]\nCMD ["y"]\n',
            "dash",
            2,
            'let its script end with `exec "$@"`',
        ),
        ('FROM a\nENTRYPOINT ["tini", "--"]\nCMD y\n', "tini", 3, 'write CMD ["y"]'),
        ('FROM a\nENTRYPOINT ["tini", "--", "/x"]\n', "tini", 2, "passes SIGTERM to its own child"),
        ('FROM a\nCMD ["python", "x.py"]\n', "python3.11", 2, "let the app shut down on SIGTERM"),
        ("FROM a\nCMD python x.py\n", "python3.11", 2, "let the app shut down on SIGTERM"),
        ("FROM a\n", "dash", 0, "A shell passes no signal on"),
    ],
)
def test_remedy(tmp_path: Path, text: str, first: str, line: int, said: str) -> None:
    launching = written(tmp_path, text).dockerfile.launching()
    assert culprit(launching) == line
    assert said in remedy(launching, first)


def test_what_a_student_is_told(tmp_path: Path) -> None:
    case = Case(written(tmp_path, "FROM a\nRUN b\nCMD uvicorn main:app\n"))
    assert explain(case, LIFE, "stop", "clean") is None
    assert explain(case, KILLED, "stop", "any") is None
    assert explain(case, replace(KILLED, request=None), "request", "answered") is None
    assert explain(case, KILLED, "stop", "clean") == (
        "student.Dockerfile:3: docker stop killed it after 10.2 s (exit code 137); expected: clean, got: "
        "killed. PID 1 was dash.\nCMD in shell form is run by /bin/sh -c, and a shell passes no signal on: "
        'write CMD ["uvicorn", "main:app"].\n    INFO:     bye'
    )
    lost = str(explain(case, KILLED, "request", "answered"))
    assert "of the requests that the app had taken one was lost; expected: answered" in lost
    # Better than its header says: there is nothing to mend.
    assert explain(case, LIFE, "stop", "killed") == (
        "student.Dockerfile:3: docker stop ended it, with its shutdown hook, after 0.3 s (exit code 0); "
        "expected: killed, got: clean. PID 1 was python3.11."
    )


def test_those_that_wait_go_first() -> None:
    names = ("cache-ordered", "entrypoint-exec", "entrypoint-script", "shell-form")
    variants = [load(PROJECT / "dockerfiles" / f"{name}.Dockerfile") for name in names]
    assert [case.name for case in cases_of(variants)] == [
        "entrypoint-script",
        "shell-form",
        "cache-ordered",
        "entrypoint-exec",
        "cache-ordered --init",
        "shell-form --init",
    ]


def test_tables_fit_a_terminal() -> None:
    """Untrusted names and programs, too."""
    odd = replace(KILLED, first="\x1b[2J" + "p" * 60, request=None)
    unseen = replace(LIFE, stop=replace(IDLE, hook=None))
    lives = Lives(lives={"cache-ordered --init": LIFE, "x\x1b" * 30: odd, "no-log": unseen})
    lives.wall_seconds, lives.serial_seconds = 21.4, 60.2
    start, stop = lives.sections("simple", 80)
    for section in (start, stop):
        lines = section_lines(section, 80)
        assert max(map(len, lines)) <= 80
        assert "\x1b" not in "".join(lines)
    rows = [line.split() for line in (start.table + "\n" + stop.table).splitlines()]
    assert ["cache-ordered", "--init", "0.81", "40.4"] in rows
    assert ["no-log", "python3.11", "0.31", "0", "clean", "-", "answered"] in rows
    assert stop.notes[-1] == ("All of this took 21 s; one after another it would have been 60 s.")
    assert list(Lives().sections("simple", 80)) == []
    assert all(section.table.startswith("| variant") for section in lives.sections("github", 120))
