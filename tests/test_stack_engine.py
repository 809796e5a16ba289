"""The stack on a real engine: its files in every combination, two at once, and what the overrides do."""

import itertools
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from layerlab.engine import bases, leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.run import prepare
from layerlab.run.stack import Stack

pytestmark = pytest.mark.engine
PROJECT = Path(__file__).parent.parent
OVERRIDES = ("ungated.yaml", "development.yaml", "production.yaml")
NAMES = ["python:3.11", "python:3.11-slim", "postgres:15", "redis:7"]


@pytest.fixture(scope="module")
def had(endpoint: Endpoint) -> list[bases.Base]:
    return bases.ensure(endpoint, NAMES, standins=False, progress=lambda _: None)


@pytest.fixture
def this(endpoint: Endpoint, run: Run, had: list[bases.Base]) -> Iterator[Stack]:
    """A stack that is not started."""
    images = {base.name: base.reference for base in had}
    contexts = bases.build_contexts(had)
    with prepare.prepared(endpoint, run, PROJECT, images=images, build_contexts=contexts) as stack:
        yield stack


def of_run(endpoint: Endpoint) -> list[str]:
    return [one for one in leftovers.remaining(endpoint) if not one.startswith("image")]


@pytest.mark.parametrize(
    "overrides",
    [some for count in range(4) for some in itertools.combinations(OVERRIDES, count)],
    ids=lambda some: "+".join(name.removesuffix(".yaml") for name in some) or "alone",
)
@pytest.mark.parametrize("ours", [False, True], ids=["by-hand", "in-a-run"])
def test_config_is_clean(this: Stack, overrides: tuple[str, ...], ours: bool) -> None:
    names = ["compose.yaml", *([prepare.OVERRIDE] if ours else []), *overrides]
    files = [word for name in names for word in ("--file", str(this.folder / "compose" / name))]
    done = subprocess.run(
        this.endpoint.command("compose", *files, "config", "--quiet"),
        env=this.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_thing_of_a_run_has_its_label_and_limits(this: Stack, run: Run) -> None:
    config = this.config()
    for kind in ("services", "networks", "volumes"):
        for name, one in config[kind].items():
            assert run.labels.items() <= one["labels"].items(), f"{kind} {name}"
    for service in config["services"].values():
        assert {"memory", "pids"} <= set(service["deploy"]["resources"]["limits"])


def test_two_at_once(endpoint: Endpoint, run: Run, had: list[bases.Base]) -> None:
    """Neither names nor ports, networks or volumes are shared, and one's end is not the other's."""
    images = {base.name: base.reference for base in had}
    contexts = bases.build_contexts(had)

    def serve(stack: Stack) -> None:
        stack.up("--build")
        stack.await_ready()
        stack.write(f"a note of {stack.name}")

    with prepare.prepared(endpoint, run, PROJECT, images=images, build_contexts=contexts) as one:
        with (
            leftovers.running() as second,
            prepare.prepared(
                endpoint, second, PROJECT, images=images, build_contexts=contexts
            ) as other,
            ThreadPoolExecutor() as pool,
        ):
            list(pool.map(serve, (one, other)))
            assert one.url() != other.url()
            assert one.notes() == [f"a note of {one.name}"]
            assert other.notes() == [f"a note of {other.name}"]
            other.down("--volumes", "--timeout", "1")
            assert leftovers.remove_run(endpoint, second)[0].startswith("image")
        assert one.notes() == [f"a note of {one.name}"]
    assert of_run(endpoint) == []


def test_production_takes_rights_away(this: Stack) -> None:
    """Nothing is written outside of what is for it, nothing has a capability, and it serves."""
    stack = this.with_files("production.yaml")
    stack.up("--build")
    stack.await_ready()
    stack.write("a note")
    assert stack.notes() == ["a note"]
    assert httpx.post(stack.url() + "/visits", trust_env=False).json() == {"count": 1}
    for service, memory in (("web", 192), ("database", 256), ("cache", 64)):
        status = stack.compose("exec", "-T", service, "cat", "/proc/1/status")
        told = dict(re.findall(r"(\w+):\s+(\S+)", status))
        assert (told["CapEff"], told["CapBnd"], told["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
        assert told["Uid"] != "0"
        tried = stack.compose("exec", "-T", service, "sh", "-c", "touch /etc/x 2>&1 || true")
        assert "Read-only file system" in tried
        assert stack.inspect(service)["HostConfig"]["Memory"] == memory * 2**20


def test_development_shows_an_edit_at_once(this: Stack) -> None:
    """The edited file is served without a build, and the container is the same."""
    stack = this.with_files("development.yaml")
    stack.up("--build")
    stack.await_ready()
    before = stack.containers()
    main = stack.folder / "app" / "main.py"
    main.write_text(
        main.read_text() + '\n\n@app.get("/edited")\nasync def edited() -> int:\n    return 1\n'
    )
    url, deadline = stack.url(), time.monotonic() + 30
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(url + "/edited", trust_env=False).status_code == 200:
                break
        assert time.monotonic() < deadline, "the edit is not served"
        time.sleep(0.05)
    assert stack.containers() == before


def test_development_rebuilds_for_a_requirement(this: Stack) -> None:
    """With `--watch`, an edit of requirements.txt makes a new image and a new web container."""
    stack = this.with_files("development.yaml")
    stack.up("--build")
    stack.await_ready()
    before = stack.containers()
    files = [word for file in stack.files for word in ("--file", str(file))]
    words = ("compose", *files, "--project-name", stack.name, "watch", "--no-up")
    watching = subprocess.Popen(
        stack.endpoint.command(*words),
        env=stack.environ,
        cwd=stack.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert watching.stdout
        for line in watching.stdout:
            if "Watch enabled" in line:
                break
        with (stack.folder / "app" / "requirements.txt").open("a") as file:
            file.write("# edited\n")
        deadline = time.monotonic() + 60
        while stack.containers().get("web") in (None, before["web"]):
            assert time.monotonic() < deadline, "the web container is the same"
            time.sleep(0.2)
        after = stack.containers()
        assert {name for name in after if after[name] != before.get(name)} == {"web"}
    finally:
        watching.terminate()
        watching.communicate(timeout=30)


def test_by_hand(endpoint: Endpoint, run: Run, had: list[bases.Base], tmp_path: Path) -> None:
    """As the chapter writes it: `up -d`, `ps`, `logs`, `exec`, `up --build`, `down`, `down -v`."""
    if not all(base.name == base.reference for base in had):
        pytest.skip("this engine has its bases under other names")
    for part in ("app", "compose", "dockerfiles"):
        shutil.copytree(PROJECT / part, tmp_path / part)
    project = f"layerlab-{run.id}-by-hand"
    image = f"layerlab/by-hand:{run.id}"
    own = {k: v for k, v in endpoint.environ().items() if not k.startswith("COMPOSE_")}
    environ = {**own, "COMPOSE_PROJECT_NAME": project, "WEB_IMAGE": image}

    def compose(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            endpoint.command("compose", *words),
            env=environ,
            cwd=tmp_path / "compose",
            capture_output=True,
            text=True,
            check=False,
        )

    def up(*words: str) -> int:
        for _ in range(5):  # a port that Docker picks may be another engine's
            done = compose("up", "-d", *words)
            if "address already in use" not in done.stderr:
                break
        return done.returncode

    def asked(path: str) -> httpx.Response:
        url = "http://" + compose("port", "web", "8000").stdout.strip()
        deadline = time.monotonic() + 30
        while True:
            try:
                return httpx.get(url + path, trust_env=False)
            except httpx.HTTPError:
                assert time.monotonic() < deadline, "it does not answer"
                time.sleep(0.1)

    first = compose("up", "-d")
    assert first.returncode == 1
    assert "copy .env.example to .env and write a password" in first.stderr
    try:
        shutil.copy(tmp_path / "compose/.env.example", tmp_path / "compose/.env")
        (tmp_path / "compose/database_password.txt").write_text("by hand\n")
        assert up() == 0
        assert asked("/ready").status_code == 200
        assert set(compose("ps", "--services").stdout.split()) == {"web", "database", "cache"}
        assert "Uvicorn running" in compose("logs", "web").stdout
        query = ("psql", "-U", "notes", "-Atc", "INSERT INTO notes (text) VALUES ('by hand')")
        assert compose("exec", "-T", "database", *query).stdout.strip() == "INSERT 0 1"
        assert up("--build") == 0
        assert asked("/ready").status_code == 200
        assert compose("down").returncode == 0
        assert up() == 0
        assert [note["text"] for note in asked("/notes").json()] == ["by hand"]
        assert compose("down", "-v").returncode == 0
        listed = endpoint.run("volume", "ls", "-q", doing="listing") + endpoint.run(
            "network", "ls", "--format", "{{.Name}}", doing="listing"
        )
        assert project not in listed
    finally:
        compose("down", "-v", "-t", "1")
        endpoint.run("image", "rm", "--force", image, doing="removing the image")
