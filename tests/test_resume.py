"""Going on with a run: what is refused, what is known of its rounds, and tests that come from the record."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streams import steps

from layerlab import cli
from layerlab.build.buildx import Build
from layerlab.build.context import copy_context, digest
from layerlab.build.variant import Variant, load
from layerlab.engine import leftovers
from layerlab.engine.bases import Base
from layerlab.errors import LabError
from layerlab.record import resume
from layerlab.record.rounds import earlier
from layerlab.record.rows import Sample
from layerlab.record.samples import build_samples
from layerlab.record.store import SUPERSEDED, Store

ENGINE = {"id": "e1", "engine": "28.5.2", "image_store": "overlay2", "buildx": "0.29.1"}
SCENARIOS = ("cold", "no-change")
SETTINGS = {"rounds": 2, "words": ["-k", "layer_cache"]}
BUILD = Build(0, 1.5, 1.25, 2048, tuple(replace(s, log=()) for s in steps("ok")), None)


pytestmark = pytest.mark.usefixtures("bare")


@pytest.fixture
def student(tmp_path: Path) -> Variant:
    path = tmp_path / "student.Dockerfile"
    path.write_text("FROM python:3.11\n")
    return load(path)


def begin(store: Store, run: str = "r1", **more: object) -> None:
    given = {"home": leftovers.home(), "settings": SETTINGS, **more}
    store.begin_run(run, ENGINE, [], **given)  # type: ignore[arg-type]


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.dispatch(["run", *words]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    return told.err


def test_nothing_to_go_on_with_is_said_so(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is nothing to resume: no run is recorded" in refused(capsys, "--resume")
    begin(store, "r1")
    begin(store, "r2")
    store.end_run("r2")
    told = refused(capsys, "--resume")
    assert "there is nothing to resume: the run r2 came to its end; `--resume r1` goes on" in told
    assert "there is no run `r3`" in refused(capsys, "--resume", "r3")
    assert "there is no run `r3`" in refused(capsys, "--resume=r3")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"home": "another"},
            "was begun by another user, on another machine or with another cache",
        ),
        ({"settings": {}}, "is of an older layerlab, which did not record what was asked"),
        ({"kind": "bench"}, "r1 is a bench, which can't be gone on with"),
    ],
)
def test_a_run_that_can_not_be_gone_on_with(
    store: Store, capsys: pytest.CaptureFixture[str], more: dict[str, object], sentence: str
) -> None:
    begin(store, **more)
    assert sentence in refused(capsys, "--resume", "r1")


def test_a_run_that_lives_is_left_alone(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with leftovers.running() as living:
        begin(store, living.id)
        assert f"the run {living.id} is running: wait" in refused(capsys, "--resume")
        with pytest.raises(LabError, match="is running: wait"), leftovers.running(living.id):
            pass
    with leftovers.running(living.id) as again:
        assert (again.id, again.folder) == (living.id, living.folder)
        assert again.nonce != living.nonce  # What it builds anew must not be cached.


@pytest.mark.parametrize(
    "words", [("--resume", "-v"), ("--resume", "r1", "-v"), ("--rounds", "3", "--resume")]
)
def test_other_words_are_refused(
    store: Store, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    begin(store)
    assert "goes on with the words that the run was given: leave out" in refused(capsys, *words)


def test_what_is_measured_must_be_the_same(store: Store, student: Variant) -> None:
    begin(store, variants={student.name: student.digest})
    run = store.run("r1")
    resume.check_words(run, ["-k", "layer_cache"])
    resume.check_variants(run, [student])
    resume.check_engine(run, {**ENGINE, "cpus": 2})
    student.path.write_text("FROM python:3.12\n")
    other = replace(student, name="other", path=Path("other.Dockerfile"))
    for work, sentence in (
        (lambda: resume.check_words(run, ["-k", "stack"]), "as the run r1 was asked"),
        (lambda: resume.check_variants(run, [load(student.path)]), "student.Dockerfile, or the ig"),
        (lambda: resume.check_variants(run, []), "the variant student is gone"),
        (lambda: resume.check_variants(run, [student, other]), "other.Dockerfile is new since"),
        (
            lambda: resume.check_engine(run, {**ENGINE, "id": "e2"}),
            "engine's ID was e1, this one's",
        ),
        (lambda: resume.check_context(run, {"", "a"}, "b"), "the build context, app/, was changed"),
    ):
        with pytest.raises(LabError, match=sentence):
            work()


def test_a_base_image_that_is_another_now_is_refused(store: Store) -> None:
    store.begin_run("r1", ENGINE, [{"name": "python:3.11", "image_id": "sha256:a"}])
    base = Base("python:3.11", "python:3.11", False, "sha256:a", "present", None)
    resume.check_bases(store.run("r1"), [base])
    with pytest.raises(LabError, match=r"the base image python:3\.11 is another"):
        resume.check_bases(store.run("r1"), [replace(base, image_id="sha256:b")])


def measured(store: Store, student: Variant, number: int, scenarios: tuple[str, ...]) -> None:
    for scenario in scenarios:
        for sample in build_samples(student, scenario, number, 1, BUILD, None):
            store.add("r1", sample, BUILD.steps if sample.metric == "wall" else ())


@pytest.mark.parametrize("cut", ["a scenario", "a sample", "nothing"])
def test_builds_of_complete_rounds_are_as_they_were_measured(
    store: Store, student: Variant, cut: str
) -> None:
    begin(store)
    measured(store, student, 1, SCENARIOS)
    measured(store, student, 2, SCENARIOS[:1])
    if cut != "a scenario":
        last = build_samples(student, SCENARIOS[1], 2, 1, BUILD, None)
        for sample in last[:-1] if cut == "a sample" else last:
            store.add("r1", sample)
    found = earlier(store.kept("r1"), store.steps("r1"), [student.name], SCENARIOS)
    assert found.complete == (2 if cut == "nothing" else 1)
    assert found.of(student.name, "cold") == [BUILD] * found.complete


def test_a_variant_that_failed_is_not_waited_for(store: Store, student: Variant) -> None:
    begin(store)
    measured(store, student, 1, SCENARIOS)
    failed = Sample("layer-cache", "bad", "d", "priming", 0, 2, "wall", None, "s", "it failed")
    anew = replace(failed, variant="good", invalid=f"{SUPERSEDED}: it failed")
    for sample in (failed, anew):
        store.add("r1", sample)
    kept, its = store.kept("r1"), store.steps("r1")
    found = earlier(kept, its, [student.name, "bad"], SCENARIOS)
    assert (found.complete, found.failures) == (1, {"bad": failed})
    assert earlier(kept, its, [student.name, "good"], SCENARIOS).complete == 0


def test_recorded_tests_end_as_they_did(pytester: pytest.Pytester) -> None:
    """Of two experiments one had come to its end; the other is run as ever."""
    pytester.makepyfile(
        test_ended="""
        import pytest
        pytestmark = pytest.mark.experiment("ended")
        @pytest.fixture(scope="module")
        def broken(): assert False, "not to be run"
        @pytest.mark.parametrize("number", range(4))
        def test_it(number, broken): assert False, "not to be run"
        """,
        test_other="""
        import pytest
        pytestmark = pytest.mark.experiment("other")
        def test_it(): assert False, "run again"
        """,
    )
    pytester.mkdir("dockerfiles").joinpath("one.Dockerfile").write_text("FROM scratch\n")
    pytester.makeconftest(
        """
        import pytest
        from layerlab import replay
        from layerlab.record.rows import Outcome
        def outcome(number, stage, said, told=None, fault=False):
            nodeid = f"test_ended.py::test_it[{number}]"
            return Outcome("ended", nodeid, stage, said, told, fault, 0.1, "2026-11-27T00:00:00+00:00")
        OUTCOMES = [
            *(outcome(0, stage, "passed") for stage in replay.STAGES),
            outcome(1, "setup", "passed"), outcome(1, "call", "failed", "the cake is a lie"),
            outcome(1, "teardown", "passed"),
            outcome(2, "setup", "skipped", "no compose here"), outcome(2, "teardown", "passed"),
            outcome(3, "setup", "failed", "no such base", True), outcome(3, "teardown", "passed"),
            Outcome("other", "test_other.py::test_it", "setup", "passed", None, False, 0.1, ""),
        ]
        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(items):
            done = replay.ended(items, OUTCOMES)
            assert done == {"ended"}
            items[:] = replay.replayed(items, OUTCOMES, done)
        """
    )
    done = pytester.runpytest("-rs", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, failed=2, skipped=1, errors=1)
    done.stdout.fnmatch_lines(
        [
            "*no such base",
            "(from the record: measured 2026-11-27T00:00:00 UTC, before the run was resumed)",
            "*the cake is a lie",
            "*run again*",
            "SKIPPED*no compose here",
        ]
    )
    done.stdout.no_fnmatch_line("*not to be run*")


def test_a_context_has_one_digest_wherever_and_whenever_it_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "app"
    (source / "sub").mkdir(parents=True)
    (source / "main.py").write_text("x")
    (source / "link").symlink_to("main.py")
    for name in ("requirements.txt", "README.md"):
        (source / name).write_text("")
    first = copy_context(source, tmp_path / "a", None)
    assert copy_context(source, tmp_path / "b", "nonce").digest == first.digest
    seen = {first.digest}
    changes: list[Callable[[], object]] = [
        lambda: (source / "main.py").write_text("y"),
        lambda: (source / "main.py").chmod(0o755),
        lambda: (source / "sub").rename(source / "other"),
        lambda: ((source / "link").unlink(), (source / "link").symlink_to("README.md")),
    ]
    for change in changes:
        change()
        seen.add(digest(source))
    assert len(seen) == 1 + len(changes)
