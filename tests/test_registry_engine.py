"""A real registry: pushed to and pulled from, or told in one sentence why not; nothing is left."""

import json
import secrets
from collections.abc import Iterator

import pytest

from layerlab.engine import bases, fresh, leftovers, relay
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import registry, transfers
from layerlab.run.container import remove

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def image(endpoint: Endpoint) -> str:
    """The registry's own image, which is a small one to push as well."""
    found = bases.ensure(endpoint, [registry.IMAGE], standins=False, progress=lambda _: None)
    return found[0].reference


@pytest.fixture(autouse=True)
def _nothing_left(endpoint: Endpoint, run: Run) -> Iterator[None]:
    """Neither containers, volumes and images, nor a name of ours on an image that is not."""
    before = volumes(endpoint)
    yield
    assert leftovers.remaining(endpoint) == []
    assert volumes(endpoint) == before
    names = endpoint.run("images", "--format", "{{.Repository}}", doing="asking for images")
    assert [name for name in names.split() if name.startswith("127.0.0.1")] == []


def volumes(endpoint: Endpoint) -> set[str]:
    return set(endpoint.run("volume", "ls", "--quiet", doing="asking for volumes").split())


def test_a_second_engine_pulls_by_digest_and_sees_that_a_tag_moved(
    endpoint: Endpoint, run: Run, image: str, slim: str
) -> None:
    if not endpoint.private:
        pytest.skip("a second engine is started beside layerlab's own one only")
    with (
        registry.serving(endpoint, run, image) as there,
        fresh.engine("test-pulls", endpoint.can.image_store, lambda _: None) as second,
        relay.leading(second, there.port, (endpoint.address, there.port)),
    ):
        here = second.endpoint()
        first = transfers.push(there, image, "layerlab/moving")
        assert first.uploaded == first.manifest.layers
        with pytest.raises(LabError, match="has no layerlab/moving:2"):
            there.digest("layerlab/moving", "2")
        known = transfers.pull(there, here, "layerlab/moving", "latest")
        assert set(known.downloaded) == set(first.manifest.layers)
        assert transfers.moved(there, here, "layerlab/moving", "latest") is None

        unchanged = transfers.push(there, image, "layerlab/moving")
        assert unchanged.manifest == first.manifest
        assert unchanged.uploaded == ()

        other = transfers.push(there, slim, "layerlab/moving")
        assert set(other.uploaded) == set(other.manifest.layers) - set(first.manifest.layers)
        told = transfers.moved(there, here, "layerlab/moving", "latest")
        assert told is not None
        assert first.manifest.digest[:19] in told
        assert other.manifest.digest[:19] in told

        again = transfers.pull(there, here, "layerlab/moving", first.manifest.digest)
        assert (again.image_id, again.downloaded) == (known.image_id, ())
        with pytest.raises(LabError, match=r"can't be pulled: .*(manifest unknown|not found)"):
            transfers.pull(there, here, "layerlab/moving", f"sha256:{'0' * 64}")


def test_a_port_that_is_taken(endpoint: Endpoint, run: Run, image: str) -> None:
    with (
        registry.serving(endpoint, run, image) as there,
        pytest.raises(LabError, match=rf"can't have port {there.port} of 127.0.0.1") as caught,
        registry.serving(endpoint, run, image, port=there.port),
    ):
        pytest.fail("the port is taken")
    assert "\n" not in str(caught.value)


def test_what_is_no_registry_says_so(endpoint: Endpoint, run: Run, slim: str) -> None:
    with (
        pytest.raises(LabError, match="ended before it answered"),
        registry.serving(endpoint, run, slim),
    ):
        pytest.fail("it is none")
    with (
        pytest.raises(LabError, match="starting a registry"),
        registry.serving(endpoint, run, "layerlab/none:1"),
    ):
        pytest.fail("there is none")


def test_pushes_that_can_t_be(endpoint: Endpoint, run: Run, image: str) -> None:
    with registry.serving(endpoint, run, image) as there:
        with pytest.raises(LabError, match="`Odd name` is not a repository's name"):
            transfers.push(there, image, "Odd name")
        with pytest.raises(LabError, match=r"layerlab/none:1 can't be pushed: .*No such image"):
            transfers.push(there, "layerlab/none:1", "one")
        with (
            pytest.raises(KeyboardInterrupt),
            transfers.tagged(endpoint, image, f"{there.address}/x"),
        ):
            raise KeyboardInterrupt
        remove(endpoint, there.name)
        with pytest.raises(LabError):
            transfers.push(there, image, "one")


def test_a_registry_that_refuses_is_quoted(endpoint: Endpoint, run: Run, image: str) -> None:
    name = f"layerlab-registry-{run.id}-{secrets.token_hex(2)}"
    words = ["run", "--detach", "--pull", "never", "--name", name, "--publish", "127.0.0.1::5000"]
    words += [word for pair in run.labels.items() for word in ("--label", "=".join(pair))]
    words += ["--env", f"REGISTRY_STORAGE_MAINTENANCE_READONLY={json.dumps({'enabled': True})}"]
    try:
        endpoint.run(*words, image, doing="starting a registry")
        with (
            registry.answering(endpoint, name, image) as there,
            pytest.raises(LabError, match="the registry refuses it") as caught,
        ):
            transfers.push(there, image, "one")
    finally:
        remove(endpoint, name)
    assert "\n" not in str(caught.value)
