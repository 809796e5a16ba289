"""A stack that can't come up: one clear sentence, and the engine is as before."""

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import docker.errors
import pytest

from layerlab.engine import bases
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import prepare
from layerlab.run.stack import NotUp, Stack

pytestmark = pytest.mark.engine
PROJECT = Path(__file__).parent.parent
SLIM = "python:3.11-slim"


@pytest.fixture(scope="module")
def images(endpoint: Endpoint) -> dict[str, str]:
    names = [SLIM, "postgres:15", "redis:7"]
    found = bases.ensure(endpoint, names, standins=False, progress=lambda _: None)
    return {base.name: base.reference for base in found}


def everything(endpoint: Endpoint) -> tuple[str, ...]:
    """What `docker ps -a`, `network ls` and `volume ls` list."""
    commands = (("ps", "-aq", "--no-trunc"), ("network", "ls", "-q"), ("volume", "ls", "-q"))
    return tuple(endpoint.run(*words, doing="listing") for words in commands)


@pytest.fixture
def refused(
    endpoint: Endpoint, run: Run, images: dict[str, str]
) -> Callable[[Callable[[Stack], None]], str]:
    """What is said when something is done with a stack; nothing is left of it."""

    def refused_for(do: Callable[[Stack], None]) -> str:
        before = everything(endpoint)
        with (
            pytest.raises(NotUp) as error,
            prepare.prepared(endpoint, run, PROJECT, images=images) as it,
        ):
            do(it.with_variables(WEB_IMAGE=images[SLIM]))
        assert everything(endpoint) == before
        return str(error.value)

    return refused_for


def with_text(this: Stack, text: str) -> Stack:
    """The stack with one more file; its name is `more.yaml`."""
    (this.folder / "compose" / "more.yaml").write_text(text)
    return this.with_files("more.yaml")


@contextmanager
def taken(endpoint: Endpoint) -> Iterator[int]:
    """A port that somebody has, here and on the engine's machine."""
    with socket.create_server(("127.0.0.1", 0)) as here:
        yield here.getsockname()[1]


def test_a_port_that_is_taken(
    endpoint: Endpoint, refused: Callable[[Callable[[Stack], None]], str]
) -> None:
    with taken(endpoint) as port:
        said = refused(
            lambda it: it.with_variables(WEB_PORT=str(port)).up("--no-build", "--no-deps", "web")
        )
    assert said == (
        f"web: the port 127.0.0.1:{port} is taken: end what uses it, or publish another (port 0 is "
        "any free one)"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "services:\n  web:\n    init: true\n   restart: no\n",
            "more.yaml:4: this is not YAML: expected <block end>, but found '<block mapping start>'",
        ),
        (
            "services:\n  web:\n    init: true\n    stdin_open: [1]\n",
            "more.yaml:4: services.web.stdin_open: must be a boolean or string",
        ),
        (
            "services:\n  web:\n    init: true\n    ports: 80\n",
            "more.yaml:4: services.web.ports: it is of another kind than in the file before",
        ),
        (
            "services:\n  web:\n    init: true\n    portz: [80]\n",
            "more.yaml:4: services.web: there is no such setting as portz",
        ),
        (
            "services:\n  web:\n    depends_on:\n      nobody: {condition: service_started}\n",
            "more.yaml:4: the service web uses the service nobody, which no file defines",
        ),
        (
            "services:\n  web:\n    networks: [nowhere]\n",
            "more.yaml:3: the service web uses the network nowhere, which no file defines",
        ),
        (
            "services:\n  web:\n    command: ${NAME?has to be said}\n",
            "more.yaml:3: services.web.command: required variable NAME is missing a value: has to be said",
        ),
    ],
    ids=["yaml", "type", "merge", "unknown-key", "no-service", "no-network", "no-variable"],
)
def test_a_compose_file_with_an_error(
    refused: Callable[[Callable[[Stack], None]], str], text: str, sentence: str
) -> None:
    assert refused(lambda it: with_text(it, text).up("--no-build")) == sentence


def test_a_service_that_never_becomes_healthy(
    refused: Callable[[Callable[[Stack], None]], str],
) -> None:
    text = """\
services:
  database:
    healthcheck:
      test: [CMD, sh, -c, "echo no such table >&2; exit 7"]
      interval: 500ms
      start_period: 500ms
      retries: 2
"""
    said = refused(lambda it: with_text(it, text).up("--no-build"))
    first, *rest = said.splitlines()
    assert first == "database never became healthy; its last health check ended with 7:"
    assert rest[0] == "    no such table"
    assert rest[1] == "  the last lines of its log:"
    assert len(rest) > 4


