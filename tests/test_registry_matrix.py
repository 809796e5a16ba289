"""The registry lab on every release of the engine, with both image stores."""

from pathlib import Path

import pytest

from layerlab.build.variant import load
from layerlab.engine import bases, leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.standins import RECIPES
from layerlab.engine.transfer import bring
from layerlab.labs import registry
from layerlab.labs.registry import TOLERANCE
from layerlab.opening import opened
from layerlab.run.moves import FIRST, PULL, PUSHES, UPDATE, judge
from layerlab.run.registry import IMAGE
from layerlab.settings import Settings
from layerlab.show.live import Screen

PROJECT = Path(__file__).parent.parent
pytestmark = [pytest.mark.engine, pytest.mark.matrix]
#: The layer with random bytes stands for an install: it is made again when the requirements change.
DOCKERFILE = """\
FROM BASE
USER root
WORKDIR /srv
COPY requirements.txt .
RUN head -c 3000000 /dev/urandom > installed
COPY . .
"""


def test_the_same_is_moved_on_every_release(
    matrix_endpoint: Endpoint, endpoint: Endpoint, app_image: tuple[str, Run], tmp_path: Path
) -> None:
    (own,) = bases.ensure(endpoint, [IMAGE], standins=False, progress=lambda _: None)
    bring(RECIPES[IMAGE].tag if own.standin else IMAGE, endpoint, matrix_endpoint)
    tag, run = app_image
    bring(tag, endpoint, matrix_endpoint)
    (tmp_path / "app").symlink_to(PROJECT / "app")
    dockerfile = tmp_path / "brought.Dockerfile"
    dockerfile.write_text(DOCKERFILE.replace("BASE", tag))
    variant = load(dockerfile)
    with (
        (tmp_path / "screen").open("w") as file,
        opened(matrix_endpoint, Screen(file), Settings(tmp_path), [variant], {}) as lab,
    ):
        moves = registry.measure(lab, [variant]).of(variant)
        assert {sample.metric for sample in lab.store.samples(lab.run.id)} == {
            "wall",
            "moved",
            "moved-layers",
        }
    assert judge(moves, "source-edit") == "copy"
    assert judge(moves, "requirements-edit") == "install"
    # The last layer is the source alone where an image store leaves out of it the requirements.txt that is
    # below already; then it is the one of the source edit, unless the clock gave it another time.
    assert [len(moves.new[scenario]) for scenario in PUSHES] in ([4, 1, 3], [4, 1, 2])
    assert abs(moves.difference) <= TOLERANCE
    # What was loaded plain is pushed plain from the containerd store.
    assert bool(moves.plain) == (matrix_endpoint.can.image_store == "containerd")
    assert set(moves.pulls[PULL].downloaded) == set(moves.new[FIRST])
    assert set(moves.pulls[UPDATE].downloaded) == set(moves.new["source-edit"])
    assert moves.pinned
    assert moves.moved
    leftovers.remove_run(matrix_endpoint, run)
    assert leftovers.remaining(matrix_endpoint) == []
