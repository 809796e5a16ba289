"""The corpus on an engine, held to limits: what is told, in time, and nothing is left."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from corpus_cases import SMALL, Corpus, corpus

from layerlab.build.variant import load
from layerlab.engine import leftovers
from layerlab.engine.confining import engine_of
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.groups import PREFIX
from layerlab.engine.leftovers import Run
from layerlab.engine.limits import Confinement
from layerlab.errors import LabError
from layerlab.folders import cache_folder
from layerlab.lab import Lab
from layerlab.labs.lives import Case
from layerlab.labs.serving import told_by
from layerlab.opening import opened
from layerlab.run import container, diagnosis, prepare
from layerlab.settings import Settings
from layerlab.show.live import Screen

#: Keeps what was told in the report of `--junitxml`, of which the table in docs/untrusted.md is made.
Record = Callable[[str, object], None]
pytestmark = [pytest.mark.engine, pytest.mark.faults, pytest.mark.usefixtures("slim")]
PROJECT = Path(__file__).parent.parent


def left(endpoint: Endpoint) -> list[str]:
    """What there is of this user's runs, dead or alive, on the engine and on this machine."""
    found = leftovers.remaining(endpoint)
    found += [f"run {one.name}" for one in (cache_folder() / "runs").iterdir() if one.is_dir()]
    if endpoint.private:
        groups = Path("/sys/fs/cgroup").glob(f"**/{engine_of(endpoint).cgroup}/{PREFIX}*")
        found += [f"control group {one}" for one in groups]
    return found


@contextmanager
def in_time(case: Corpus, endpoint: Endpoint) -> Iterator[None]:
    """See to it that a case is over in time, and has left nothing; no group of processes, so no process."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < case.seconds
    assert left(endpoint) == []


@contextmanager
def lab_for(case: Corpus, endpoint: Endpoint, folder: Path) -> Iterator[tuple[Lab, Case]]:
    variant = load(case.copied(folder))
    settings = Settings(folder, build_limit_seconds=case.build_seconds, profile=SMALL)
    with opened(endpoint, Screen(io.StringIO()), settings, [variant], {}) as lab:
        yield lab, Case(variant)


@contextmanager
def served(lab: Lab, it: Case, limit_seconds: float) -> Iterator[container.Container]:
    """The app of a case, in a container, once it answers; as the shutdown lab has it."""
    words, called = [lab.image(it.variant)], it.called
    with (
        container.timed(lab.endpoint, lab.run, words, purpose="corpus", called=called) as (name, _),
        container.answering(lab.endpoint, name, called=called, limit_seconds=limit_seconds) as app,
    ):
        yield app


@pytest.mark.parametrize("case", corpus("fails"), ids=lambda case: case.name)
def test_it_fails_to_build(
    record_property: Record, case: Corpus, endpoint: Endpoint, tmp_path: Path
) -> None:
    with in_time(case, endpoint):
        with pytest.raises(LabError) as error, lab_for(case, endpoint, tmp_path) as (lab, it):
            lab.image(it.variant)
        record_property("told", case.is_told_by(error.value, tmp_path))


@pytest.mark.parametrize("case", corpus("unmet"), ids=lambda case: case.name)
def test_its_app_can_t_be_measured(
    record_property: Record, case: Corpus, endpoint: Endpoint, tmp_path: Path
) -> None:
    with in_time(case, endpoint):
        with lab_for(case, endpoint, tmp_path) as (lab, it):
            lab.image(it.variant)
            with pytest.raises(LabError) as error:
                serve_for_a_while(lab, it, case)
        record_property("told", case.is_told_by(error.value, tmp_path))


def serve_for_a_while(lab: Lab, it: Case, case: Corpus) -> None:
    with told_by(it.variant), served(lab, it, case.start_seconds) as app:
        told, deadline = None, time.monotonic() + case.later_seconds
        while told is None and time.monotonic() < deadline:
            time.sleep(0.2)
            told = diagnosis.ended(lab.endpoint, app.name, answered=True)
        if told := told or app.unhealthy():
            raise LabError(f"{it.called}: {told}")


@pytest.mark.parametrize("case", corpus("passes"), ids=lambda case: case.name)
def test_it_is_measured(case: Corpus, endpoint: Endpoint, tmp_path: Path) -> None:
    with (
        in_time(case, endpoint),
        lab_for(case, endpoint, tmp_path) as (lab, it),
        served(lab, it, case.start_seconds) as app,
    ):
        assert httpx.get(app.url, trust_env=False).status_code == 200
        assert app.unhealthy() is None


@pytest.mark.parametrize(
    "case", [one for one in corpus("refused") if one.composes], ids=lambda case: case.name
)
def test_a_stack_is_refused(
    record_property: Record, case: Corpus, endpoint: Endpoint, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    for file in (case.folder / "app").glob("*") if (case.folder / "app").is_dir() else ():
        (tmp_path / "app" / file.name).symlink_to(file.readlink())
    (tmp_path / "compose").symlink_to(case.folder / "compose")
    (tmp_path / "dockerfiles").symlink_to(PROJECT / "dockerfiles")
    held = replace(run, confinement=Confinement(SMALL, "", "", run.id))
    begun = time.monotonic()
    with (
        pytest.raises(LabError) as error,
        prepare.prepared(endpoint, held, tmp_path, images={}),
    ):
        pass
    record_property("told", case.is_told_by(error.value, tmp_path))
    assert time.monotonic() - begun < case.seconds
    assert leftovers.remaining(endpoint) == []
