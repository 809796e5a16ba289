"""An engine's inventory while others use the engine, and of a swarm."""

from threading import Event, Thread

import pytest

from layerlab.engine import fresh
from layerlab.engine.endpoint import Endpoint, probe
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import inventory, prune

pytestmark = pytest.mark.engine


def test_what_comes_and_goes_meanwhile_does_not_end_it(
    endpoint: Endpoint, run: Run, slim: str
) -> None:
    over = Event()
    made: list[str] = []

    def churn(name: str) -> None:
        client = endpoint.connect()
        while not over.is_set():
            network = client.networks.create(f"layerlab-{name}-{run.id}", labels=run.labels)
            container = client.containers.create(slim, "true", labels=run.labels)
            container.remove()
            network.remove()
            made.append(name)
        client.close()

    threads = [Thread(target=churn, args=(name,)) for name in ("ebb", "flow")]
    for one in threads:
        one.start()
    try:
        for _ in range(8):
            assert inventory.take(endpoint).networks
    finally:
        over.set()
        for one in threads:
            one.join()
    assert {"ebb", "flow"} == set(made)


def test_networks_of_a_swarm(endpoint: Endpoint) -> None:
    """A manager's prune takes the swarm's networks, too, but the ingress and those of services."""
    if not endpoint.private:
        pytest.skip("such an engine is started beside layerlab's own one only")
    with fresh.engine("test-swarm", "overlay2", lambda _: None) as one:
        own = probe(one.endpoint())
        try:
            own.run("swarm", "init", "--advertise-addr", "127.0.0.1", doing="making a swarm")
        except LabError as error:
            pytest.skip(f"there can be no swarm here: {error}")
        for name in ("unused", "used"):
            own.run("network", "create", "--driver", "overlay", name, doing="making a network")
        words = ["service", "create", "--detach", "--replicas", "0", "--network", "used"]
        own.run(*words, "--no-resolve-image", "none", doing="making a service")
        before = inventory.take(own)
        (command,) = [c for c in prune.COMMANDS if c.words == "network prune"]
        predicted = prune.predict(before, command)
        assert len(predicted.networks) == 1
        own.run("network", "prune", "--force", doing="pruning networks")
        assert prune.differences(predicted, prune.gone(before, inventory.take(own))) == []
