"""One container on a real engine: it serves, or says why not, and is gone in either case."""

import json
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from layerlab.build.buildx import Build
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.namespace import Link
from layerlab.errors import LabError
from layerlab.run import compose, container, ports
from layerlab.run.container import Environment

pytestmark = pytest.mark.engine
SERVING = """\
FROM SLIM
RUN echo '{"ok": true}' > /srv/info
WORKDIR /srv
CMD ["python", "-u", "-m", "http.server", "8000"]
"""
ENDING = """\
FROM SLIM
CMD ["python", "-c", "import time; print('the \\u001b[2Jreason', flush=True); time.sleep(DELAY); exit(3)"]
"""


def containers(endpoint: Endpoint) -> list[str]:
    return [one for one in leftovers.remaining(endpoint) if not one.startswith("image")]


def test_it_serves_and_is_gone(
    endpoint: Endpoint, run: Run, build_text: Callable[..., Build]
) -> None:
    build_text(SERVING, cold=False)
    tag = f"layerlab/test:{run.id}"
    with container.running(endpoint, run, tag, Environment(), purpose="test") as app:
        assert app.get("/info") == {"ok": True}
        assert containers(endpoint) == [f"container {app.name}"]
        with pytest.raises(LabError, match="does not answer /nothing well"):
            app.get("/nothing")
    assert containers(endpoint) == []
    with (
        pytest.raises(KeyboardInterrupt),
        container.running(endpoint, run, tag, Environment(), purpose="test"),
    ):
        raise KeyboardInterrupt
    assert containers(endpoint) == []


@dataclass(frozen=True)
class Elsewhere(Endpoint):
    """The private engine at its own address, in its own network: as one of another machine is."""

    @property
    def address(self) -> str:
        link = Path(self.host.removeprefix("unix://")).with_name("link.json")
        return Link(**json.loads(link.read_text())).address


def test_it_is_reached_on_an_engine_elsewhere(
    endpoint: Endpoint, run: Run, build_text: Callable[..., Build]
) -> None:
    if not endpoint.private:
        pytest.skip("only the private engine has such an address")
    build_text(SERVING, cold=False)
    there = Elsewhere(**vars(endpoint))
    with container.running(
        there, run, f"layerlab/test:{run.id}", Environment(), purpose="test"
    ) as app:
        assert app.url.startswith(f"http://{there.address}:")
        assert there.address != "127.0.0.1"
        assert app.get("/info") == {"ok": True}
    assert containers(endpoint) == []


def test_a_port_that_is_taken_is_not_the_end(
    endpoint: Endpoint, run: Run, build_text: Callable[..., Build]
) -> None:
    """The engine gives its ports in turn, and does not know of what else listens."""
    if endpoint.remote:
        pytest.skip("this engine's ports are on another machine")
    build_text(SERVING, cold=False)
    tag = f"layerlab/test:{run.id}"
    with container.running(endpoint, run, tag, Environment(), purpose="test") as app:
        port = int(app.url.rpartition(":")[2])
    with ExitStack() as taken:
        for next_one in (port + 1, port + 2):
            with suppress(OSError):  # Somebody else has it already, which is as good.
                taken.enter_context(socket.create_server(("127.0.0.1", next_one)))
        with container.running(endpoint, run, tag, Environment(), purpose="test") as app:
            assert app.get("/info") == {"ok": True}
            assert int(app.url.rpartition(":")[2]) not in (port + 1, port + 2)
    assert containers(endpoint) == []


@pytest.mark.parametrize("delay", ["0", "1"], ids=["at-once", "later"])
def test_one_that_ends_says_why(
    endpoint: Endpoint, run: Run, build_text: Callable[..., Build], delay: str
) -> None:
    build_text(ENDING.replace("DELAY", delay), cold=False)
    tag = f"layerlab/test:{run.id}"
    with (
        pytest.raises(LabError) as error,
        container.running(endpoint, run, tag, Environment(), purpose="test"),
    ):
        pytest.fail("it does not serve")
    assert "ended before it answered" in str(error.value)
    assert "the \\x1b[2Jreason" in str(error.value)
    assert containers(endpoint) == []


def test_bad_input_is_told_before_anything_starts(
    endpoint: Endpoint, run: Run, tmp_path: Path
) -> None:
    for environment, sentence in (
        (Environment(files=[tmp_path / "none.env"]), "No such file"),
        (Environment(flags=["2A=b"]), "-e: `2A` is no name of a variable"),
    ):
        with (
            pytest.raises(LabError, match=sentence),
            container.running(endpoint, run, "none:1", environment, purpose="test"),
        ):
            pytest.fail("it does not start")


def test_a_compose_project_is_taken_down(
    endpoint: Endpoint, run: Run, build_text: Callable[..., Build], tmp_path: Path
) -> None:
    build_text(SERVING, cold=False)
    port = ports.publishing(endpoint)
    services = {"web": {"image": f"layerlab/test:{run.id}", "ports": [port]}}
    project = compose.project(endpoint, run, tmp_path, services, shell={})

    def interrupted() -> None:
        with project as running:
            with running.up("web") as app:
                assert app.get("/info") == {"ok": True}
            with running.run("web", ["A=b"]) as app:
                assert app.get("/info") == {"ok": True}
            found = [one.partition(" ")[0] for one in containers(endpoint)]
            assert found == ["container", "container", "network"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert containers(endpoint) == []
