"""Which engine is meant, and what its answers say; no engine is asked."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from layerlab.engine import choice
from layerlab.engine.client import Client
from layerlab.engine.endpoint import Endpoint, image_store, unreachable, version_tuple
from layerlab.errors import LabError

CLIENT = Client("docker")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("28.5.2+dfsg4", (28, 5, 2)),
        ("v0.29.1-3", (0, 29, 1)),
        ("0.13.1+ds1-3", (0, 13, 1)),
        ("20.10.24~rc1", (20, 10, 24)),
        ("29", (29,)),
        ("github.com/docker/buildx 0.29.1+ds1", (0, 29, 1)),
        ("dev", ()),
        ("", ()),
    ],
)
def test_version_tuple(text: str, numbers: tuple[int, ...]) -> None:
    assert version_tuple(text) == numbers


# `docker info` of Engine 28.5.2, and what moby's containerd store answers (daemon/containerd, GetStatus)
OVERLAY2 = """{"Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"],["Supports d_type","true"],
["Using metacopy","false"],["Native Overlay Diff","true"],["userxattr","false"]]}"""
CONTAINERD = (
    '{"Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}'
)


@pytest.mark.parametrize(
    ("info", "store"),
    [
        (OVERLAY2, "overlay2"),
        (CONTAINERD, "containerd"),
        ('{"Driver":"vfs","DriverStatus":null}', "vfs"),
        ("{}", "unknown"),
    ],
)
def test_image_store(info: str, store: str) -> None:
    assert image_store(json.loads(info)) == store


@pytest.mark.parametrize(
    ("host", "remote", "address"),
    [
        ("unix:///var/run/docker.sock", False, "127.0.0.1"),
        ("npipe:////./pipe/docker_engine", False, "127.0.0.1"),
        ("tcp://10.0.0.7:2376", True, "10.0.0.7"),
        ("ssh://me@build.example.org", True, "build.example.org"),
        ("tcp://[fd00::7]:2376", True, "fd00::7"),
    ],
)
def test_where_published_ports_answer(host: str, remote: bool, address: str) -> None:
    endpoint = Endpoint(host, "--engine", CLIENT)
    assert (endpoint.remote, endpoint.address) == (remote, address)


@pytest.fixture
def steered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No docker variables, an empty client configuration and no docker command of this machine."""
    for variable in [name for name in os.environ if name.startswith(("DOCKER", "BUILDX"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return monkeypatch


def docker_command(tmp_path: Path, steered: pytest.MonkeyPatch) -> None:
    """A docker client on PATH that knows the context `team` and has buildx."""
    found = [
        {"Name": "team", "Endpoints": {"docker": {"Host": "tcp://127.0.0.1:1"}}, "TLSMaterial": {}}
    ]
    script = tmp_path / "bin" / "docker"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '"buildx version") echo "github.com/docker/buildx v0.29.1 abc";;\n'
        f"\"context inspect team\") echo '{json.dumps(found)}';;\n"
        '*) echo "context not found" >&2; exit 1;;\n'
        "esac\n"
    )
    script.chmod(0o755)


def test_docker_host_goes_before_a_context(steered: pytest.MonkeyPatch) -> None:
    environment = {"DOCKER_HOST": "tcp://a:1", "DOCKER_CONTEXT": "team", "DOCKER_TLS_VERIFY": ""}
    endpoint = choice.named(CLIENT, environment)
    assert endpoint is not None
    assert (endpoint.host, endpoint.origin, dict(endpoint.extra)) == (
        "tcp://a:1",
        "DOCKER_HOST",
        {},
    )


def test_docker_host_with_tls(steered: pytest.MonkeyPatch) -> None:
    tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}
    endpoint = choice.named(CLIENT, {"DOCKER_HOST": "tcp://a:1", **tls})
    assert endpoint is not None
    assert dict(endpoint.extra) == tls
    assert {key: endpoint.environ()[key] for key in tls} == tls


@pytest.mark.parametrize("source", ["variable", "configuration"])
def test_a_context_is_named_by_a_variable_or_by_the_configuration(
    steered: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    docker_command(tmp_path, steered)
    environment = {"DOCKER_CONTEXT": "team"} if source == "variable" else {}
    if source == "configuration":
        (tmp_path / "config.json").write_text('{"currentContext": "team"}')
    endpoint = choice.named(Client(str(tmp_path / "bin" / "docker")), environment)
    assert endpoint is not None
    assert (endpoint.host, endpoint.origin) == ("tcp://127.0.0.1:1", "docker context 'team'")


@pytest.mark.parametrize("content", ["", "{}", "no json", '{"currentContext": "default"}'])
def test_nothing_but_the_default_is_named(
    steered: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    (tmp_path / "config.json").write_text(content)
    assert choice.named(CLIENT, {}) is None
    assert choice.named(None, {"DOCKER_CONTEXT": "team"}) is None


def test_without_a_client_docker_host_says_what_to_install(steered: pytest.MonkeyPatch) -> None:
    with pytest.raises(LabError, match="install Docker's client with buildx"):
        choice.named(None, {"DOCKER_HOST": "tcp://a:1"})


def test_a_docker_command_is_steered_to_its_engine_alone(steered: pytest.MonkeyPatch) -> None:
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT", "BUILDX_BUILDER", "COMPOSE_FILE"):
        steered.setenv(variable, "elsewhere")
    steered.setenv("KEPT", "yes")
    environ = Endpoint("unix:///ours.sock", "--engine", Client("docker", {"OWN": "1"})).environ()
    assert "elsewhere" not in environ.values()
    assert environ["DOCKER_HOST"] == "unix:///ours.sock"
    assert (environ["KEPT"], environ["OWN"]) == ("yes", "1")


@pytest.mark.parametrize(
    ("asked", "variables", "origin"),
    [
        ("tcp://127.0.0.1:1", {"DOCKER_HOST": "tcp://127.0.0.1:2"}, "--engine"),
        ("team", {"DOCKER_HOST": "tcp://127.0.0.1:2"}, "docker context 'team'"),
        (None, {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_CONTEXT": "team"}, "DOCKER_HOST"),
        (None, {"DOCKER_CONTEXT": "team"}, "docker context 'team'"),
    ],
)
def test_the_order_in_which_an_engine_is_found(
    steered: pytest.MonkeyPatch,
    tmp_path: Path,
    asked: str | None,
    variables: dict[str, str],
    origin: str,
) -> None:
    # Nothing listens there: the sentence names the one engine that was tried, and what chose it.
    docker_command(tmp_path, steered)
    for name, value in variables.items():
        steered.setenv(name, value)
    with pytest.raises(LabError) as caught:
        choice.find(asked)
    assert f"tcp://127.0.0.1:1 (from {origin})" in str(caught.value)


def test_an_address_is_asked_with_the_environment_s_certificates(
    steered: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As with `docker --host`."""
    docker_command(tmp_path, steered)
    steered.setenv("DOCKER_TLS_VERIFY", "1")
    steered.setenv("DOCKER_CERT_PATH", "/nowhere")
    with pytest.raises(LabError, match=r"^/nowhere/ca\.pem: No such file"):
        choice.find("tcp://127.0.0.1:1")


def test_the_private_engine_is_left_where_it_is_asked_for_or_nothing_is_there(
    steered: pytest.MonkeyPatch,
) -> None:
    assert choice.find("private") is None
    assert choice.find(None) is None  # no client, so no default socket


def test_an_unknown_context_is_told(steered: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker_command(tmp_path, steered)
    with pytest.raises(LabError, match=r"nowhere.*docker context"):
        choice.find("nowhere")


def test_what_to_do_where_an_engine_does_not_answer() -> None:
    endpoint = replace(Endpoint("unix:///s", "default socket", CLIENT))
    refused = unreachable(endpoint, PermissionError(13, "Permission denied"))
    assert "refuses this user: join the group `docker`" in refused
    assert "or use --engine private" in unreachable(endpoint, ConnectionError("no"))
