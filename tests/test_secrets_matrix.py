"""The secrets lab on every release of the engine, with both image stores."""

import pytest

from conftest import Brought
from layerlab.engine.endpoint import Endpoint
from layerlab.labs import secrets
from layerlab.run import readers
from layerlab.run.readers import CHILD, INSIDE, INSPECTS, PULLS

pytestmark = [pytest.mark.engine, pytest.mark.matrix]


def test_the_same_people_read_on_every_release(matrix_endpoint: Endpoint, brought: Brought) -> None:
    with brought(matrix_endpoint, variant="") as (lab, (variant,)):
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
