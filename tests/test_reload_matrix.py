"""Live reload by mounts, with and without file events, on every release of the engine."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from layerlab.build.variant import load
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.transfer import bring
from layerlab.labs import live_reload
from layerlab.labs.reloads import Packaged
from layerlab.opening import opened
from layerlab.run.reload import BIND, EVENTLESS
from layerlab.settings import Settings
from layerlab.show.live import Screen

PROJECT = Path(__file__).parent.parent
pytestmark = [pytest.mark.engine, pytest.mark.matrix]


@pytest.fixture(scope="module")
def development_image(
    endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Run]]:
    """The development image on this session's engine, and the run that made it."""
    folder = tmp_path_factory.mktemp("development-image")
    (folder / "app").symlink_to(PROJECT / "app")
    variant = load(PROJECT / "dockerfiles" / "development.Dockerfile")
    with opened(endpoint, Screen(io.StringIO()), Settings(folder), [variant], {}) as lab:
        yield lab.image(variant), lab.run


def test_every_release_reloads(
    classic_endpoint: Endpoint,
    endpoint: Endpoint,
    development_image: tuple[str, Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tag, run = development_image
    bring(tag, endpoint, classic_endpoint)
    (tmp_path / "app").symlink_to(PROJECT / "app")
    dockerfile = tmp_path / "brought.Dockerfile"
    dockerfile.write_text(f"FROM {tag}\nCOPY . .\n")
    variant = load(dockerfile)
    monkeypatch.setattr(live_reload, "WAYS", (BIND, EVENTLESS))
    with opened(classic_endpoint, Screen(io.StringIO()), Settings(tmp_path), [variant], {}) as lab:
        result = live_reload.measure(lab, Packaged(variant, None, None))
    assert (result.problems, result.lacking) == ({}, {})
    for way, outcomes in result.outcomes.items():
        assert set(outcomes) == set(way.saves)
        assert all(one.answer == one.expected and one.noticed for one in outcomes.values())
    assert result.polled == {EVENTLESS}
    leftovers.remove_run(classic_endpoint, run)
    assert leftovers.remaining(classic_endpoint) == []
