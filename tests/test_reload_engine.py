"""Live reload on a real engine: each way ends in the right answer, or says why not, and leaves nothing."""

import io
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from layerlab.build.variant import Variant, load
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.process import comes_true
from layerlab.folders import cache_folder, record_folder
from layerlab.lab import Lab
from layerlab.labs import live_reload
from layerlab.labs.reloads import Packaged, Reloads
from layerlab.opening import opened
from layerlab.run import delivery
from layerlab.run.reload import BIND, EVENTLESS, ORDERED, STAT, SYNC, WAYS, Way
from layerlab.settings import Settings
from layerlab.show.live import Screen

PROJECT = Path(__file__).parent.parent
pytestmark = pytest.mark.engine
#: Read anew when uvicorn starts the app again; then it does not come up.
COMES_UP_ONCE = """

import pathlib
if pathlib.Path(__file__).with_name("mark_one.py").read_text() != pathlib.Path(__file__).with_name("mark_two.py").read_text():
    raise RuntimeError("the \\x1b[2Jreason")
"""


@pytest.fixture(autouse=True)
def nothing_left(endpoint: Endpoint) -> Iterator[None]:
    yield
    assert leftovers.remaining(endpoint) == []
    assert comes_true(lambda: not watchers(), 5)


def watchers() -> list[str]:
    """The `docker compose watch` of this user's runs."""
    words = ["ps", "-ww", "-A", "-o", "args"]
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in found if "watch --no-up" in line and str(cache_folder()) in line]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Leaves only some of the ways, to save time."""

    def leave(*ways: Way) -> None:
        monkeypatch.setattr(live_reload, "WAYS", ways)

    return leave


@pytest.fixture
def measured(endpoint: Endpoint, tmp_path: Path) -> Callable[..., Reloads]:
    """Runs the lab on a project with another app."""

    def run(
        more: str = "", limit: float = 30, app: Path = PROJECT / "app", without: str = ""
    ) -> Reloads:
        (tmp_path / "app").mkdir()
        for path in app.iterdir():
            if path.is_file():
                (tmp_path / "app" / path.name).write_bytes(path.read_bytes())
        with (tmp_path / "app" / "main.py").open("a") as main:
            main.write(more)
        before = {path: path.read_bytes() for path in (tmp_path / "app").iterdir()}
        names = ("development", "cache-ordered")
        variants = []
        for name in names:
            text = (PROJECT / "dockerfiles" / f"{name}.Dockerfile").read_text()
            path = tmp_path / f"{name}.Dockerfile"
            path.write_text(text.replace(without, "") if without else text)
            variants.append(load(path))
        settings = Settings(tmp_path, start_limit_seconds=limit)
        with opened(endpoint, Screen(io.StringIO()), settings, variants, {}) as lab:
            result = live_reload.measure(lab, Packaged(*variants, None))
        assert {path: path.read_bytes() for path in (tmp_path / "app").iterdir()} == before
        return result

    return run


def test_every_way_ends_in_the_right_answer(
    measured: Callable[..., Reloads], tmp_path: Path
) -> None:
    result = measured()
    assert result.problems == {}
    for way, outcomes in result.outcomes.items():
        assert set(outcomes) == set(way.saves)
        for save, one in outcomes.items():
            assert one.answer == one.expected, (way.name, save.name)
            assert one.noticed == (save not in way.blind), (way.name, save.name)
            assert bool(one.build) == way.builds
    # Where it can be had at all, the kernel's silence was found, and polling helped.
    assert result.polled == {EVENTLESS}
    assert result.kept == {way for way in WAYS if not way.builds}
    with sqlite3.connect(record_folder(tmp_path) / "store.sqlite") as store:
        rows = store.execute("SELECT scenario, metric FROM sample WHERE valid").fetchall()
    exact = {
        (w.name, s.name)
        for w in result.outcomes
        for s, one in result.outcomes[w].items()
        if one.exact
    }
    assert (("bind mount: new file", "answer") in rows) == (("bind mount", "new file") in exact)
    assert ("as 1, no watchfiles: new file", "answer") not in rows


@pytest.mark.parametrize("way", [BIND, ORDERED], ids=lambda way: way.name)
def test_an_app_that_does_not_come_up_again_says_why(
    measured: Callable[..., Reloads], few: Callable[..., None], way: Way
) -> None:
    few(way)
    begun = time.monotonic()
    result = measured(COMES_UP_ONCE, limit=8)
    assert time.monotonic() - begun < 60
    told = str(result.problems[way])
    assert told.startswith(f"live reload, {way.name}: `one file` was saved, and the app ")
    assert "RuntimeError: the \\x1b[2Jreason" in told
    assert told.count("\n") <= 9


def test_a_way_that_fails_stops_no_other(
    measured: Callable[..., Reloads],
    few: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few(SYNC, STAT)
    monkeypatch.setattr("layerlab.run.compose._WATCHES", "never said")
    monkeypatch.setattr("layerlab.run.compose.WATCH_SECONDS", 1)
    result = measured()
    assert "docker compose watch: it did not begin to watch" in str(result.problems[SYNC])
    assert "Watch enabled" in str(result.problems[SYNC])
    assert set(result.outcomes) == {STAT}


def test_what_is_saved_and_does_not_arrive_is_told(
    measured: Callable[..., Reloads], few: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    few(ORDERED)
    # As an ignore file would do it.
    build = Lab.build

    def without(lab: Lab, variant: Variant, context, what: str, **more):  # type: ignore[no-untyped-def]
        if what == "rebuild":
            file = context.folder / "mark_one.py"
            text = file.read_text()
            file.write_text(f"MARK = {lab.run.id!r}\n")
            try:
                return build(lab, variant, context, what, **more)
            finally:
                file.write_text(text)
        return build(lab, variant, context, what, **more)

    monkeypatch.setattr(Lab, "build", without)
    assert "`one file` is not in the container" in str(measured().problems[ORDERED])


def test_an_image_without_watchfiles_is_told_from_a_mount_without_events(
    measured: Callable[..., Reloads], few: Callable[..., None]
) -> None:
    few(BIND, EVENTLESS)
    result = measured(without=" watchfiles==1.3.0")
    assert result.polled == set()
    told = {way: str(problem) for way, problem in result.problems.items()}
    assert told[BIND] == (
        "live reload, bind mount: development.Dockerfile:7: `new file` is in the container, and the app was "
        "not told: the image has no watchfiles, without which uvicorn --reload only looks at the files that "
        "it knows: install it there"
    )
    if EVENTLESS not in result.lacking:
        assert "7: the app looked at its files by itself: the image has no" in told[EVENTLESS]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=lambda end: end.name)
def test_a_run_that_is_ended_leaves_nothing(
    endpoint: Endpoint, project: Path, end: signal.Signals
) -> None:
    environ = {**os.environ, **endpoint.environ(), "COLUMNS": "100"}
    words = [sys.executable, "-m", "layerlab", "run", "-k", "live_reload"]
    running = subprocess.Popen(
        words, cwd=project, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 120
    store = project / ".layerlab" / "store.sqlite"
    # In the middle of the saves: samples come as soon as they are measured.
    while time.monotonic() < deadline and running.poll() is None:
        with suppress(sqlite3.Error), sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
            if db.execute("SELECT count(*) FROM sample").fetchone()[0]:
                break
        time.sleep(0.2)
    assert watchers()
    running.send_signal(end)
    said, _ = running.communicate(timeout=60)
    if end == signal.SIGINT:
        assert running.returncode == 2, said
        assert "KeyboardInterrupt" in said
        return
    # What could not clean up is cleaned up after by the next run; it takes the watched folder away.
    assert leftovers.remaining(endpoint) != []
    leftovers.remove_dead(endpoint)


def test_a_variant_that_was_not_asked_for(lab_run: Callable[..., object]) -> None:
    done = lab_run("-k", "live_reload", "--variant", "production")
    assert done.returncode == 0  # type: ignore[attr-defined]
    assert "of which none was asked for" in done.stdout  # type: ignore[attr-defined]


def test_a_variant_that_was_asked_for_by_its_path(lab_run: Callable[..., object]) -> None:
    path = "dockerfiles/cache-ordered.Dockerfile"
    done = lab_run("--collect-only", "-q", "-k", "live_reload", "--variant", path)
    assert "[cache-ordered-" in done.stdout, done.stdout  # type: ignore[attr-defined]


def test_an_engine_that_makes_no_such_mount_lacks_that_way(
    measured: Callable[..., Reloads], few: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    few(EVENTLESS)
    # As where the folder is not on the engine's machine, or the engine may not mount.
    monkeypatch.setattr(delivery, "_OVERLAY", "lowerdir=/nowhere:{empty}")
    result = measured()
    assert result.problems == {}
    assert result.lacking[EVENTLESS].startswith("this engine mounts no overlay")