def test_a_service_that_ends(refused: Callable[[Callable[[Stack], None]], str]) -> None:
    text = "services:\n  cache:\n    command: [sh, -c, 'echo oh dear; exit 3']\n    restart: 'no'\n"
    said = refused(lambda it: with_text(it, text).up("--no-build"))
    assert said == "cache ended with exit code 3; the last lines of its log:\n    oh dear"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "volumes:\n  data:\n",
            "volumes:\n  data: {name: NAME}\n",
            "the volume data is named NAME",
        ),
        (
            "volumes:\n  data:\n",
            "volumes:\n  data:\n    external: true\n    name: NAME\n",
            "the volume data is another's (external)",
        ),
        (
            "  to_cache:\n    int",
            "  to_cache:\n    name: NAME\n    int",
            "the network to_cache is named",
        ),
        (
            "    image: redis:7\n",
            "    image: redis:7\n    container_name: NAME\n",
            "the container of cache",
        ),
    ],
    ids=["volume", "external", "network", "container"],
)
def test_what_is_the_users_is_not_touched(
    endpoint: Endpoint, run: Run, tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    name = f"layerlab-{run.id}-notes-data"
    project = tmp_path / "project"
    for part in ("app", "compose", "dockerfiles"):
        shutil.copytree(PROJECT / part, project / part)
    file = project / "compose" / "compose.yaml"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new.replace("NAME", name)))
    line = next(n for n, told in enumerate(file.read_text().splitlines(), 1) if name in told)
    labels = [word for pair in run.labels.items() for word in ("--label", "=".join(pair))]
    endpoint.run("volume", "create", *labels, name, doing="creating a volume")
    try:
        before = everything(endpoint)
        with (
            pytest.raises(LabError) as error,
            prepare.prepared(endpoint, run, project, images={}) as it,
        ):
            it.down("--volumes")
        assert everything(endpoint) == before
    finally:
        endpoint.run("volume", "rm", name, doing="removing the volume")
    said = str(error.value)
    assert sentence.replace("NAME", name) in said
    # `external` stands on the line before the name.
    assert said.startswith(f"compose.yaml:{line - ('external' in new)}: ")


def test_the_service_that_keeps_the_others_waiting_is_named(
    refused: Callable[[Callable[[Stack], None]], str],
) -> None:
    text = """\
services:
  database:
    healthcheck: {test: [CMD, "false"], start_period: 300s}
"""
    said = refused(
        lambda it: with_text(it, text).compose("up", "--detach", "--no-build", timeout=12)
    )
    assert said.startswith("docker compose up did not end in 12 s: database is starting")


def test_a_secret_that_is_missing(refused: Callable[[Callable[[Stack], None]], str]) -> None:
    paths = []

    def without(this: Stack) -> None:
        path = this.folder / "compose" / prepare.SECRET
        path.unlink()
        paths.append(path)
        this.up("--no-build")

    said = refused(without)
    line = next(
        number
        for number, text in enumerate(
            (PROJECT / "compose/compose.yaml").read_text().splitlines(), 1
        )
        if text.startswith("    file: ${DATABASE_PASSWORD_SOURCE")
    )
    assert said == (
        f"compose.yaml:{line}: the secret database_password is to be in {paths[0]}, which does not "
        "exist: write it there"
    )


def test_a_subnet_without_an_address_left(
    refused: Callable[[Callable[[Stack], None]], str],
) -> None:
    text = """\
services:
  more: {image: "redis:7", networks: [to_cache], pull_policy: never}
networks:
  to_cache:
    ipam: {config: [{subnet: 10.213.77.0/31}]}
"""
    said = refused(
        lambda it: with_text(it, text).up("--no-build", "--no-deps", "cache", "more", "web")
    )
    assert said == (
        "more.yaml:5: the network to_cache has no address left: its subnet is too small for its services"
    )


def test_address_ranges_that_are_exhausted(
    endpoint: Endpoint, run: Run, refused: Callable[[Callable[[Stack], None]], str]
) -> None:
    if not endpoint.private:
        pytest.skip("another's engine is not to be filled with networks")
    client = endpoint.connect()
    made = []
    try:
        with suppress(docker.errors.APIError):
            for number in range(100):
                name = f"layerlab-{run.id}-{number}"
                made.append(client.networks.create(name, labels=run.labels))
        assert made
        said = refused(lambda it: it.up("--no-build", "cache"))
        assert said.startswith("the network to_")
        assert "can't be made: the engine has given away all its address ranges" in said
        assert "\n" not in said
    finally:
        for network in made:
            network.remove()
        client.close()


def test_a_remote_engine_says_what_to_do(endpoint: Endpoint, run: Run) -> None:
    remote = replace(endpoint, host="tcp://192.0.2.1:2376")
    with (
        pytest.raises(LabError, match="the engine is on another machine"),
        prepare.prepared(remote, run, PROJECT, images={}),
    ):
        pytest.fail("nothing is prepared")
