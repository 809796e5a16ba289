"""Private engines of several releases, one after another: each is what it should be, and works."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from layerlab.build.buildx import Build, Request, build
from layerlab.build.dockerfile import parse
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.matrix import Release
from layerlab.engine.private import private_engine
from layerlab.engine.transfer import bring
from layerlab.errors import LabError

pytestmark = [pytest.mark.engine, pytest.mark.matrix]

TWO_STAGES = """\
FROM BASE AS builder
WORKDIR /app
COPY main.py .
RUN python main.py > answer
FROM scratch
COPY --from=builder /app/answer /
COPY README.md /
LABEL org.example.kept=yes
"""


@pytest.fixture
def base(matrix_endpoint: Endpoint, endpoint: Endpoint, slim: str) -> str:
    """The slim base, brought from this session's engine."""
    bring(slim, endpoint, matrix_endpoint)
    return slim


@pytest.fixture
def own_run(matrix_endpoint: Endpoint) -> Iterator[Run]:
    """A run on the engine of the matrix, which leaves nothing there."""
    with leftovers.running() as this:
        yield this
        leftovers.remove_run(matrix_endpoint, this)
        assert leftovers.remove_run(matrix_endpoint, this) == []


@pytest.fixture
def build_here(
    matrix_endpoint: Endpoint, own_run: Run, base: str, tmp_path: Path
) -> Callable[..., Build]:
    """Builds a Dockerfile's text, where BASE stands for the base, from ``tmp_path/context``."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "README.md").write_text("read me\n")
    (context / "main.py").write_text(f"print('{os.getpid()} {time.time_ns()}')\n")

    def build_it(text: str, *, cold: bool = False) -> Build:
        source = text.replace("BASE", base)
        dockerfile = tmp_path / "Dockerfile"
        dockerfile.write_text(source)
        request = Request(
            dockerfile=dockerfile,
            context=context,
            parsed=parse(source),
            tag=f"layerlab/matrix:{own_run.id}",
            labels=own_run.labels,
            no_cache=cold,
        )
        return build(matrix_endpoint, request)

    return build_it


def test_it_is_the_release_that_was_asked_for(matrix_endpoint: Endpoint, release: Release) -> None:
    can = matrix_endpoint.can
    assert can.engine.startswith(f"{release.version}.")
    assert can.image_store == release.image_store
    newest = private_engine().tools.client
    assert (can.buildx, can.compose) == tuple(map(newest.plugin_version, ("buildx", "compose")))


def test_steps_and_the_cache_are_read(build_here: Callable[..., Build], tmp_path: Path) -> None:
    cold, again = build_here(TWO_STAGES, cold=True), build_here(TWO_STAGES)
    assert cold.failure is None
    lines = [(step.label, step.keyword, step.line) for step in cold.counted]
    assert lines == [
        ("[builder 3/4]", "COPY", 3),
        ("[builder 4/4]", "RUN", 4),
        ("[stage-1 1/2]", "COPY", 6),
        ("[stage-1 2/2]", "COPY", 7),
    ]
    assert (cold.reused, again.reused) == (0, 4)
    assert 0 < cold.engine_seconds <= cold.wall_seconds
    readme = tmp_path / "context/README.md"
    readme.write_text("read me again\n")
    edited = build_here(TWO_STAGES)
    assert [step.line for step in edited.ran] == [7]


def test_an_image_is_the_same_on_another_engine(
    build_here: Callable[..., Build], matrix_endpoint: Endpoint, endpoint: Endpoint, own_run: Run
) -> None:
    assert build_here(TWO_STAGES).failure is None
    name = f"layerlab/matrix:{own_run.id}"
    try:
        bring(name, matrix_endpoint, endpoint)
        bring(name, matrix_endpoint, endpoint)  # it is there: nothing is sent
        here, there = matrix_endpoint.connect(), endpoint.connect()
        built, brought = here.images.get(name).attrs, there.images.get(name).attrs
        here.close()
        there.close()
    finally:
        leftovers.remove_run(endpoint, own_run)
    assert len(built["RootFS"]["Layers"]) == 2
    assert brought["RootFS"] == built["RootFS"]
    assert brought["Config"]["Labels"] == built["Config"]["Labels"]


def test_what_is_not_there_can_t_be_brought(matrix_endpoint: Endpoint, endpoint: Endpoint) -> None:
    with pytest.raises(LabError, match="layerlab/nowhere:1 is not on the engine at"):
        bring("layerlab/nowhere:1", matrix_endpoint, endpoint)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("FROM BASE\nCOPY gone.txt /\n", "copy", "Dockerfile:2: gone.txt is not in the build"),
        ("FROM BASE\nRUN echo why >&2; exit 7\n", "run", "exit code 7; its last lines:\n    why"),
        (
            "FROM layerlab/none:1\nRUN true\n",
            "base",
            "Dockerfile:1: the image layerlab/none:1 can't",
        ),
        ("FROM BASE\nRUNN true\n", "dockerfile", "Dockerfile:2: unknown instruction: RUNN"),
    ],
)
def test_failures_are_understood(
    build_here: Callable[..., Build], text: str, kind: str, words: str
) -> None:
    failure = build_here(text).failure
    assert failure is not None
    assert failure.kind == kind
    assert words in failure.sentence


def test_a_container_runs_and_answers_on_loopback(
    matrix_endpoint: Endpoint, base: str, own_run: Run
) -> None:
    client = matrix_endpoint.connect()
    served = client.containers.run(
        base,
        ["python", "-m", "http.server", "80"],
        detach=True,
        init=True,
        ports={"80/tcp": ("127.0.0.1", None)},
        labels=own_run.labels,
    )
    served.reload()
    port = served.ports["80/tcp"][0]["HostPort"]
    deadline = time.monotonic() + 10
    while True:
        try:
            status = httpx.get(f"http://127.0.0.1:{port}/etc/").status_code
            break
        except httpx.HTTPError:
            assert time.monotonic() < deadline, served.logs()
            time.sleep(0.05)
    assert status == 200
    assert leftovers.remove_run(matrix_endpoint, own_run) == [f"container {served.name}"]
    client.close()
