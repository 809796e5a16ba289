"""The environment lab on every release of the engine, with both image stores."""

import pytest

from conftest import Brought
from layerlab.engine.endpoint import Endpoint
from layerlab.labs import env_injection
from layerlab.run import env, spelling

pytestmark = [pytest.mark.engine, pytest.mark.matrix]


def test_same_answers_on_every_release(matrix_endpoint: Endpoint, brought: Brought) -> None:
    with brought(matrix_endpoint, variant="") as (lab, (variant,)):
        answers = env_injection.measure(lab, variant)
    assert [told for pair in env.pairs() if (told := env_injection.explain(pair, answers))] == []
    every = [(odd, way) for odd in spelling.ODD for way in env.WAYS]
    asked = [(odd, way) for odd, way in every if odd.variable(way) in answers.values]
    assert [told for one in asked if (told := env_injection.explain_odd(*one, answers))] == []
