"""The record's faces: the list of runs, two runs beside each other, a run as a file."""

import csv
import io
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from streams import steps

from layerlab import cli
from layerlab.compare import unpaired
from layerlab.compare.comparison import Verdict
from layerlab.compare.metric import metric
from layerlab.engine import leftovers
from layerlab.errors import LabError
from layerlab.record import host
from layerlab.record.rows import Outcome, Sample
from layerlab.record.run import State, find
from layerlab.record.store import Store, now

SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "layerlab.schema.json").read_text())
HERE = {"identity": "m1", "processors": 2, "kernel": "6.1", "python": "3.11.7"}
ENGINE = {"id": "e1", "engine": "28.5.2", "image_store": "overlay2"}
BASES = [{"name": "python:3.11", "image_id": "sha256:" + "a" * 64, "digest": None, "standin": True}]
EVIL = '=HYPERLINK("x")|<script>alert(1)</script>\x1b[31m'


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LAYERLAB_CALLED_FROM", raising=False)
    return tmp_path


@pytest.fixture
def store(project: Path) -> Store:
    (project / ".layerlab").mkdir()
    return Store(project / ".layerlab" / "store.sqlite")


def cold(variant: str, seconds: Sequence[float], **more: Any) -> list[Sample]:
    """A cold build's seconds, round by round."""
    sample = Sample("layer-cache", variant, "d" * 64, "cold", 0, 1, "wall", 0.0, "s")
    return [
        replace(sample, round=number, value=value, **more)
        for number, value in enumerate(seconds, 1)
    ]


def image(variant: str, count: int) -> Sample:
    return Sample("image-size", variant, "d" * 64, "image", 1, 1, "unpacked", count, "bytes")


