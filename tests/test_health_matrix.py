"""The health lab on every release of the engine: their rules differ, and the predictions with them."""

from pathlib import Path

import pytest

from layerlab.build.variant import load
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.transfer import bring
from layerlab.lab import Settings, opened
from layerlab.labs import healthcheck
from layerlab.show import health as shown
from layerlab.show.live import Screen

PROJECT = Path(__file__).parent.parent
pytestmark = [pytest.mark.engine, pytest.mark.matrix]


def test_every_change_comes_when_predicted(
    classic_endpoint: Endpoint,
    endpoint: Endpoint,
    app_image: tuple[str, Run],
    tmp_path: Path,
) -> None:
    tag, run = app_image
    bring(tag, endpoint, classic_endpoint)
    (tmp_path / "app").symlink_to(PROJECT / "app")
    dockerfile = tmp_path / "brought.Dockerfile"
    dockerfile.write_text(f"FROM {tag}\nHEALTHCHECK NONE\n")
    variant = load(dockerfile)
    with (
        (tmp_path / "screen").open("w") as file,
        opened(classic_endpoint, Screen(file), Settings(tmp_path), [variant], {}) as lab,
    ):
        seen = healthcheck.measure(lab, variant, [])
    assert seen.problems == {}
    told = [
        shown.disagreement(name, one.comparison, one.log)
        for name, one in seen.seen.items()
        if not one.comparison.agrees
    ]
    assert told == []
    assert len(seen.seen) >= 30
    leftovers.remove_run(classic_endpoint, run)
    assert leftovers.remaining(classic_endpoint) == []
