"""Live reload by a bind mount, on every release of the engine."""

import io
from pathlib import Path

import pytest

from layerlab.build.variant import load
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.transfer import bring
from layerlab.lab import Settings, opened
from layerlab.labs import live_reload
from layerlab.labs.live_reload import Packaged
from layerlab.run.reload import BIND, EVENTLESS, ORDERED, SYNC
from layerlab.show.live import Screen

PROJECT = Path(__file__).parent.parent
pytestmark = [pytest.mark.engine, pytest.mark.matrix]


def test_every_release_reloads(
    matrix_endpoint: Endpoint,
    endpoint: Endpoint,
    app_image: tuple[str, Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tag, run = app_image
    bring(tag, endpoint, matrix_endpoint)
    (tmp_path / "app").symlink_to(PROJECT / "app")
    dockerfile = tmp_path / "brought.Dockerfile"
    # Without watchfiles, as the production image has it.
    dockerfile.write_text(f"FROM {tag}\nCOPY . .\n")
    variant = load(dockerfile)
    ways = (BIND, SYNC, ORDERED, EVENTLESS)
    ones = [(way, way.saves[0]) for way in ways]
    monkeypatch.setattr(live_reload, "WAYS", ways)
    for way in ways:
        monkeypatch.setattr(way, "saves", way.saves[:1])
    with opened(matrix_endpoint, Screen(io.StringIO()), Settings(tmp_path), [variant], {}) as lab:
        result = live_reload.measure(lab, Packaged(variant, variant, None))
    assert result.problems == {}
    for way, save in ones:
        assert result.outcomes[way][save].answer == result.outcomes[way][save].expected
    leftovers.remove_run(matrix_endpoint, run)
    assert leftovers.remaining(matrix_endpoint) == []
