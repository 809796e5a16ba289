"""The app in its production image, with a real PostgreSQL and a real Redis."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from docker.models.containers import Container

from layerlab.build.buildx import Request, build
from layerlab.build.variant import load
from layerlab.engine import bases, leftovers
from layerlab.engine.endpoint import Endpoint

pytestmark = pytest.mark.engine
PROJECT = Path(__file__).parent.parent
PASSWORD = "kein-Geheimnis-한글"


@dataclass
class Stack:
    """Three containers on a network of their own."""

    web: httpx.Client
    database: Container
    cache: Container

    def until(self, path: str, status: int, seconds: float = 30) -> httpx.Response:
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = self.web.get(path)
                if answer.status_code == status:
                    return answer
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, f"{path} never answered {status}"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def stack(endpoint: Endpoint) -> Iterator[Stack]:
    variant = load(PROJECT / "dockerfiles/production.Dockerfile")
    names = [*variant.dockerfile.images(), "postgres:15", "redis:7"]
    found = bases.ensure(endpoint, names, standins=False, progress=lambda _: None)
    image = {base.name: base.reference for base in found}
    client = endpoint.connect()
    with leftovers.running() as run:
        try:
            request = Request(
                dockerfile=variant.path,
                context=PROJECT / "app",
                parsed=variant.dockerfile,
                tag=f"layerlab/app:{run.id}",
                labels=run.labels,
                build_contexts=bases.build_contexts(found),
            )
            built = build(endpoint, request)
            assert built.failure is None, built.failure
            network = client.networks.create(f"app-{run.id}", labels=run.labels)

            def start(name: str, reference: str, **settings: object) -> Container:
                return client.containers.run(
                    reference,
                    detach=True,
                    name=f"{name}-{run.id}",
                    network=network.name,
                    labels=run.labels,
                    **settings,
                )

            database = start(
                "db", image["postgres:15"], environment={"POSTGRES_PASSWORD": PASSWORD}
            )
            cache = start("cache", image["redis:7"])
            web = start(
                "web",
                request.tag,
                ports={"8000/tcp": ("127.0.0.1", None)},
                environment={
                    "APP_NAME": "Docker학습앱",
                    "DATABASE_URL": f"postgresql://postgres@db-{run.id}/postgres",
                    "DATABASE_PASSWORD": PASSWORD,
                    "REDIS_URL": f"redis://cache-{run.id}",
                },
            )
            web.reload()
            port = web.ports["8000/tcp"][0]["HostPort"]
            with httpx.Client(base_url=f"http://{endpoint.address}:{port}", timeout=10) as http:
                yield Stack(http, database, cache)
        finally:
            leftovers.remove_run(endpoint, run)
            client.close()


def test_it_serves_with_both_storages(stack: Stack) -> None:
    stack.until("/ready", 200)
    told = stack.web.get("/info").json()
    assert told["app_name"] == "Docker학습앱"
    assert told["storage"] == {"notes": "postgresql", "visits": "redis"}
    assert told["user_id"] == 10001
    note = stack.web.post("/notes", json={"text": "메모"})
    assert note.status_code == 201
    query = ["psql", "-U", "postgres", "-Atc", "SELECT text FROM notes"]
    assert stack.database.exec_run(query).output.decode().strip() == "메모"
    assert stack.web.post("/visits").json() == {"count": 1}
    assert stack.cache.exec_run(["redis-cli", "GET", "visits"]).output.strip() == b"1"


@pytest.mark.parametrize(
    ("server", "path"),
    [(lambda stack: stack.database, "/notes"), (lambda stack: stack.cache, "/visits")],
    ids=["database", "cache"],
)
def test_it_outlives_a_server_that_goes_and_comes_back(
    stack: Stack, server: Callable[[Stack], Container], path: str
) -> None:
    stack.until("/ready", 200)
    before = stack.web.get(path).json()
    server(stack).stop()
    stack.until("/ready", 503)
    assert stack.web.get("/health").status_code == 200
    away = stack.web.get(path)
    assert away.status_code == 503
    assert PASSWORD not in away.text
    server(stack).start()
    stack.until("/ready", 200)
    assert stack.web.get(path).json() == before
