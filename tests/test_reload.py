"""Live reload, without an engine: what a record of requests says, and how the app's copy is marked."""

import importlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from layerlab.build.context import Context
from layerlab.engine.client import Client
from layerlab.engine.endpoint import Capabilities, Endpoint
from layerlab.errors import LabError
from layerlab.labs.reloads import Packaged, Reloads
from layerlab.run import marks, reload, watching
from layerlab.run.marks import MENDED, NEW, ONE, SAVES, SEVERAL
from layerlab.run.reload import BIND, EVENTLESS, ORDERED, OVERRIDE, STAT, SYNC, WAYS
from layerlab.run.saving import Outcome
from layerlab.run.together import together
from layerlab.run.watching import Asked, Change, change, first

OLD, RIGHT = {"a": 1}, {"a": 2}


def record(*rows: tuple[float, float, object]) -> list[Asked]:
    """Requests: asked at, ended at, and the answer, or the name of a failure."""
    return [
        Asked(at, ended, None, said) if isinstance(said, str) else Asked(at, ended, said)
        for at, ended, said in rows
    ]


def test_from_a_save_to_the_first_right_answer() -> None:
    asked = record(
        (0.9, 0.91, OLD),
        (1.1, 1.11, OLD),
        (1.2, 1.21, "ConnectionRefusedError"),
        (1.3, 1.31, "EOFError"),
        (1.4, 1.52, RIGHT),
        (1.45, 1.5, RIGHT),
        (1.6, 1.61, "EOFError"),
        (1.7, 1.71, RIGHT),
    )
    looks = [0.9, 1.1, 1.2, 1.3, 1.4, 1.45, 1.6, 1.7]
    assert change(asked, looks, 1.0, 1.0, RIGHT) == Change(
        seconds=pytest.approx(0.5),
        asked=5,
        failed=2,
        silent_seconds=pytest.approx(0.39),
        resolution_seconds=pytest.approx(0.15),
    )


def test_a_request_that_waits_while_the_app_restarts_has_not_failed() -> None:
    asked = record((1.1, 1.11, OLD), (1.2, 3.0, RIGHT), (1.3, 3.01, RIGHT))
    told = change(asked, [1.1, 1.2, 1.3, 1.4, 1.5], 1.0, 1.0, RIGHT)
    assert (told.seconds, told.failed, told.silent_seconds) == (2.0, 0, pytest.approx(1.89))


