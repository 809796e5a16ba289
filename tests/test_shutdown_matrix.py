"""The shutdown lab on every release of the engine."""

import pytest

from conftest import Brought
from layerlab.engine.endpoint import Endpoint
from layerlab.labs import shutdown
from layerlab.labs.shutdown import EXEC_FORM, SHELL_FORM

pytestmark = [pytest.mark.engine, pytest.mark.matrix]
COMMANDS = {
    EXEC_FORM: 'CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]',
    SHELL_FORM: "CMD uvicorn main:app --host 0.0.0.0 --port 8000",
}


def test_same_stops_on_every_release(classic_endpoint: Endpoint, brought: Brought) -> None:
    with brought(classic_endpoint, **COMMANDS) as (lab, variants):
        lives = shutdown.measure(lab, variants)
    assert lives.problems == {}
    found = {
        name: (life.first, life.stop.kind, life.stop.exit_code, life.stop.hook, life.request)
        for name, life in lives.lives.items()
    }
    assert found == {
        EXEC_FORM: ("python3.11", "clean", 0, True, "answered"),
        SHELL_FORM: ("dash", "killed", 137, False, "lost"),
        f"{EXEC_FORM} --init": ("docker-init", "clean", 143, True, "answered"),
        f"{SHELL_FORM} --init": ("docker-init", "abrupt", 143, False, "lost"),
    }
    assert lives.lives[EXEC_FORM].stop.seconds < 5
    assert lives.lives[SHELL_FORM].stop.seconds >= 10
    assert all(10e6 < life.memory_bytes < 200e6 for life in lives.lives.values())
