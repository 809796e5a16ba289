"""The health lab on every release of the engine: their rules differ, and the predictions with them."""

import pytest

from conftest import Brought
from layerlab.engine.endpoint import Endpoint
from layerlab.labs import healthcheck
from layerlab.show import health as shown

pytestmark = [pytest.mark.engine, pytest.mark.matrix]


def test_every_change_comes_when_predicted(classic_endpoint: Endpoint, brought: Brought) -> None:
    with brought(classic_endpoint, variant="HEALTHCHECK NONE") as (lab, (variant,)):
        seen = healthcheck.measure(lab, variant, [])
    assert seen.problems == {}
    told = [
        shown.disagreement(name, one.comparison, one.log)
        for name, one in seen.seen.items()
        if not one.comparison.agrees
    ]
    assert told == []
    assert len(seen.seen) >= 30