def test_what_is_broken_before_it_is_mended_counts_as_failed_and_not_as_time() -> None:
    asked = record((1.1, 1.2, "EOFError"), (1.9, 2.0, "EOFError"), (2.1, 2.4, RIGHT))
    told = change(asked, [1.1, 1.9, 2.1], 1.0, 2.05, RIGHT)
    assert (told.seconds, told.failed, told.asked) == (pytest.approx(0.35), 2, 3)
    assert told.silent_seconds == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ([], "no answer shows"),
        (record((1.1, 1.2, OLD)), "no answer shows"),
        (record((1.1, 1.2, "EOFError")), "no answer shows"),
        # A right answer that came before the save is of another save.
        (record((0.5, 0.9, RIGHT)), "no answer shows"),
        (record((0.95, 0.99, RIGHT), (1.1, 1.2, RIGHT)), "before it was saved"),
    ],
    ids=["nobody-asked", "old", "failed", "too-early", "right-before-too"],
)
def test_a_record_that_proves_nothing(asked: list[Asked], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        change(asked, [one.at for one in asked], 0.92, 1.0, RIGHT)


def test_odd_records() -> None:
    # Answers overtake one another, one was asked before the save, and some are no marks at all.
    asked = record((1.3, 1.4, RIGHT), (0.99, 1.35, RIGHT), (1.1, 1.5, "EOFError"), (1.2, 1.3, [1]))
    assert first(asked, 1.0, RIGHT) == asked[1]
    told = change(asked, [], 1.0, 1.0, RIGHT)
    assert (told.seconds, told.asked, told.failed) == (pytest.approx(0.35), 3, 1)
    assert told.resolution_seconds == 0


@contextmanager
def served(answers: list[tuple[float, int, bytes]]) -> Iterator[str]:
    """A server that answers each request with the next of: seconds to wait, status, body; the last stays."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                wait, status, body = answers.pop(0) if len(answers) > 1 else answers[0]
            time.sleep(wait)
            if status:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/marks"
    finally:
        server.shutdown()
        server.server_close()


def test_an_app_is_watched() -> None:
    right = json.dumps(RIGHT).encode()
    bad = [
        (0.0, 500, right),
        (0.0, 200, b"{"),
        (0.0, 0, b""),
        (0.0, 200, b"\xff"),
        (0.3, 200, b"1"),
    ]
    with served([*bad, (0.0, 200, right)]) as url, watching.watching(url) as watch:
        begun = time.monotonic()
        assert watch.shows(RIGHT, begun, 5)
        assert watch.shows(OLD, begun, 0.05) is None
        time.sleep(0.35)
        watch.finish(time.monotonic())
    asked = watch.record()
    # Requests overtake one another where the machine is busy.
    assert sorted(one.failure for one in asked if one.failure) == [
        "EOFError",
        "JSONDecodeError",
        "UnicodeDecodeError",
        "ValueError",
    ]
    assert [one.ended - one.at >= 0.3 for one in asked if one.answer == 1] == [True]
    assert len(watch.looks()) >= len(asked) > 20


def test_no_more_than_a_few_requests_wait_and_one_in_vain_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "PATIENCE_SECONDS", 0.3)
    with served([(1.0, 200, b"1")]) as url, watching.watching(url) as watch:
        time.sleep(0.5)
    asked = watch.record()
    assert {one.failure for one in asked} == {"TimeoutError"}
    assert len(asked) == watching.MOST_WAITING
    assert len(watch.looks()) > 2 * len(asked)


def test_nobody_listens() -> None:
    with watching.watching("http://127.0.0.1:1/") as watch:
        time.sleep(0.2)
    assert {one.failure for one in watch.record()} == {"ConnectionRefusedError"}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    main = "class App:\n    def add_api_route(self, path, get): self.get = get\n\napp = App()\n"
    (folder / "main.py").write_text(main)
    return folder


def read(folder: Path) -> object:
    """What the app answers when it is started now."""
    names = ("main", "lab_marks", *(path.stem for path in folder.glob("mark_*.py")))
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    importlib.invalidate_caches()
    try:
        return importlib.import_module("main").app.get()
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = before
        for name in names:
            sys.modules.pop(name, None)


def test_the_app_answers_what_was_saved(app: Path) -> None:
    marked = marks.mark(Context(app), "first", "n1")
    assert read(app) == marked.marks
    assert set(marked.marks.values()) == {"first"}
    seen = [dict(marked.marks)]
    for save in SAVES:
        if save.broken:
            marked.break_it(save)
            with pytest.raises(SyntaxError):
                read(app)
        expected = marked.save(save)
        assert read(app) == expected
        # Or an image with it would have been built before.
        assert expected not in seen
        seen.append(dict(expected))
        marked.touch()
        assert read(app) == expected


def test_saves_of_two_copies_are_never_the_same(app: Path) -> None:
    one = marks.mark(Context(app), "first", "n1").save(SEVERAL)
    (app / "main.py").write_text("app = None\n")
    other = marks.mark(Context(app), "first", "n2").save(SEVERAL)
    assert not set(one.values()) & (set(other.values()) - {"first"})


@pytest.mark.parametrize(
    "text", ["app: object = App()", "if True:\n    app = App()", "from other import app"]
)
def test_other_ways_to_set_the_app(app: Path, text: str) -> None:
    main = (app / "main.py").read_text()
    (app / "other.py").write_text(main)
    (app / "main.py").write_text(main.replace("app = App()", text))
    assert marks.mark(Context(app), "first", "n1").marks == read(app)


def test_a_link_is_replaced_and_what_it_leads_to_stays(app: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "main.py"
    (app / "main.py").rename(theirs)
    (app / "main.py").symlink_to(theirs)
    before = theirs.read_text()
    marks.mark(Context(app), "first", "n1").touch()
    assert theirs.read_text() == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "app/main.py: No such file or directory: the live reload lab needs it"),
        ("def create(): ...\n", "app/main.py sets no `app`"),
        ("def app(): ...\n", "app/main.py sets no `app`"),
        ("app = (\n", "app/main.py can't be read by Python: '\\(' was never closed"),
    ],
    ids=["none", "no-app", "function", "broken"],
)
def test_an_app_that_can_not_be_marked(app: Path, text: str | None, sentence: str) -> None:
    (app / "main.py").unlink()
    if text is not None:
        (app / "main.py").write_text(text)
    with pytest.raises(LabError, match=sentence):
        marks.mark(Context(app), "first", "n1")


def endpoint(host: str = "unix:///run/docker.sock", compose: str | None = "2.40.3") -> Endpoint:
    can = Capabilities(
        "28.5", "1.51", "overlay2", "0.29", compose, False, "linux/amd64", 2, 1 << 30
    )
    return Endpoint(host, "--engine", Client("docker", {}), capabilities=can)


def test_what_an_engine_does_not_have() -> None:
    assert [reload.lacking(way, endpoint()) for way in WAYS] == [None] * len(WAYS)
    afar = {way for way in WAYS if reload.lacking(way, endpoint("tcp://10.0.0.1:2375"))}
    assert afar == {BIND, OVERRIDE, STAT, EVENTLESS}
    bare = {way for way in WAYS if reload.lacking(way, endpoint(compose=None))}
    assert bare == {OVERRIDE, SYNC}
    assert reload.lacking(SYNC, endpoint(compose="2.21.0")) == (
        "docker compose 2.21.0 has no watch: it came with 2.22"
    )
    assert reload.lacking(SYNC, endpoint(compose="2.22.0")) is None


def test_the_tables_fit_and_say_what_is_missing() -> None:
    marks_now = {"mark_one": "x"}

    def outcome(seconds: float, failed: int, noticed: bool = True) -> Outcome:
        told = Change(seconds, 1000, failed, seconds / 2, 0.008)
        return Outcome(told, marks_now, marks_now, noticed)

    result = Reloads()
    result.outcomes = {way: {s: outcome(31.25, 999) for s in way.saves} for way in WAYS}
    result.outcomes[STAT][NEW] = outcome(0.5, 0, noticed=False)
    result.outcomes[ORDERED] = {ONE: outcome(0.9, 80), MENDED: outcome(0.7, 90)}
    result.problems[ORDERED] = LabError("it failed")
    result.lacking[SYNC] = "this client has no docker compose"
    del result.outcomes[SYNC]
    result.polled = {EVENTLESS}
    answers, silences = result.sections("simple", 80)
    for section in (answers, silences):
        assert max(map(len, section.table.splitlines())) <= 80
    rows = {line.split("  ")[0]: line for line in answers.table.splitlines()}
    assert rows["3 compose watch"].split()[3:] == ["x"] * 5
    assert "*0.50   0" in rows["6 as 1, no watchfiles"]
    assert "7 mount without events p" in rows
    assert rows["4 cache-ordered"].split()[2:] == ["0.90", "80", "0.70", "90", "x", "x", "x"]
    notes = "\n".join(answers.notes)
    assert "WATCHFILES_FORCE_POLLING=true" in notes
    assert "x not available: 3: this client has no docker compose" in notes
    assert "x not available: 4: it was not measured to its end" in notes
    assert "they were 8 ms apart (median), and 8 ms at most" in notes
    assert "so no measurement" not in notes
    coarse = Outcome(Change(0.5, 9, 0, 0.2, 0.012), marks_now, marks_now, True)
    assert coarse.invalid == "requests were 12 ms apart, and 10 ms is the most"
    result.outcomes[BIND][NEW] = coarse
    (told, _) = result.sections("simple", 80)
    assert (
        "More than 10 ms apart, so no measurement (the machine was busy): 1 new file." in told.notes
    )
    github, _ = result.sections("github", 120)
    assert "\n\n" not in github.table


def test_a_way_without_its_variant_is_left_out() -> None:
    nothing = Packaged(None, None, None)
    assert all(nothing.lacking(way) for way in WAYS)


def test_things_start_together_and_one_that_fails_stops_no_other() -> None:
    log: list[str] = []

    @contextmanager
    def thing(name: str, problem: Exception | None = None) -> Iterator[str]:
        time.sleep(0.05)
        if problem:
            raise problem
        try:
            yield name
        finally:
            time.sleep(0.05)
            log.append(name)

    bad = LabError("no")
    never = pytest.fail
    with together([thing("a"), thing("b", bad), thing("c")], interrupt=never) as started:
        assert started.values == ["a", bad, "c"]
    assert sorted(log) == ["a", "c"]
    assert started.saved_seconds > 0
    with pytest.raises(KeyboardInterrupt), together([thing("d")], interrupt=never):
        raise KeyboardInterrupt
    last = [thing("e"), thing("f", ZeroDivisionError())]
    with pytest.raises(ZeroDivisionError), together(last, interrupt=never):
        pytest.fail("it does not begin")
    assert sorted(log) == ["a", "c", "d", "e"]