def record(store: Store, run: str, *samples: Sample, **more: Any) -> None:
    given = {"host": HERE, "settings": {"rounds": 4, "words": ["-k", "layer_cache"]}, **more}
    store.begin_run(run, given.pop("engine", ENGINE), given.pop("bases", BASES), **given)
    for sample in samples:
        store.add(run, sample, steps("log") if sample.metric == "wall" else ())
    store.end_run(run)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.dispatch(list(words)) == 0
    return capsys.readouterr().out


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one sentence of bad input."""
    assert cli.dispatch(list(words)) == 2
    text = capsys.readouterr()
    assert text.out == ""
    assert text.err.count("\n") == 1, text.err
    return text.err


def test_the_runs_are_listed_newest_last_in_80_columns(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    record(store, "20261126t235714-d6fc", *cold("도커", [1.0, 2.0]))
    record(store, "20261127t003748-c8bb", settings={"rounds": 6, "words": ["-k", EVIL * 9]})
    store.add_outcome(
        "20261127t003748-c8bb",
        Outcome("layer-cache", "a::b", "call", "failed", "why", False, 0.1, now()),
    )
    store.begin_run("20261127t003749-c8bb", ENGINE, BASES)
    store.begin_run("20261127t003750-c8bb", ENGINE, BASES, home="another's")
    lines = said(capsys, "history").splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)
    assert "-k layer_cache" in lines[3]
    states = [line.split()[-1] for line in lines[2:] if line.startswith("2026")]
    assert states == ["done", "done", "killed", "unknown"]
    assert "1 failed" in lines[5]


def test_a_run_that_lives_is_seen_to_run(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with leftovers.running() as living:
        store.begin_run(living.id, ENGINE, BASES, home=leftovers.home())
        assert "running" in said(capsys, "history")
    assert "killed" in said(capsys, "history")


def test_a_run_is_named_by_id_beginning_or_place(store: Store) -> None:
    for run in ("20261126t1-aa", "20261127t1-ab", "20261127t1-cd"):
        record(store, run)
    runs = store.runs()
    assert find(runs, "20261127t1-ab").id == "20261127t1-ab"
    assert find(runs, "20261126").id == "20261126t1-aa"
    assert [find(runs, word).id[-2:] for word in ("last", "last~1", "last~2")] == ["cd", "ab", "aa"]
    for word, sentence in {
        "20261127": "2 runs begin with `20261127`, such as 20261127t1-ab, 20261127t1-cd: give more",
        "20261127t1-ac": "there is no run `20261127t1-ac` (did you mean `20261127t1-",
        "last~3": "`last~3`: only 3 runs are recorded here",
        "": "there is no run ``",
    }.items():
        with pytest.raises(LabError) as error:
            find(runs, word)
        assert sentence in str(error.value)


@pytest.mark.parametrize(
    "words",
    [("history",), ("export", "--format", "json"), ("compare", "last", "last~1")],
    ids=lambda words: words[0],
)
def test_without_a_record_one_sentence(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    assert "no run is recorded here yet: `./lab run` makes one" in told(capsys, *words)
    assert not (project / ".layerlab").exists()


def test_the_export_holds_what_the_schema_says(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = replace(cold("b", [1])[0], value=None, invalid="it failed")
    record(store, "r1", *cold("a", [1.0, 2.0]), *cold("b", [2.0, 4.0]), failed, image("a", 10))
    found = json.loads(said(capsys, "export", "--format", "json"))
    jsonschema.validate(found, SCHEMA)
    assert found["schema"] == 1
    assert [one["value"] for one in found["samples"]] == [1.0, 2.0, 2.0, 4.0, None, 10]
    assert isinstance(found["samples"][-1]["value"], int)
    its = [one for one in found["steps"] if one["sample"] == 1]
    assert [one["instruction"] for one in its] == [step.instruction for step in steps("log")]
    assert {(one["baseline"], one["variant"]) for one in found["verdicts"]} == {("a", "b")}


def test_a_store_of_version_1_is_exported(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / ".layerlab").mkdir()
    with sqlite3.connect(project / ".layerlab" / "store.sqlite") as db:
        db.executescript((Path(__file__).parent / "records" / "v1.sql").read_text())
    jsonschema.validate(json.loads(said(capsys, "export", "--format", "json")), SCHEMA)


def test_no_spreadsheet_takes_text_for_a_formula(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    record(store, "r1", *cold(EVIL, [1.5]), *cold("@b", [-0.5], invalid="+1"))
    first, second = csv.DictReader(io.StringIO(said(capsys, "export", "--format", "csv")))
    assert (first["variant"], first["value"]) == (f"'{EVIL}", "1.5")
    assert (second["variant"], second["value"], second["reason"]) == ("'@b", "-0.5", "'+1")


def test_markdown_shows_text_as_text(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    record(store, "r1", *cold("a", [1.0, 2.0]), *cold(EVIL, [2.0, 2.0]))
    page = said(capsys, "export", "--format", "md")
    assert "<script" not in page.replace("\\<script", "")
    assert "\x1b" not in page
    assert "1.50 s" in page


def test_an_export_is_written_where_it_is_asked_for(
    store: Store, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    record(store, "r1", *cold("a", [1.0]))
    assert said(capsys, "export", "--format", "json", "--output", "a.json") == ""
    assert json.loads((project / "a.json").read_text())["run"]["id"] == "r1"
    assert "none/a.json: No such file" in told(
        capsys, "export", "--format", "csv", "--output", "none/a.json"
    )


def test_times_differ_only_where_enough_rounds_come_apart(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    record(store, "r1", *cold("slow", [1.0, 1.1, 1.0, 1.2]), *cold("same", [1.0, 2.0, 3.0, 4.0]))
    record(store, "r2", *cold("slow", [2.0, 2.1, 2.0, 2.2]), *cold("same", [1.5, 2.5, 3.5, 4.5]))
    shown = said(capsys, "compare", "r1", "r2")
    assert "Same machine, engine, bases, Dockerfiles and build context." in shown
    slow, same = (line for line in shown.splitlines() if line.startswith("cold build"))
    assert slow.endswith("slower")
    assert same.endswith("cannot tell")
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ([1.0] * 4, [1.2] * 4, Verdict.SLOWER),
        ([1.0] * 4, [1.02] * 4, Verdict.SAME),
        ([1.0] * 3, [1.2] * 3, Verdict.UNDECIDED),  # in one of ten orders by chance
        ([1.0] * 3, [1.2] * 5, Verdict.SLOWER),
        ([10.0, 11.0, 12.0, 13.0], [9.0, 10.5, 9.5, 9.0], Verdict.UNDECIDED),
        ([0.01] * 4, [0.05] * 4, Verdict.SAME),  # nobody notices
        ([1.0], [], Verdict.VOID),
    ],
)
def test_what_is_said_of_seconds(first: list[float], second: list[float], verdict: Verdict) -> None:
    assert (
        unpaired.verdict(metric("layer-cache", "cold", "wall", "s"), first, second, 0.05) == verdict
    )


def test_chance_is_that_of_the_most_extreme_rank_sum() -> None:
    # Tables of Mann and Whitney, 1947: P(U = 0) for n = m = 4 is 1/70.
    assert unpaired.chance(4, 4) == pytest.approx(2 / 70)
    assert unpaired.chance(2, 2) == pytest.approx(1 / 3)
    assert unpaired.rounds_needed() == 4


def test_any_difference_in_bytes_is_real(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    record(store, "r1", image("a", 1000), image("b", 1000))
    record(store, "r2", image("a", 1001), image("b", 1000))
    lines = said(capsys, "compare", "last~1", "last").splitlines()
    assert [line.split("  ")[-1].strip() for line in lines if line.startswith("image,")] == [
        "larger",
        "the same",
    ]


def test_another_machine_is_said_so_and_ratios_are_compared(
    store: Store, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    """The other machine is ten times as slow; only b has become slower beside a."""
    old = [*cold("a", [1, 1.1, 1, 1.05]), *cold("b", [2, 2.1, 2, 2]), image("a", 5)]
    new = [*cold("a", [10, 11, 10, 10.5]), *cold("b", [30, 33, 30, 30]), image("a", 5)]
    record(store, "r1", *old)
    said(capsys, "export", "--format", "json", "--output", "main.json")
    record(
        store,
        "r2",
        *[replace(one, digest="e" * 64) if one.variant == "b" else one for one in new],
        host={**HERE, "identity": "m2", "kernel": "6.12"},
        engine={**ENGINE, "image_store": "containerd"},
        bases=[{**BASES[0], "image_id": "sha256:" + "b" * 64}],
    )
    shown = said(capsys, "compare", "main.json", "r2")
    for sentence in (
        "* another machine: m1, then m2",
        "* another kernel: 6.1, then 6.12",
        "* another image store: overlay2, then containerd",
        "* another base image python:3.11: sha256:aaaaaaaaaaaa, then sha256:bbbbbbbbbbbb",
        "* b: another Dockerfile: dddddddddddd, then eeeeeeeeeeee",
        "compared as ratios to the baseline",
    ):
        assert sentence in shown
    rows = [line for line in shown.splitlines() if line.startswith("cold build")]
    assert len(rows) == 1
    assert rows[0].startswith("cold build / a")
    assert rows[0].endswith("slower")
    assert "the same" in shown  # The image's bytes are what they are on every machine.
    assert "baseline c is not in both" in told(
        capsys, "compare", "main.json", "r2", "--baseline", "c"
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text[: len(text) // 2], "main.json: this is no JSON (line "),
        (lambda text: "[]", "main.json: this is JSON, and no run of layerlab"),
        (lambda text: '{"a": 1}', "main.json: this is JSON, and no run of layerlab"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "newer layerlab (schema 2, this"),
        (lambda text: text.replace('"schema": 1', '"schema": "x"'), "`schema` is 'x'"),
        (lambda text: text.replace('"round": 2', '"round": "2"'), "damaged at `samples[1].round`"),
        (lambda text: text.replace('"value": 2.0', '"value": NaN'), "at `samples[1].value`"),
        (lambda text: text.replace('"metric"', '"x"', 1), "damaged at `samples[0].metric`"),
        (lambda text: "[" * 100_000, "main.json: this is no JSON"),
    ],
)
def test_a_file_that_is_no_export_gets_one_sentence(
    store: Store,
    capsys: pytest.CaptureFixture[str],
    project: Path,
    change: Any,
    sentence: str,
) -> None:
    record(store, "r1", *cold("a", [1.0, 2.0]))
    text = said(capsys, "export", "--format", "json")
    (project / "main.json").write_text(change(text))
    assert sentence in told(capsys, "compare", "main.json", "last")


def test_other_mistakes_get_one_sentence(
    store: Store, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    record(store, "r1", *cold("a", [1.0]))
    (project / "binary").write_bytes(b"\xff\xfe")
    assert "there is no file none.json" in told(capsys, "compare", "none.json", "last")
    assert "binary: this is no UTF-8 text" in told(capsys, "compare", "binary", "last")
    assert "there is no run `r3`" in told(capsys, "export", "--format", "csv", "r3")
    assert "no samples of the variant `b`" in told(
        capsys, "export", "--format", "csv", "--baseline", "b"
    )
    store.close()
    with (project / ".layerlab" / "store.sqlite").open("r+b") as file:
        file.write(b"nothing")
    assert "move the file away to begin a new one" in told(capsys, "history")


def test_a_machine_is_told_from_a_clone_with_other_processors() -> None:
    assert host.here() == host.here()
    one = host.identity("id", "Xeon", 2)
    assert one == host.identity("id", "Xeon", 2)
    assert len({one, host.identity("id", "Xeon", 4), host.identity("other", "Xeon", 2)}) == 3
    assert "id" not in one


def test_how_a_run_ended(store: Store) -> None:
    store.begin_run("r1", ENGINE, BASES, home="mine")
    run = store.run("r1")
    assert run.state("mine", {"r1"}) == State.RUNNING
    assert run.state("mine", ()) == State.KILLED
    assert run.state("another", ()) == State.UNKNOWN
    store.end_run("r1", State.INTERRUPTED)
    assert store.run("r1").state("another", ()) == State.INTERRUPTED
    store.resume_run("r1")
    assert store.run("r1").state("mine", ()) == State.KILLED
    assert len(store.run("r1").resumed) == 1
