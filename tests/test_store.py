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
from layerlab.record.rows import Sample
from layerlab.record.run import State
from layerlab.record.schema import SCHEMA_VERSION
from layerlab.record.store import SUPERSEDED, Store

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
    with Store(path) as store:
        first = store.kept("r1")[0].id
        # What a step printed is not kept.
        bare = tuple(replace(step, log=(), unfinished=False) for step in steps("log"))
        assert store.steps("r1") == {first: bare}
        assert store.run("r1").state("", ()) == State.DONE


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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
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


def test_a_turn_that_failed_has_a_reason_in_place_of_a_value(path: Path) -> None:
    failed = replace(SAMPLE, value=None, invalid="the build failed", control=True, context="c")
    with Store(path) as store:
        store.begin_run("r1", ENGINE, [])
        store.add("r1", failed)
    assert added(path) == [failed]


def test_what_is_measured_anew_is_kept_and_not_used(path: Path) -> None:
    rounds = [replace(SAMPLE, round=number) for number in (0, 1, 2)]
    failed = replace(SAMPLE, round=2, value=None, invalid="it failed")
    other = replace(SAMPLE, experiment="image-size", round=2)
    with Store(path) as store:
        store.begin_run("r1", ENGINE, [])
        for sample in (*rounds, failed, other):
            store.add("r1", sample)
        for _ in range(2):
            store.supersede("r1", "layer-cache", after_round=1)
        reasons = [sample.invalid for sample in store.samples("r1")]
    assert reasons == [None, None, SUPERSEDED, f"{SUPERSEDED}: it failed", None]


def test_a_store_of_version_1_is_brought_to_the_newest_with_all_that_is_in_it(path: Path) -> None:
    """Recorded by `layerlab run` before version 2."""
    with sqlite3.connect(path) as db:
        db.executescript((Path(__file__).parent / "records" / "v1.sql").read_text())
        before = db.execute("SELECT experiment, metric, value FROM sample ORDER BY id").fetchall()
        stored = db.execute("SELECT * FROM step ORDER BY sample, ordinal").fetchall()
    with Store(path) as store:
        (run,) = store.runs()
        samples = store.samples(run.id)
        assert [(s.experiment, s.metric, s.value) for s in samples] == before
        assert all(s.context == "" and not s.control and s.invalid is None for s in samples)
        found = [step for its in store.steps(run.id).values() for step in its]
        assert [(s.line, s.end_line, s.seconds) for s in found] == [
            (row[6], row[6], row[8]) for row in stored
        ]
        assert (run.kind, run.state("", ()), run.settings) == ("run", State.DONE, {})
        assert run.engine["engine"] == "28.5.2+dfsg4"
        store.add(run.id, replace(SAMPLE, value=None, invalid="it failed"))
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_an_old_and_a_new_store_have_the_same_tables(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    with sqlite3.connect(old) as db:
        db.executescript((Path(__file__).parent / "records" / "v1.sql").read_text())

    def columns(path: Path) -> dict[str, set[tuple[str, str, int, str]]]:
        Store(path).close()
        with sqlite3.connect(path) as db:
            names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE sql <> ''")]
            return {n: {row[1:5] for row in db.execute(f"PRAGMA table_info({n})")} for n in names}

    assert columns(old) == columns(new)


def test_an_update_that_fails_leaves_the_old_store_as_it_was(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.executescript((Path(__file__).parent / "records" / "v1.sql").read_text())
        db.execute("CREATE TABLE chapter (mine TEXT)")
        before = list(db.iterdump())
    with pytest.raises(LabError, match="can't be used"):
        Store(path)
    with sqlite3.connect(path) as db:
        assert list(db.iterdump()) == before


def test_nobody_else_may_read_it(path: Path) -> None:
    path.touch(0o666)
    path.chmod(0o666)
    with Store(path) as store:
        store.begin_run("r1", ENGINE, [])
        files = list(path.parent.iterdir())
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        assert len(files) == 3


@pytest.mark.parametrize("lock", ["PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=DELETE"])
def test_a_store_that_another_program_holds_is_told(path: Path, lock: str) -> None:
    with Store(path) as store:
        store.begin_run("r1", ENGINE, [])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute(lock)
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("UPDATE run SET ended = NULL")
    with pytest.raises(LabError, match="locked: another program holds it: end that, or wait"):
        Store(path, wait_seconds=0.05)
    holder.close()
    with Store(path) as store:
        assert [run.id for run in store.runs()] == ["r1"]


def test_a_writer_that_is_held_up_says_so_and_goes_on_when_it_can(path: Path) -> None:
    with Store(path, wait_seconds=0.05) as store:
        store.begin_run("r1", ENGINE, [])
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LabError, match=r"can't be written: database is locked: .*end that"):
            store.add("r1", SAMPLE)
        assert store.samples("r1") == []  # Who reads is not held up.
        holder.close()
        store.add("r1", SAMPLE)
    assert added(path) == [SAMPLE]


def filled(path: Path) -> int:
    """A store of some pages; its size."""
    with Store(path) as store:
        store.begin_run("r1", ENGINE, [])
        for _ in range(40):
            store.add("r1", SAMPLE, steps("tricky"))
    return path.stat().st_size


@pytest.mark.parametrize("garbage", [b"\0" * 4096, b"\xa5" * 4096])
def test_a_page_that_was_overwritten_is_told(path: Path, garbage: bytes) -> None:
    size = filled(path)
    with path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(garbage)
    before = path.read_bytes()
    with pytest.raises(LabError, match="it is damaged: move the file away to begin a new one"):
        Store(path)
    assert path.read_bytes() == before


def test_a_file_that_was_cut_off_is_told(path: Path) -> None:
    size = filled(path)
    os.truncate(path, size // 2)
    with pytest.raises(LabError, match="it is damaged: move the file away to begin a new one"):
        Store(path)
