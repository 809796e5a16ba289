"""The environment lab on every release of the engine, with both image stores."""

import io
from pathlib import Path

import pytest

from layerlab.build.variant import load
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.transfer import bring
from layerlab.lab import Settings, opened
from layerlab.labs import env_injection
from layerlab.run import env, spelling
from layerlab.show.live import Screen

PROJECT = Path(__file__).parent.parent
pytestmark = [pytest.mark.engine, pytest.mark.matrix]


def test_same_answers_on_every_release(
    matrix_endpoint: Endpoint, endpoint: Endpoint, app_image: tuple[str, Run], tmp_path: Path
) -> None:
    tag, run = app_image
    bring(tag, endpoint, matrix_endpoint)
    (tmp_path / "app").symlink_to(PROJECT / "app")
    dockerfile = tmp_path / "brought.Dockerfile"
    dockerfile.write_text(f"FROM {tag}\n")
    variant = load(dockerfile)
    with opened(matrix_endpoint, Screen(io.StringIO()), Settings(tmp_path), [variant], {}) as lab:
        answers = env_injection.measure(lab, variant)
    assert [told for pair in env.pairs() if (told := env_injection.explain(pair, answers))] == []
    every = [(odd, way) for odd in spelling.ODD for way in env.WAYS]
    asked = [(odd, way) for odd, way in every if odd.variable(way) in answers.values]
    assert [told for one in asked if (told := env_injection.explain_odd(*one, answers))] == []
    leftovers.remove_run(matrix_endpoint, run)
    assert leftovers.remaining(matrix_endpoint) == []
