"""An .env file beside the app gets into no image of ours, whatever its Dockerfile copies."""

import shutil
import subprocess
from pathlib import Path

import pytest

from layerlab.build.buildx import Request, build
from layerlab.build.variant import load
from layerlab.engine import bases
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.image.export import from_engine
from layerlab.image.memory import Memory

PROJECT = Path(__file__).parent.parent
pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", ["production", "single-stage-slim"])
def test_a_dot_env_in_the_context_is_in_no_layer(
    endpoint: Endpoint, run: Run, tmp_path: Path, name: str
) -> None:
    """One has an ignore file of its own, the other the context's."""
    variant = load(PROJECT / f"dockerfiles/{name}.Dockerfile")
    found = bases.ensure(
        endpoint, variant.dockerfile.images(), standins=False, progress=lambda _: None
    )
    context = tmp_path / "app"
    shutil.copytree(PROJECT / "app", context, ignore=shutil.ignore_patterns("__pycache__"))
    (context / ".env").write_text("DATABASE_PASSWORD=a-canary\n")
    (context / ".env.local").write_text("DATABASE_PASSWORD=a-canary\n")
    tag = f"layerlab/test:{run.id}"
    request = Request(
        dockerfile=variant.copy_to(tmp_path / "dockerfile"),
        context=context,
        parsed=variant.dockerfile,
        tag=tag,
        labels=run.labels,
        build_contexts=bases.build_contexts(found),
    )
    assert build(endpoint, request).failure is None
    image = from_engine(endpoint, tag, Memory(), compress=False)
    paths = [entry.path for layer in image.layers for entry in layer.changeset.entries]
    assert "app/main.py" in paths
    assert not [path for path in paths if path.rpartition("/")[2].startswith(".env")]


def test_git_ignores_dot_env_and_keeps_its_example() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "compose/.env", "app/.env", "compose/.env.example"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout.split() == ["compose/.env", "app/.env"]
