"""The registry: what does a push move, and what does a pull?

An image travels as compressed layers, each of them once: a registry that has a layer is not sent it again, and
neither is an engine. So the order of a Dockerfile's steps decides not only what a rebuild costs on your machine,
but what every push and every pull of an edit costs everybody.

A real registry runs as a container on the engine's loopback. Each variant is pushed whole, after an edit of
main.py, and after an edit of requirements.txt; and pulled onto a second engine that has only the base.

Expected of every Dockerfile, from its `layer-cache` expectations (`# layerlab.expect.layer-cache.…`):

    source-edit         copy       a few kilobytes are sent, not the dependencies
    requirements-edit   install    the layer with the dependencies is sent again

Bytes are read from the registry, never from a progress bar. A tag is only a name that may move on: what was
deployed is told by its digest.
"""

import pytest

from layerlab.build.context import Edit
from layerlab.build.variant import Variant
from layerlab.errors import Unmet
from layerlab.lab import Lab
from layerlab.labs import registry
from layerlab.labs.registry import TOLERANCE, Transfers
from layerlab.run.moves import FIRST, PULL, PUSHED_EDITS, UPDATE, judge
from layerlab.run.registry import lacking

pytestmark = [pytest.mark.engine, pytest.mark.experiment(registry.EXPERIMENT)]

#: Bytes of a few layers without a file.
LITTLE = 1000


@pytest.fixture(scope="module")
def transfers(lab: Lab, selected_variants: list[Variant]) -> Transfers:
    """Every selected variant, pushed whole and after each edit, and pulled."""
    if why := lacking(lab.endpoint):
        pytest.skip(f"the registry lab is not available: {why}")
    return registry.measure(lab, selected_variants)


@pytest.mark.parametrize("edit", PUSHED_EDITS, ids=lambda edit: edit.scenario)
def test_push_of_an_edit(transfers: Transfers, variant: Variant, edit: Edit) -> None:
    """The registry is sent what the layer cache could not reuse, and nothing else."""
    expected = variant.expects("layer-cache", edit.scenario)
    moves = transfers.of(variant)
    if judge(moves, edit.scenario) != expected:
        raise Unmet(registry.explain(variant, moves, edit.scenario, expected))


def test_size_is_the_image_labs(transfers: Transfers, variant: Variant) -> None:
    """What the registry holds is what the image lab calls the compressed size."""
    assert abs(transfers.of(variant).difference) <= TOLERANCE


def test_pull_brings_what_is_missing(transfers: Transfers, variant: Variant) -> None:
    """An engine with the base is sent the variant's own layers; then, for an edit, what the edit changed."""
    moves = transfers.of(variant)
    if transfers.lacking:
        pytest.skip(f"nothing was pulled: {transfers.lacking}")
    for pull, push in ((PULL, FIRST), (UPDATE, PUSHED_EDITS[0].scenario)):
        brought, missing = set(moves.pulls[pull].downloaded), set(moves.new[push])
        assert missing <= brought
        # An engine fetches a layer again that is to lie on another one; what may be so is an empty one.
        assert sum(layer.bytes for layer in brought - missing) < LITTLE


def test_a_digest_stays_and_a_tag_moves(transfers: Transfers, variant: Variant) -> None:
    """By its digest the first image comes, whatever the tag stands for by now; that it moved is noticed."""
    moves = transfers.of(variant)
    if transfers.lacking:
        pytest.skip(f"nothing was pulled: {transfers.lacking}")
    assert moves.pinned
    assert moves.moved
