"""The stack on every release of the engine: it comes up, and its networks are as its file promises."""

from pathlib import Path

import pytest

from layerlab.engine import bases, leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.transfer import bring
from layerlab.run import prepare, reach

PROJECT = Path(__file__).parent.parent
pytestmark = [pytest.mark.engine, pytest.mark.matrix]


def test_it_serves_on_every_release(
    matrix_endpoint: Endpoint, endpoint: Endpoint, app_image: tuple[str, Run]
) -> None:
    tag, run = app_image
    names = ["postgres:15", "redis:7"]
    had = bases.ensure(endpoint, names, standins=False, progress=lambda _: None)
    try:
        for image in (tag, *(base.reference for base in had)):
            bring(image, endpoint, matrix_endpoint)
        images = {base.name: base.reference for base in had}
        with prepare.prepared(matrix_endpoint, run, PROJECT, images=images) as prepared:
            stack = prepared.with_variables(WEB_IMAGE=tag)
            stack.up("--no-build")
            stack.await_ready()
            stack.write("a note")
            assert stack.notes() == ["a note"]
            found = reach.measured(stack, run, tag)
            leaky = reach.leaky(matrix_endpoint.can.engine)
            assert reach.differences(stack.config(), found, leaky=leaky) == []
            assert reach.published(stack) == ["web"]
    finally:
        leftovers.remove_run(matrix_endpoint, run)
    assert leftovers.remaining(matrix_endpoint) == []
