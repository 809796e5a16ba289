"""The store: nothing that was added is lost, and what goes wrong is told in one sentence."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streams import steps

from layerlab.errors import LabError
from layerlab.record.store import SCHEMA_VERSION, Sample, Store

SAMPLE = Sample("layer-cache", "도커", "d" * 64, "cold", 1, 2, "wall", 1.5, "s")
ENGINE = {"engine": "28.5.2"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def added(path: Path, run: str = "r1") -> list[Sample]:
    with Store(path) as store:
        return store.samples(run)


def python(code: str, *words: str | Path) -> subprocess.Popen[str]:
    """A process of its own with a store, a sample and the given words in sys.argv."""
    start = (
        "import sys, os, signal; from pathlib import Path\n"
        "from layerlab.record.store import Store, Sample\n"
        f"sample = {SAMPLE!r}\nstore = Store(Path(sys.argv[1]))\n"
    )
    argv = [sys.executable, "-c", start + code, *map(str, words)]
    root = Path(__file__).parent.parent
    return subprocess.Popen(
        argv, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_what_is_added_is_there_for_another_at_once(path: Path) -> None:
    with Store(path) as store, Store(path) as other:
        store.begin_run("r1", ENGINE, [{"name": "python:3.11"}])
        for value in (1.0, 2.0):
            store.add("r1", replace(SAMPLE, value=value), steps("ok"))
            assert [sample.value for sample in other.samples("r1")][-1] == value
        assert other.samples("r2") == []


def test_samples_and_steps_come_back_as_they_were(path: Path) -> None:
    invalid = replace(SAMPLE, invalid="[2/4] COPY was cached")
    with Store(path) as store:
        store.begin_run("r1", ENGINE, [])
        store.add("r1", SAMPLE, steps("log"))
        store.add("r1", invalid)
        store.end_run("r1")
    assert added(path) == [SAMPLE, invalid]
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT line, cached, error FROM step ORDER BY ordinal").fetchall()
        assert [row[:2] for row in rows] == [(s.line, s.cached) for s in steps("log")]
        assert "exit code: 1" in rows[-1][2]
        assert db.execute("SELECT ended IS NOT NULL FROM run").fetchall() == [(1,)]
        assert db.execute("SELECT valid FROM sample").fetchall() == [(1,), (0,)]


def test_a_killed_process_loses_nothing_that_was_added(path: Path) -> None:
    code = (
        "store.begin_run('r1', {}, [])\n"
        "for _ in range(5): store.add('r1', sample)\n"
        "store._db.execute('BEGIN'); store._db.execute(\"UPDATE sample SET value = 0\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    process = python(code, path)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert added(path) == [SAMPLE] * 5
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT ended FROM run").fetchall() == [(None,)]


def test_two_processes_create_and_write_one_store_at_once(path: Path) -> None:
    code = (
        "store.begin_run(sys.argv[2], {}, [])\nfor _ in range(50): store.add(sys.argv[2], sample)\n"
    )
    processes = [python(code, path, run) for run in ("r1", "r2", "r3")]
    assert [process.communicate()[1] for process in processes] == ["", "", ""]
    assert [len(added(path, run)) for run in ("r1", "r2", "r3")] == [50, 50, 50]


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_damaged_file_is_told_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(LabError, match="move the file away to begin a new one"):
        Store(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_told_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE run (mine TEXT)")
    with pytest.raises(LabError, match="move the file away"):
        Store(path)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("run",)]


def test_a_newer_schema_is_refused(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    with pytest.raises(LabError, match=f"newer layerlab .schema {SCHEMA_VERSION + 1}.*upgrade"):
        Store(path)


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="unable to open database file"):
        Store(tmp_path / "none" / "store.sqlite")


def in_child(work: Callable[[], None]) -> str:
    """What a LabError said that ``work`` raised in a forked child, which may spoil itself."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            work()
        except LabError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        return pipe.read()


def test_a_file_that_can_not_grow_is_told_and_what_was_added_is_kept(path: Path) -> None:
    def work() -> None:
        with Store(path) as store:
            store.begin_run("r1", ENGINE, [])
            store.add("r1", SAMPLE)
            size = path.with_name(f"{path.name}-wal").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            with pytest.raises(LabError, match="can't be written"):
                store.add("r1", SAMPLE)
            # Space was made: the next sample goes in.
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            store.add("r1", replace(SAMPLE, value=2.0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            store.add("r1", SAMPLE, steps("tricky"))

    told = in_child(work)
    assert str(path) in told
    assert "can't be written" in told
    assert "what was measured before is kept" in told
    assert [sample.value for sample in added(path)] == [1.5, 2.0]


def test_a_full_database(path: Path) -> None:
    def fill(store: Store) -> None:
        for _ in range(1000):
            store.add("r1", SAMPLE, steps("tricky"))

    with Store(path) as store:
        store.begin_run("r1", ENGINE, [])
        store._db.execute("PRAGMA max_page_count=1")  # SQLite's own "disk is full"
        with pytest.raises(
            LabError, match="full: what was measured before is kept; free disk space"
        ):
            fill(store)
        before = store.samples("r1")
        store._db.execute("PRAGMA max_page_count=100000")
        store.add("r1", SAMPLE)
        assert store.samples("r1") == [*before, SAMPLE]


def test_a_store_that_this_user_may_only_read(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).close()

    def work() -> None:
        os.chdir(tmp_path)
        path.chmod(0o444)
        tmp_path.chmod(0o555)
        if os.geteuid() == 0:
            os.setuid(65534)
        with Store(Path("store.sqlite")) as store:
            store.begin_run("r1", ENGINE, [])

    told = in_child(work)
    tmp_path.chmod(0o755)
    assert "store.sqlite can't be" in told
    assert "readonly" in told or "unable to open" in told


@pytest.mark.parametrize("value", [float("nan"), None])
def test_a_value_that_is_none_is_not_kept(path: Path, value: float) -> None:
    with Store(path) as store:
        store.begin_run("r1", ENGINE, [])
        with pytest.raises(LabError):
            store.add("r1", replace(SAMPLE, value=value))
        store.add("r1", SAMPLE)
    assert added(path) == [SAMPLE]


def test_a_sample_of_an_unknown_run_is_refused(path: Path) -> None:
    with Store(path) as store, pytest.raises(LabError, match="FOREIGN KEY"):
        store.add("nobody", SAMPLE)
