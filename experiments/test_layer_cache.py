"""The layer cache: what does a rebuild reuse?

Every step of a Dockerfile makes a layer, and a layer is reused as long as its instruction, the files
that it takes in and all steps before it are the same. So the order of the steps decides
what an edit costs: with `COPY . .` before `pip install`, changing one line of main.py installs all
dependencies again; with requirements.txt copied and installed first, it does not.

Each variant is built cold (nothing reused), then again after: no change, an edit of main.py, an
edit of requirements.txt (a comment, so that the same packages are installed), and an edit of
README.md, which the app does not need.

Expected of every Dockerfile, unless its header says otherwise (`# layerlab.expect.layer-cache.…`):

    source-edit         copy       steps run again, but no dependency install
    requirements-edit   install    the dependencies are installed again
    unrelated-edit      nothing    every step is reused

The facts are read from the engine's own account of each step, never from the clock.
"""

import pytest

from layerlab.build import cachemiss
from layerlab.build.context import EDITS, Edit
from layerlab.build.variant import Variant
from layerlab.errors import Unmet
from layerlab.lab import Lab
from layerlab.labs import layer_cache
from layerlab.labs.layer_cache import COLD, Rebuilds

pytestmark = [pytest.mark.engine, pytest.mark.experiment(layer_cache.EXPERIMENT)]


@pytest.fixture(scope="module")
def rebuilds(lab: Lab, selected_variants: list[Variant]) -> Rebuilds:
    """Every selected variant, built cold and after each edit, in interleaved rounds."""
    return layer_cache.measure(lab, selected_variants)


def test_cold_build(rebuilds: Rebuilds, variant: Variant) -> None:
    """The Dockerfile builds, from nothing, and every round runs the same steps."""
    builds = rebuilds.rounds(variant, COLD)
    assert len({tuple(step.label for step in build.ran) for build in builds}) == 1


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.scenario)
def test_rebuild(rebuilds: Rebuilds, variant: Variant, edit: Edit) -> None:
    """After an edit, just what has to run again runs again."""
    expected = variant.expects(layer_cache.EXPERIMENT, edit.scenario)
    for build in rebuilds.rounds(variant, edit.scenario):
        if cachemiss.cost(variant, build) != expected:
            raise Unmet(cachemiss.explain(variant, build, edit, expected))
