"""A run on several engines: its command line, its places in the record, its lock, and the matrix's table."""

import fcntl
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from layerlab import cli, cli_matrix, several
from layerlab.engine import choice, leftovers
from layerlab.engine.matrix import MATRIX, Release, named, running
from layerlab.errors import LabError
from layerlab.folders import cache_folder
from layerlab.plugin_options import without_engines
from layerlab.record import resume
from layerlab.record.rows import Outcome, Place
from layerlab.record.run import State
from layerlab.record.standing import Standing, standings
from layerlab.record.store import Store
from layerlab.show.matrix import Column, matrix
from layerlab.spread import ByExperiment

A, B = ({"id": name, "engine": "28.5.2"} for name in "ab")
BASE = {"name": "python:3.11", "image_id": "sha256:a"}


pytestmark = pytest.mark.usefixtures("bare")


def outcome(test: str, *stages: str, told: str | None = None) -> list[Outcome]:
    """A test of the experiment before the colon; each stage passed unless it says otherwise."""
    experiment = test.partition(":")[0]
    parts = zip(
        ("setup", "call", "teardown"), [*stages, "passed", "passed", "passed"], strict=False
    )
    return [
        Outcome(experiment, test, stage, how, told if how != "passed" else None, False, 0.1, "")
        for stage, how in parts
    ]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["-k", "cache", "--engines", "a,b", "-n", "2"], ["-k", "cache"]),
        (["--engines=a,b", "-n2", "--rounds", "4"], ["--rounds", "4"]),
        (["--numprocesses=2", "--variant", "-new"], ["--variant", "-new"]),
        (["-nauto", "-n=2", "-n=logical", "-k", "cache"], ["-k", "cache"]),
    ],
)
def test_what_a_run_measures_does_not_depend_on_its_engines(
    words: list[str], kept: list[str]
) -> None:
    assert without_engines(words) == kept


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--engines", "a,a"], "--engines: a is named twice"),
        (["--engines", "a,b", "-n", "3"], "names 2 engines: `-n` is as many"),
        (["--engines", "a,b", "--engine", "a"], "--engine and --engines: give one of them"),
        (["--engine", "private:20.11"], "`20.11` is no engine of the matrix"),
    ],
)
def test_what_can_t_be_is_said_in_one_sentence(
    words: Sequence[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path.cwd() / "experiments/test_it.py").write_text("def test_it(lab): pass\n")
    (Path.cwd() / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (Path.cwd() / "dockerfiles").mkdir()
    (Path.cwd() / "dockerfiles/one.Dockerfile").write_text("FROM scratch\n")
    assert cli.dispatch(["run", *words]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert "Traceback" not in told


def test_every_engine_of_the_matrix_can_be_used_by_its_name() -> None:
    for release in MATRIX:
        assert named(release.name) == release
        assert choice.own(f"private:{release.name}") == release.engine()
        assert choice.find(f"private:{release.name}") is None
    with pytest.raises(
        LabError, match=r"did you mean `20.10-overlay2`\?.*they are 20.10-overlay2, "
    ):
        named("20.10-overlay")


def test_the_places_of_a_run_are_recorded(store: Store) -> None:
    store.begin_run("r1", A, [], settings={"engines": ["one", "two"]})
    assert store.places("r1") == []
    for name, engine in (("two", B), ("one", A)):
        store.keep_place("r1", Place(name, engine, ()))
    store.count_end("r1", "one")
    store.keep_place("r1", Place("one", A, [BASE]), {"v": "d"})
    assert store.places("r1") == [Place("one", A, [BASE], ends=1), Place("two", B, [])]
    assert several.order(store, store.run("r1")) == ["two", "one"]
    assert (store.run("r1").variants, store.run("r1").bases) == ({"v": "d"}, [BASE])


def test_a_run_is_gone_on_with_on_one_of_its_engines(store: Store) -> None:
    store.begin_run("r1", A, [], settings={"engines": ["one", "two"]})
    run, places = store.run("r1"), [Place("one", A, [BASE]), Place("two", B, [])]
    assert resume.at(run, places, B) == (replace(run, engine=B), "two")
    assert resume.at(run, places, A)[0].bases == [BASE]
    assert resume.at(run, [], B) == (run, "")
    with pytest.raises(LabError, match="measured on one, two, and this is another engine"):
        resume.at(run, places, {"id": "c"})


def test_only_a_run_of_this_command_that_lost_an_engine_is_gone_on_with(
    store: Store, bare: Path
) -> None:
    assert several.lost(bare, "mine") is None
    for name, command, ending, ends in (
        ("another's", "other", State.LOST, 1),
        ("done", "mine", State.DONE, 1),
        ("interrupted", "mine", State.INTERRUPTED, 1),
        ("a full disk", "mine", State.LOST, 0),
        ("lost", "mine", State.LOST, 1),
    ):
        asked = {"engines": ["one", "two"], "command": command}
        store.begin_run(name, A, [], settings=asked)
        store.keep_place(name, Place("one", A, []))
        for _ in range(ends):
            store.count_end(name, "one")
        store.end_run(name, ending)
    found = several.lost(bare, "mine")
    assert found is not None
    assert found.id == "lost"


def test_the_matrix_takes_up_the_run_that_it_began(
    store: Store, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no other, though it has the same words and the same engine."""
    release, given = MATRIX[0], dict[str, str]()

    def run(name: str, words: list[str], command: str, *_: object) -> tuple[int, str]:
        for run, of, how in (("others", "x", "failed"), ("ours", command, "passed")):
            store.begin_run(run, A, [], settings={"words": words, "command": of})
            for one in outcome("cache:a", how):
                store.add_outcome(run, one)
            store.end_run(run)
        (bare / ".layerlab/report.html").write_text("the page of the run others")
        given.update(name=name, command=command)
        return 0, "1 passed"

    monkeypatch.setattr(cli_matrix.matrix, "running", lambda *_: nullcontext())
    monkeypatch.setattr(cli_matrix, "_experiments", run)
    monkeypatch.setattr(cli_matrix, "MATRIX", (release,))
    monkeypatch.setattr(cli_matrix.matrix, "lacking", lambda: None)
    assert cli_matrix.run_matrix(["-k", "cache"]) == 0
    assert given["name"] == release.name
    assert release.name in given["command"]
    assert not (bare / f".layerlab/matrix/{release.name}.html").exists()


def test_an_engine_of_the_matrix_stays_while_a_run_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    release, did, said = MATRIX[1], list[str](), list[str]()
    engine = SimpleNamespace(
        folder=cache_folder() / "engines" / release.name,
        start=lambda _: did.append("start"),
        stop=lambda: did.append("stop"),
    )
    monkeypatch.setattr(Release, "engine", lambda _: engine)
    monkeypatch.setattr("layerlab.engine.matrix.probe", lambda one: one)
    with running(release, said.append):
        pass
    assert did == ["start", "stop"]
    release.users.parent.mkdir(parents=True, exist_ok=True)
    with release.users.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # as a run on it does
        with running(release, said.append):
            pass
    assert did == ["start", "stop", "start"]
    assert said == [f"the engine {release.name} is used by another run: it stays"]


class Node:
    """A worker, as the scheduler sees it: what it was told to run."""

    id = "gw"
    shutting_down = False

    def __init__(self) -> None:
        self.told: list[int] = []
        self.gateway = self

    def send_runtest_some(self, indices: list[int]) -> None:
        self.told += indices

    def shutdown(self) -> None:
        self.shutting_down = True


@pytest.fixture
def scheduler(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> ByExperiment:
    monkeypatch.setattr(pytestconfig.option, "tx", ["popen", "popen"])
    return ByExperiment(pytestconfig, None)


TESTS = [f"experiments/test_{name}.py::test_{number}" for name in "abc" for number in range(4)]


def begin(scheduler: ByExperiment, *nodes: Node) -> None:
    for node in nodes:
        scheduler.add_node(node)
        scheduler.add_node_collection(node, TESTS)
    if scheduler.collection_is_completed:
        scheduler.schedule()


def test_what_a_dead_worker_had_is_lost_and_the_others_do_the_rest(scheduler: ByExperiment) -> None:
    first, second = Node(), Node()
    begin(scheduler, first, second)
    assert (first.told, second.told) == ([0, 1, 2, 3], [4, 5, 6, 7])
    scheduler.mark_test_complete(first, 0)
    scheduler.replacing = True
    scheduler.remove_node(first)
    assert scheduler.lost == ["experiments/test_a.py"]
    for index in range(4, 8):
        scheduler.mark_test_complete(second, index)
    assert second.told[4:] == [8, 9, 10, 11]
    for index in range(8, 12):
        scheduler.mark_test_complete(second, index)
    assert scheduler.tests_finished
    scheduler.give_up()
    assert (scheduler.lost, scheduler.undone) == (["experiments/test_a.py"], [])


@pytest.mark.parametrize("collected", [False, True])
def test_a_worker_that_dies_before_the_first_test_is_replaced(
    scheduler: ByExperiment, *, collected: bool
) -> None:
    first, second, third = Node(), Node(), Node()
    scheduler.add_node(first)
    if collected:
        scheduler.add_node_collection(first, TESTS)
    scheduler.replacing = True
    scheduler.remove_node(first)
    begin(scheduler, second)
    assert second.told == []  # The one that comes in its place is waited for.
    begin(scheduler, third)
    assert [len(node.told) for node in (second, third)] == [4, 4]
    assert scheduler.lost == []


def test_a_worker_that_can_t_begin_is_not_waited_for(scheduler: ByExperiment) -> None:
    first, second = Node(), Node()
    scheduler.add_node(first)
    begin(scheduler, second)
    scheduler.remove_node(first)
    assert second.told[:4] == [0, 1, 2, 3]
    scheduler.remove_node(second)
    scheduler.give_up()
    assert scheduler.lost == []
    assert set(scheduler.undone) == {f"experiments/test_{name}.py" for name in "abc"}


def test_a_shared_run_lives_as_long_as_one_of_its_processes() -> None:
    with leftovers.running(shared=True) as run:
        joined = leftovers.joined(run.id, "gw0")
        with joined as part:
            assert (part.id, part.folder.parent) == (run.id, run.folder)
            assert part.nonce != run.nonce
            assert run.id in leftovers.alive()
        assert not part.folder.exists()
        assert run.id in leftovers.alive()
    assert run.id not in leftovers.alive()
    with pytest.raises(LabError, match="has ended"), leftovers.joined(run.id, "gw0"):
        pass


def test_a_test_fails_where_a_part_of_it_does() -> None:
    outcomes = [
        *outcome("cache:a"),
        *outcome("cache:b", "passed", "failed", told="2 steps ran"),
        *outcome("cache:c", "passed", "passed", "failed", told="left"),
        *outcome("health:a", "skipped", told="needs Engine 25"),
        *outcome("health:b", "skipped", told="needs Engine 25"),
    ]
    assert standings(outcomes) == {
        "cache": Standing(1, 2, 0, ("2 steps ran", "left")),
        "health": Standing(0, 0, 2, ("needs Engine 25",)),
    }


def test_the_matrix_s_table_says_what_passed_and_why_something_did_not() -> None:
    good = Standing(3, 0, 0, ())
    columns = [
        Column("20.10-overlay2", {"cache": good, "health": Standing(0, 0, 2, ("too old",))}, 61.4),
        Column("26.1-containerd", {"cache": Standing(2, 1, 0, ("<b>no",)), "health": good}, 60.0),
        Column("28.5-overlay2", {}, 1.0, "the engine does not start"),
    ]
    section = matrix(columns, "simple")
    assert [line.split() for line in section.table.splitlines()[3:]] == [
        ["cache", "3", "1", "failed", "not", "run"],
        ["health", "not", "avail.", "3", "not", "run"],
        ["seconds", "61", "60", "1"],
    ]
    assert section.notes[1:] == (
        "28.5-overlay2: the engine does not start",
        "health, 20.10-overlay2: too old",
        "cache, 26.1-containerd: <b>no",
    )
    assert [column.passed for column in columns] == [True, False, False]
