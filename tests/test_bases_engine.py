"""Conformance: what a Dockerfile's author relies on in a base image, official or stand-in.

Each test runs against whichever image is there, so the stand-ins are held to the official ones.
"""

import io
import json
import tarfile
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
from docker.models.containers import Container

from layerlab.engine import bases, leftovers
from layerlab.engine.bases import Base
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.standins import RECIPES, STANDIN_LABEL
from layerlab.errors import LabError

pytestmark = pytest.mark.engine
PYTHONS = ("python:3.11-slim", "python:3.11")


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def conformance(endpoint: Endpoint) -> Iterator[Run]:
    """A run whose containers, volumes and images are removed, whatever happens."""
    with leftovers.running() as run:
        yield run
        leftovers.remove_run(endpoint, run)


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[docker.DockerClient]:
    connection = endpoint.connect()
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def base(endpoint: Endpoint, request: pytest.FixtureRequest) -> Callable[[str], Base]:
    """A base image by its official name, or a skipped test where it cannot be had."""

    def present(name: str) -> Base:
        try:
            (found,) = bases.ensure(
                endpoint, [name], standins=request.config.getoption("standins"), progress=quiet
            )
        except LabError as error:
            pytest.skip(str(error))
        return found

    return present


class Containers:
    """Makes labelled containers and volumes."""

    def __init__(self, client: docker.DockerClient, run: Run, endpoint: Endpoint) -> None:
        self.client, self.run, self.endpoint = client, run, endpoint

    def output(self, image: str, *command: str, stdin: str = "") -> str:
        """What a command prints in a fresh container; stdin is given as the file /run/in."""
        container = self.create(image, list(command) or None, {"/run/in": stdin})
        container.start()
        code = container.wait(timeout=120)["StatusCode"]
        text = container.logs().decode()
        container.remove(v=True)
        assert code == 0, text
        return text.strip()

    def create(
        self, image: str, command: Any = None, files: dict[str, str] | None = None, **options: Any
    ) -> Container:
        container = self.client.containers.create(image, command, labels=self.run.labels, **options)
        for path, content in (files or {}).items():
            container.put_archive("/", _tar(path.lstrip("/"), content.encode()))
        return container

    def start(self, image: str, command: Any = None, **options: Any) -> Container:
        container = self.create(image, command, **options)
        container.start()
        return container

    def volume(self) -> str:
        return str(self.client.volumes.create(labels=self.run.labels).name)


