"""The secrets lab on every release of the engine, with both image stores."""

from pathlib import Path

import pytest

from layerlab.build.variant import load
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.transfer import bring
from layerlab.lab import Settings, opened
from layerlab.labs import secrets
from layerlab.run import readers
from layerlab.run.readers import CHILD, INSIDE, INSPECTS, PULLS
from layerlab.show.live import Screen

PROJECT = Path(__file__).parent.parent
pytestmark = [pytest.mark.engine, pytest.mark.matrix]


def test_the_same_people_read_on_every_release(
    matrix_endpoint: Endpoint,
    endpoint: Endpoint,
    app_image: tuple[str, Run],
    tmp_path: Path,
) -> None:
    tag, run = app_image
    bring(tag, endpoint, matrix_endpoint)
    (tmp_path / "app").symlink_to(PROJECT / "app")
    dockerfile = tmp_path / "brought.Dockerfile"
    dockerfile.write_text(f"FROM {tag}\n")
    variant = load(dockerfile)
    with (
        (tmp_path / "screen").open("w") as file,
        opened(matrix_endpoint, Screen(file), Settings(tmp_path), [variant], {}) as lab,
    ):
        seen = secrets.measure(lab, variant)
    assert not seen.lacking
    people = {way: {one.person for one in seen.of(way)} for way in readers.WAYS}
    everyone = {PULLS, INSPECTS, INSIDE, CHILD}
    assert people[readers.IMAGE_ENV] == everyone
    assert people[readers.BUILD_ARG] == {PULLS, INSPECTS}
    assert people[readers.REMOVED] == {PULLS}
    assert people[readers.BUILD_SECRET] == set()
    for way in (readers.RUN_ENV, readers.COMPOSE_ENV, readers.ENV_FILE):
        assert people[way] == everyone - {PULLS}
    for way in (readers.COMPOSE_SECRET, readers.SWARM_SECRET):
        assert people[way] == {INSIDE, CHILD}
    leftovers.remove_run(matrix_endpoint, run)
    assert leftovers.remaining(matrix_endpoint) == []
