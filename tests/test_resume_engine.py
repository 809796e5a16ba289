"""Runs that are killed or lose their disk, and are gone on with, on a real engine."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import jsonschema
import pytest
from beside import rows, wait_for

from conftest import PROJECT
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.root import as_root
from layerlab.labs.layer_cache import SCENARIOS
from layerlab.record.rows import Kept
from layerlab.record.run import State
from layerlab.record.store import SUPERSEDED, Store

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("slim")]
Begun = Callable[..., subprocess.Popen[str]]
LabRun = Callable[..., subprocess.CompletedProcess[str]]
CHEAP = """\
# layerlab.labs: layer-cache
FROM python:3.11-slim
COPY requirements.txt /app/
RUN pip install --no-deps -r /dev/null
COPY main.py /app/
"""


def layer_cache(kept: list[Kept]) -> list[Kept]:
    return [one for one in kept if one.sample.experiment == "layer-cache"]


def test_a_killed_run_goes_on_and_measures_nothing_twice(
    endpoint: Endpoint, project: Path, lab_begun: Begun, lab_run: LabRun, tmp_path: Path
) -> None:
    """Killed twice: in the midst of round 2, and again."""
    student = tmp_path / "student.Dockerfile"
    student.write_text(CHEAP)
    words = ("-k", "layer_cache or env_injection", "--rounds", "2")
    variants = ("--variant", "production", "--variant", student)
    process = lab_begun(*words, *variants)
    in_round_2 = "SELECT 1 FROM sample WHERE round = 2 AND scenario = 'source-edit'"
    wait_for(process, lambda: rows(project, in_round_2))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with Store(project / ".layerlab/store.sqlite") as store:
        (run,) = store.runs()
        assert run.state(leftovers.home(), leftovers.alive()) == State.KILLED
        before = store.kept(run.id)
        outcomes = store.outcomes(run.id)
    again = lab_begun("--resume")
    wait_for(again, lambda: rows(project, f"SELECT 1 FROM sample WHERE reason = '{SUPERSEDED}'"))
    again.send_signal(signal.SIGKILL)
    again.communicate()

    student.write_text(f"{CHEAP}RUN true\n")
    refused = lab_run("--resume")
    assert refused.returncode == 2
    assert "student.Dockerfile, or the ignore file beside it, was changed" in refused.stderr
    student.write_text(CHEAP)

    done = lab_run("--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"going on with the run {run.id}: 32 of 42 tests come from the record" in done.stdout
    assert "42 passed" in done.stdout
    assert "environment: who wins" in done.stdout  # as it was shown when it was measured
    assert "median of 2 rounds" in done.stdout
    with Store(project / ".layerlab/store.sqlite") as store:
        (ended,) = store.runs()
        assert ended.state(leftovers.home(), leftovers.alive()) == State.DONE
        assert (ended.id, len(ended.resumed)) == (run.id, 2)
        after = store.kept(run.id)
        assert [one for one in store.outcomes(run.id) if one in outcomes] == outcomes
    # What was complete is there as it was, and once.
    assert [one for one in after if one.id <= before[-1].id and one.sample.round < 2] == [
        one for one in before if one.sample.round < 2
    ]
    turns = Counter(
        (one.sample.variant, one.sample.scenario, one.sample.round)
        for one in layer_cache(after)
        if one.sample.metric == "wall" and one.sample.invalid is None
    )
    primed = {(name, "priming", 0) for name in ("production", "student")}
    assert set(turns) == primed | {
        (name, scenario, number)
        for name in ("production", "student")
        for scenario in SCENARIOS
        for number in (1, 2)
    }
    assert set(turns.values()) == {1}
    assert leftovers.remaining(endpoint) == []
    nothing = lab_run("--resume")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "nothing to resume: the run" in nothing.stderr


def test_an_experiment_in_its_midst_is_measured_anew(
    project: Path, lab_begun: Begun, lab_run: LabRun, tmp_path: Path
) -> None:
    students = []
    for name in ("one", "two", "three"):
        students.append(tmp_path / f"{name}.Dockerfile")
        students[-1].write_text(CHEAP.replace("layer-cache", "image-size") + f"RUN echo {name}\n")
    words = [word for path in students for word in ("--variant", path)]
    process = lab_begun("-k", "image_size", *words)
    wait_for(process, lambda: rows(project, "SELECT 1 FROM sample"))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert rows(project, "SELECT ending FROM run") == [("interrupted",)]
    first = rows(project, "SELECT id FROM sample")
    done = lab_run("--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    found = rows(project, "SELECT id, valid, reason FROM sample")
    assert found[: len(first)] == [(one, 0, SUPERSEDED) for (one,) in first]
    assert {valid for _, valid, _ in found[len(first) :]} == {1}

    words = [sys.executable, "-m", "layerlab", "export", "--format", "json"]
    document = json.loads(subprocess.check_output(words, cwd=project, text=True))
    jsonschema.validate(document, json.loads((PROJECT / "docs/layerlab.schema.json").read_text()))
    assert document["run"]["state"] == "done"
    assert document["run"]["host"]["processors"] == os.cpu_count()
    assert {len(one["context"]) for one in document["samples"]} == {64}
    assert {one["verdict"] for one in document["verdicts"]} <= {"same", "smaller", "larger"}


def test_a_disk_that_fills_in_mid_run(
    project: Path, lab_begun: Begun, lab_run: LabRun, tmp_path: Path
) -> None:
    student = tmp_path / "student.Dockerfile"
    student.write_text(CHEAP)
    record = project / ".layerlab"
    record.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size=400k,mode=700,uid={os.getuid()}", "tmpfs", record]
    try:
        subprocess.run(as_root(mount), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small file system here: {error}")
    try:
        process = lab_begun("-k", "layer_cache", "--variant", student, "--rounds", "30")
        wait_for(process, lambda: rows(project, "SELECT 1 FROM sample WHERE round = 1"))
        filler = record / "filler"
        with suppress(OSError):  # until nothing more goes in
            filler.write_bytes(b"\0" * 400_000)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 2, said
        assert "store.sqlite can't be written: database or disk is full: what was measured" in said
        assert "Traceback" not in said
        assert "INTERNALERROR" not in said
        filler.unlink()
        kept = rows(project, "SELECT count(*) FROM sample WHERE valid")
        assert kept[0][0] > 4
        with Store(record / "store.sqlite") as store:
            (run,) = store.runs()
            assert run.state(leftovers.home(), leftovers.alive()) in (State.KILLED, State.LOST)
            before = store.kept(run.id)
        again = lab_begun("--resume")
        more = f"SELECT 1 FROM sample WHERE valid AND id > {before[-1].id}"
        wait_for(again, lambda: rows(project, more))
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=60)
    finally:
        subprocess.run(as_root(["umount", "--lazy", record]), check=True)