def _tar(path: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(content), 0o644
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def sh(container: Container, script: str, **options: Any) -> str:
    """What a shell script prints in a running container; its failure fails the test."""
    code, output = container.exec_run(["sh", "-c", script], **options)
    assert code == 0, f"{script}: {output.decode()}{container.logs(tail=20).decode()}"
    return str(output.decode().strip())


def until(container: Container, script: str, seconds: float = 30) -> None:
    """Wait until a shell script succeeds in a running container."""
    end = time.monotonic() + seconds
    while container.exec_run(["sh", "-c", script])[0] != 0:
        if time.monotonic() > end:
            pytest.fail(f"{script}: not within {seconds} s\n{container.logs(tail=30).decode()}")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def containers(client: docker.DockerClient, conformance: Run, endpoint: Endpoint) -> Containers:
    return Containers(client, conformance, endpoint)


@pytest.fixture
def build(endpoint: Endpoint, conformance: Run, tmp_path: Path) -> Callable[..., str]:
    """Builds a Dockerfile's text; returns the image's tag."""

    def build_it(text: str, needed: list[Base], files: dict[str, bytes] | None = None) -> str:
        for name, content in (files or {}).items():
            (tmp_path / name).write_bytes(content)
        (tmp_path / "Dockerfile").write_text(textwrap.dedent(text))
        tag = f"layerlab/conformance:{tmp_path.name.replace('_', '').lower()}"
        labels = [f"--label={key}={value}" for key, value in conformance.labels.items()]
        contexts = [f"--build-context={n}={c}" for n, c in bases.build_contexts(needed)]
        endpoint.run(
            *("buildx", "build", "--no-cache", "--provenance=false", *labels, *contexts),
            *("--tag", tag, tmp_path),
            doing="building",
        )
        return tag

    return build_it


def config(client: docker.DockerClient, image: Base) -> dict[str, Any]:
    return dict(client.images.get(image.reference).attrs["Config"])


# Python


ABOUT = """
import json, os, platform, shutil, sys, sysconfig
print(json.dumps({
    "version": platform.python_version(), "prefix": sys.prefix, "path": list(map(os.path.realpath, sys.path)),
    "programs": {n: shutil.which(n) for n in ("python", "python3", "pip", "pip3", "curl", "gcc", "git")},
    "packages": os.path.islink(sysconfig.get_path("purelib")) or sysconfig.get_path("purelib"),
    "externally": os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")),
    "headers": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "user": os.getuid(), "folder": os.getcwd(), "environ": dict(os.environ),
    "lists": [n for n in os.listdir("/var/lib/apt/lists") if n not in ("lock", "partial", "auxfiles")],
    "manuals": sum(len(files) for _, _, files in os.walk("/usr/share/man")),
}))
"""


@pytest.mark.parametrize("name", PYTHONS)
def test_python_is_laid_out_as_the_official_image(
    name: str, base: Callable[[str], Base], containers: Containers, client: docker.DockerClient
) -> None:
    image = base(name)
    about = json.loads(containers.output(image.reference, "python", "/run/in", stdin=ABOUT))
    assert about["version"].startswith("3.11.")
    assert about["version"] == about["environ"]["PYTHON_VERSION"]
    assert about["environ"]["LANG"] == "C.UTF-8"
    assert about["environ"]["PATH"].startswith("/usr/local/bin:")
    assert about["prefix"] == "/usr/local"
    assert about["packages"] == "/usr/local/lib/python3.11/site-packages"
    assert about["packages"] in about["path"]
    for program in ("python", "python3", "pip", "pip3"):
        assert about["programs"][program] == f"/usr/local/bin/{program}"
    assert not about["externally"]
    assert about["headers"]
    assert (about["user"], about["folder"], about["lists"]) == (0, "/", [])
    full = name == "python:3.11"
    assert {n: about["programs"][n] is not None for n in ("curl", "gcc", "git")} == dict.fromkeys(
        ("curl", "gcc", "git"), full
    )
    if not full:
        assert about["manuals"] == 0
    assert config(client, image)["Cmd"] == ["python3"]
    assert not config(client, image).get("Entrypoint")
    assert not config(client, image).get("WorkingDir", "").strip("/")


def wheel() -> bytes:
    """A small package with a command, so that no package index is needed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("greeting.py", 'def main():\n    print("hello from", __file__)\n')
        info = "greeting-1.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\ngreet = greeting:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return stream.getvalue()


COPIES = {
    "user": (
        "RUN pip install --user --no-index /greeting-1-py3-none-any.whl",
        "COPY --from=builder /root/.local /root/.local\nENV PATH=/root/.local/bin:$PATH",
        "/root/.local/lib/python3.11/site-packages/greeting.py",
    ),
    "site-packages": (
        "RUN pip install --no-index /greeting-1-py3-none-any.whl",
        (
            "COPY --from=builder /usr/local/lib/python3.11/site-packages"
            " /usr/local/lib/python3.11/site-packages\n"
            "COPY --from=builder /usr/local/bin /usr/local/bin"
        ),
        "site-packages/greeting.py",
    ),
    "venv": (
        (
            "RUN python -m venv /opt/venv"
            " && /opt/venv/bin/pip install --no-index /greeting-1-py3-none-any.whl"
        ),
        "COPY --from=builder /opt/venv /opt/venv\nENV PATH=/opt/venv/bin:$PATH",
        "/opt/venv/lib/python3.11/site-packages/greeting.py",
    ),
    "prefix": (
        "RUN pip install --prefix=/install --no-index /greeting-1-py3-none-any.whl",
        "COPY --from=builder /install /usr/local",
        "site-packages/greeting.py",
    ),
}


@pytest.mark.parametrize("kind", COPIES)
def test_packages_are_copied_between_stages(
    kind: str, base: Callable[[str], Base], build: Callable[..., str], containers: Containers
) -> None:
    needed = [base(name) for name in PYTHONS]
    install, copy, where = COPIES[kind]
    text = (
        "FROM python:3.11 AS builder\nCOPY *.whl /\n"
        f"{install}\nFROM python:3.11-slim\nWORKDIR /app\n{copy}\nCMD greet\n"
    )
    tag = build(text, needed, {"greeting-1-py3-none-any.whl": wheel()})
    said = containers.output(tag)
    assert said.startswith("hello from")
    # A stand-in's interpreter names the same folder dist-packages, which is a link to it.
    assert said.replace("dist-packages", "site-packages").endswith(where)


@pytest.mark.parametrize("name", PYTHONS)
def test_a_build_reaches_the_package_index_and_apt(
    name: str, base: Callable[[str], Base], build: Callable[..., str], containers: Containers
) -> None:
    tag = build(
        f"""\
        FROM {name}
        RUN pip install --no-cache-dir idna
        RUN pip install --no-cache-dir --upgrade pip && pip download --no-deps idna
        RUN apt-get update && apt-get install -y --no-install-recommends less \\
            && rm -rf /var/lib/apt/lists/*
        CMD python -c "import idna; print('idna')" && less --version
        """,
        [base(name)],
    )
    said = containers.output(tag)
    assert said.startswith("idna\nless ")


def test_the_full_image_compiles_an_extension(
    base: Callable[[str], Base], build: Callable[..., str], containers: Containers
) -> None:
    setup = b"""\
from setuptools import Extension, setup
setup(name="answer", version="1", ext_modules=[Extension("answer", ["answer.c"])])
"""
    source = b"""\
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "answer", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_answer(void) {
    PyObject *m = PyModule_Create(&module);
    PyModule_AddIntConstant(m, "value", 42);
    return m;
}
"""
    tag = build(
        """\
        FROM python:3.11
        COPY setup.py answer.c /src/
        RUN pip install --no-index --no-build-isolation /src
        RUN python3-config --includes | grep -q python3.11
        CMD ["python", "-c", "import answer; print(answer.value)"]
        """,
        [base("python:3.11")],
        {"setup.py": setup, "answer.c": source},
    )
    assert containers.output(tag) == "42"


# PostgreSQL


LOGIN = 'psql -h "$(hostname -i)" -U app -d notes -Atc'


def test_postgres_starts_as_the_official_image(
    base: Callable[[str], Base], containers: Containers, client: docker.DockerClient
) -> None:
    image = base("postgres:15")
    volume = containers.volume()
    options = {"volumes": {volume: {"bind": "/var/lib/postgresql/data"}}}
    first = containers.create(
        image.reference,
        ["postgres", "-c", "max_connections=17"],
        {
            "/run/secrets/password": "from-a-file\n",
            "/docker-entrypoint-initdb.d/1.sql": "CREATE TABLE note (text text);",
            "/docker-entrypoint-initdb.d/2.sh": "psql -U app -d notes -c "
            "\"INSERT INTO note VALUES ('학습')\"",
        },
        environment={
            "POSTGRES_USER": "app",
            "POSTGRES_DB": "notes",
            "POSTGRES_PASSWORD_FILE": "/run/secrets/password",
        },
        **options,
    )
    first.start()
    # Over TCP: while the first scripts run, the server listens on its socket only.
    until(first, "pg_isready -h 127.0.0.1 -U app -d notes")
    password = {"environment": {"PGPASSWORD": "from-a-file"}}
    assert sh(first, f"{LOGIN} 'SELECT text FROM note'", **password) == "학습"
    assert sh(first, f"{LOGIN} 'SHOW max_connections'", **password) == "17"
    code, output = first.exec_run(
        ["sh", "-c", f"{LOGIN} 'SELECT 1'"], environment={"PGPASSWORD": "wrong"}
    )
    assert code != 0
    assert b"password authentication failed" in output
    assert sh(first, "stat -c %U /proc/1") == "postgres"
    first.stop(timeout=20)
    assert first.wait()["StatusCode"] == 0
    first.remove()
    second = containers.start(image.reference, **options)
    until(second, "pg_isready -h 127.0.0.1 -U app -d notes")
    assert sh(second, f"{LOGIN} 'SELECT text FROM note'", **password) == "학습"
    second.remove(force=True, v=True)
    known = config(client, image)
    assert "/var/lib/postgresql/data" in known["Volumes"]
    assert "5432/tcp" in known["ExposedPorts"]
    assert known["StopSignal"] == "SIGINT"
    assert "PGDATA=/var/lib/postgresql/data" in known["Env"]


def test_postgres_refuses_to_start_without_a_password(
    base: Callable[[str], Base], containers: Containers
) -> None:
    container = containers.start(base("postgres:15").reference)
    assert container.wait(timeout=30)["StatusCode"] == 1
    assert b"superuser password is not specified" in container.logs()
    container.remove(v=True)


def test_postgres_trusts_when_told_to(base: Callable[[str], Base], containers: Containers) -> None:
    container = containers.start(
        base("postgres:15").reference, environment={"POSTGRES_HOST_AUTH_METHOD": "trust"}
    )
    until(container, "pg_isready -h 127.0.0.1")
    assert sh(container, 'psql -h "$(hostname -i)" -U postgres -Atc "SELECT 1"') == "1"
    container.remove(force=True, v=True)


# Redis


def test_redis_serves_and_keeps_its_data(
    base: Callable[[str], Base], containers: Containers, client: docker.DockerClient
) -> None:
    image = base("redis:7")
    volume = containers.volume()
    options = {"volumes": {volume: {"bind": "/data"}}}
    first = containers.start(image.reference, **options)
    until(first, "redis-cli ping")
    # From another address than loopback, which protected mode would refuse.
    assert sh(first, 'redis-cli -h "$(hostname -i)" set visits 3') == "OK"
    assert sh(first, "stat -c %U /proc/1") == "redis"
    assert sh(first, "redis-server --version").startswith("Redis server v=7.")
    first.stop(timeout=20)
    assert first.wait()["StatusCode"] == 0
    first.remove()
    second = containers.start(image.reference, ["--maxclients", "77"], **options)
    until(second, "redis-cli ping")
    assert sh(second, "redis-cli get visits") == "3"
    assert sh(second, "redis-cli config get maxclients").split() == ["maxclients", "77"]
    second.remove(force=True, v=True)
    known = config(client, image)
    assert "/data" in known["Volumes"]
    assert "6379/tcp" in known["ExposedPorts"]
    assert (known["WorkingDir"], known["Cmd"]) == ("/data", ["redis-server"])


def test_redis_obeys_a_password_and_a_configuration_file(
    base: Callable[[str], Base], containers: Containers
) -> None:
    container = containers.create(
        base("redis:7").reference,
        ["redis-server", "/etc/redis.conf", "--requirepass", "geheim"],
        {"/etc/redis.conf": "maxclients 78\nprotected-mode yes\n"},
    )
    container.start()
    until(container, "redis-cli -a geheim ping | grep -q PONG")
    assert sh(container, "redis-cli get x").startswith("NOAUTH")
    asked = sh(container, "redis-cli -a geheim --no-auth-warning config get protected-mode")
    assert asked.split() == ["protected-mode", "yes"]
    container.remove(force=True, v=True)


# Registry


def test_registry_takes_and_gives_an_image(
    base: Callable[[str], Base],
    build: Callable[..., str],
    containers: Containers,
    client: docker.DockerClient,
    endpoint: Endpoint,
) -> None:
    server = containers.start(
        base("registry:2").reference,
        ports={"5000/tcp": ("127.0.0.1", None)},
        environment={"REGISTRY_LOG_LEVEL": "debug"},
    )
    time.sleep(0.5)
    server.reload()
    # The engine itself pushes and pulls, so it is the engine's own loopback that counts.
    host = f"127.0.0.1:{server.ports['5000/tcp'][0]['HostPort']}"
    tag = build("FROM scratch\nCOPY tiny /\n", [], {"tiny": b"tiny"})
    name = f"{host}/tiny:1"
    image = client.images.get(tag)
    image.tag(name)
    end = time.monotonic() + 20
    while True:
        said = client.images.push(name)
        if '"error"' not in said:
            break
        assert time.monotonic() < end, said
        time.sleep(0.2)
    client.images.remove(name)
    (pulled,) = bases.ensure(endpoint, [name], standins=False, progress=quiet)
    assert (pulled.how, pulled.standin) == ("pulled", False)
    assert pulled.digest is not None
    assert pulled.digest.startswith("sha256:")
    assert bases.described([pulled]) == f"{name} pulled ({pulled.digest[:19]})"
    assert bases.ensure(endpoint, [name], standins=False, progress=quiet)[0].how == "present"
    assert b"level=debug" in server.logs()
    for missing in (f"{host}/tiny:2", f"{host}/none:1"):
        with pytest.raises(LabError, match=f"{missing} does not exist"):
            bases.ensure(endpoint, [missing], standins=True, progress=quiet)
    client.images.remove(name)
    server.remove(force=True, v=True)
    with pytest.raises(LabError, match=f"{host} does not answer"):
        bases.ensure(endpoint, [name], standins=True, progress=quiet)


# What is there, and under which name


def test_a_stand_in_says_that_it_is_one(
    base: Callable[[str], Base], client: docker.DockerClient, endpoint: Endpoint
) -> None:
    found = base("python:3.11-slim")
    labels = config(client, found).get("Labels") or {}
    assert found.standin == (labels.get(STANDIN_LABEL) == "python:3.11-slim")
    if not found.standin:
        assert "official" in bases.described([found])
        return
    assert bases.described([found]) == "python:3.11-slim stand-in from Debian packages"
    assert found.reference in ("python:3.11-slim", RECIPES["python:3.11-slim"].tag)
    assert found.reference == found.name or not endpoint.private
    (alias,) = bases.ensure(
        endpoint, ["docker.io/library/python:3.11-slim-bookworm"], standins=True, progress=quiet
    )
    assert (alias.image_id, alias.standin) == (found.image_id, True)


def test_scratch_needs_nothing_and_a_local_image_is_enough(
    build: Callable[..., str], endpoint: Endpoint
) -> None:
    tag = build("FROM scratch\nCOPY local /\n", [], {"local": b"here"})
    (found,) = bases.ensure(endpoint, ["scratch", tag, tag], standins=False, progress=quiet)
    assert (found.reference, found.how, found.standin) == (tag, "present", False)


def test_a_user_s_engine_gets_no_stand_in_under_an_official_name(
    client: docker.DockerClient, endpoint: Endpoint, base: Callable[[str], Base]
) -> None:
    if not base("debian:bookworm-slim").standin:
        pytest.skip("a registry answers here")
    users = replace(endpoint, private=False)
    # An official name that only this test asks for.
    name = "debian:12-slim"
    with pytest.raises(LabError, match="--standins"):
        bases.ensure(users, [name], standins=False, progress=quiet)
    (found,) = bases.ensure(users, [name], standins=True, progress=quiet)
    assert found.reference == RECIPES["debian:bookworm-slim"].tag
    assert bases.build_contexts([found]) == [(name, f"docker-image://{found.reference}")]
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get(name)
    # Before Engine 23.0 a build can't be told to use it in place of the official one.
    old = replace(users, capabilities=replace(endpoint.can, engine="20.10.24"))
    with pytest.raises(LabError, match=f"docker tag {found.reference} {name}"):
        bases.ensure(old, [name], standins=True, progress=quiet)
    # A name that the user gave it is as good on every engine.
    client.images.get(found.reference).tag(name)
    try:
        (given,) = bases.ensure(old, [name], standins=True, progress=quiet)
        assert (given.reference, given.standin) == (name, True)
    finally:
        client.images.remove(name)
