"""A swarm of one node, for as long as a secret needs one."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from layerlab.engine.command import run as run_command
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import HOME_LABEL, RUN_LABEL, Run, alive, home
from layerlab.errors import LabError
from layerlab.run.container import MEMORY

#: What Docker's networks for swarms leave behind.
BRIDGE = "docker_gwbridge"
START_SECONDS = 30
BRIDGE_SECONDS = 5


class NoSwarm(LabError):
    """An engine can't be made a swarm."""


def lacking(endpoint: Endpoint) -> str | None:
    """Why no swarm is made on an engine; None where one can be tried."""
    if not endpoint.private:
        return "a swarm is made on the private engine only (--engine private)"
    if _state(endpoint) != "inactive" and not _is_dead_runs(endpoint):
        return "the engine is in a swarm already, which is left alone"
    return None


@contextmanager
def joined(endpoint: Endpoint) -> Iterator[None]:
    """The engine as a swarm of its own, which it has left at the end.

    Raises:
        NoSwarm: it can't be one.
    """
    bridged = BRIDGE in _networks(endpoint)
    if _state(endpoint) != "inactive":
        _leave(endpoint)  # what a killed run left
        bridged = False
    words = ["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1"]
    try:
        endpoint.run(*words, doing="making a swarm of one node", timeout=START_SECONDS)
    except LabError as error:
        # Not left: it may be another run's, which was faster.
        raise NoSwarm(str(error)) from error
    try:
        yield
    finally:
        with suppress(LabError):
            _leave(endpoint)
        if not bridged:
            _remove_bridge(endpoint)


@contextmanager
def service(
    endpoint: Endpoint, run: Run, image: str, secret: tuple[str, str], command: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """A service that has a secret (its name and content): the service's name, and its container's.

    Raises:
        LabError: it does not start.
    """
    key, content = secret
    name = f"layerlab-secret-{run.id}"
    labels = [f"{label}={value}" for label, value in run.labels.items()]
    made = [word for label in labels for word in ("--label", label)]
    try:
        run_command(
            endpoint.command("secret", "create", *made, key, "-"),
            doing="making a Swarm secret",
            environ=endpoint.environ(),
            stdin=content,
            timeout=START_SECONDS,
        )
        words = ["service", "create", "--detach", "--quiet", "--no-resolve-image", *made]
        words += [word for label in labels for word in ("--container-label", label)]
        words += ["--name", name, "--secret", key, "--limit-memory", MEMORY]
        words += ["--no-healthcheck", "--restart-condition", "none", "--stop-grace-period", "1s"]
        endpoint.run(*words, image, *command, doing="making a service", timeout=START_SECONDS)
        yield name, _container(endpoint, name)
    finally:
        for kind, what in (("service", name), ("secret", key)):
            with suppress(LabError):
                endpoint.run(kind, "rm", what, doing=f"removing the {kind}")


def _container(endpoint: Endpoint, name: str) -> str:
    deadline = time.monotonic() + START_SECONDS
    wanted = f"label=com.docker.swarm.service.name={name}"
    while time.monotonic() < deadline:
        words = ["ps", "--quiet", "--filter", wanted, "--filter", "status=running"]
        if found := endpoint.run(*words, doing="looking for the service's container").split():
            return found[0]
        time.sleep(0.1)
    words = ["service", "ps", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}", name]
    said = endpoint.run(*words, doing="asking for the service's task").strip()
    raise LabError(f"the service has no container after {START_SECONDS} s: {said}")


def _state(endpoint: Endpoint) -> str:
    words = ["info", "--format", "{{.Swarm.LocalNodeState}}"]
    return endpoint.run(*words, doing="asking whether the engine is in a swarm").strip()


def _is_dead_runs(endpoint: Endpoint) -> bool:
    """Whether all services of the swarm are of runs of ours that were killed, and there is one."""
    words = ["service", "ls", "--quiet"]
    try:
        found = endpoint.run(*words, doing="asking for the swarm's services").split()
        if not found:
            return False
        text = endpoint.run("service", "inspect", *found, doing="asking for the swarm's services")
    except LabError:
        return False
    labels = [one["Spec"].get("Labels") or {} for one in json.loads(text)]
    living = alive()
    return all(one.get(HOME_LABEL) == home() and one.get(RUN_LABEL) not in living for one in labels)


def _networks(endpoint: Endpoint) -> list[str]:
    words = ["network", "ls", "--format", "{{.Name}}"]
    return endpoint.run(*words, doing="asking for networks").split()


def _leave(endpoint: Endpoint) -> None:
    endpoint.run("swarm", "leave", "--force", doing="leaving the swarm", timeout=START_SECONDS)


def _remove_bridge(endpoint: Endpoint) -> None:
    # Older engines still hold it for a moment after they have left.
    deadline = time.monotonic() + BRIDGE_SECONDS
    while time.monotonic() < deadline:
        with suppress(LabError):
            endpoint.run("network", "rm", BRIDGE, doing="removing the swarm's bridge")
            return
        time.sleep(0.2)
