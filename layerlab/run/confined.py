"""A container that nobody vouches for: what it may not, and an eye on what it writes."""

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import docker
import docker.errors
import requests.exceptions

from layerlab.engine.command import run as run_command
from layerlab.engine.confining import CLOSED
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import RUN_LABEL, Run
from layerlab.engine.limits import DISK_LABEL, Confinement, megabytes
from layerlab.engine.root import as_root
from layerlab.errors import LabError

#: Between two looks at what containers have written, in seconds.
LOOK_SECONDS = 1.0
_BRIDGE = "com.docker.network.bridge"
_NO_MASQUERADE = {f"{_BRIDGE}.enable_ip_masquerade": "false"}


def words(confinement: Confinement) -> list[str]:
    """The options of `docker run`, but for the network; those of memory and processes go last of all."""
    limits = confinement.profile.container
    return [
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--ulimit", f"fsize={limits.disk_bytes}", "--ulimit", "core=0", "--cpu-shares", "512"),
        *("--label", f"{DISK_LABEL}={limits.disk_bytes}"),
        *("--memory", str(limits.memory_bytes), "--memory-swap", str(limits.memory_bytes)),
        *("--pids-limit", str(limits.processes)),
    ]


def rights(confinement: Confinement) -> dict[str, Any]:
    """The same as keys of a compose service, without its labels, its memory and its processes."""
    return {
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "ulimits": {"fsize": confinement.profile.container.disk_bytes, "core": 0},
        "cpu_shares": 512,
    }


def service(confinement: Confinement) -> dict[str, Any]:
    """As :func:`rights`, with memory and processes."""
    limits = confinement.profile.container
    return {
        **rights(confinement),
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,
        "pids_limit": limits.processes,
    }


def labels(confinement: Confinement | None) -> dict[str, str]:
    """The label by which :func:`watching` and who asks why a container ended know its limit."""
    if confinement is None:
        return {}
    return {DISK_LABEL: str(confinement.profile.container.disk_bytes)}


def bridge(confinement: Confinement) -> dict[str, str]:
    """The driver's options for a network from which nobody is reached; each time of another bridge.

    Where the engine's machine can't see to that, packets leave it with an address to which no answer comes.
    """
    if not confinement.closed:
        return dict(_NO_MASQUERADE)
    return {**_NO_MASQUERADE, f"{_BRIDGE}.name": f"{confinement.closed}{secrets.token_hex(5)}"}


def is_closed(network: Mapping[str, Any]) -> bool:
    """Whether a network, as `docker compose config` gives it, is one from which nobody is reached."""
    options = network.get("driver_opts") or {}
    return str(options.get(f"{_BRIDGE}.name", "")).startswith(CLOSED)


@contextmanager
def network(endpoint: Endpoint, run: Run) -> Iterator[list[str]]:
    """The option of `docker run` for a network of a container's own; none where it is trusted."""
    if run.confinement is None:
        yield []
        return
    name = f"layerlab-closed-{run.id}-{secrets.token_hex(2)}"
    options = [f"--opt={key}={value}" for key, value in bridge(run.confinement).items()]
    making = ["network", "create", "--driver", "bridge", *options, *run.label_words, name]
    endpoint.run(*making, doing="making a network for a container")
    try:
        yield ["--network", name]
    finally:
        # Should it fail, the run's own clean-up finds the network by its label.
        with suppress(LabError):
            endpoint.run("network", "rm", name, doing="removing a network")


@contextmanager
def watching(endpoint: Endpoint, run: Run) -> Iterator[None]:
    """Kill each container of a run that writes more than its label allows, until the end.

    No storage driver has a limit on every file system (https://docs.docker.com/reference/cli/docker/
    container/run/#storage-opt), so it is looked; what one file may have is the kernel's to see to.
    """
    if run.confinement is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(endpoint, run, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watch(endpoint: Endpoint, run: Run, over: threading.Event) -> None:
    mine: dict[str, str | list[str] | bool] = {"label": [f"{RUN_LABEL}={run.id}", DISK_LABEL]}
    client = endpoint.connect()
    try:
        while not over.wait(LOOK_SECONDS):
            with suppress(docker.errors.DockerException, requests.exceptions.RequestException):
                for one in client.api.containers(filters=mine, size=True):
                    if _written(endpoint, client, one) > int(one["Labels"][DISK_LABEL]):
                        client.api.kill(one["Id"])
    finally:
        client.close()


def disk_limit(endpoint: Endpoint, container: Mapping[str, Any]) -> str | None:
    """That a container, as `docker inspect` gives it, wrote more than it may, as a clause; else None."""
    allowed = (container["Config"].get("Labels") or {}).get(DISK_LABEL)
    if allowed is None:
        return None
    client = endpoint.connect()
    try:
        found = client.api.containers(all=True, size=True, filters={"id": container["Id"]})
        if not any(_written(endpoint, client, one) > int(allowed) for one in found):
            return None
    except (docker.errors.DockerException, requests.exceptions.RequestException):
        return None
    finally:
        client.close()
    return f"it wrote more than the {megabytes(int(allowed))} that an untrusted container may"


def _written(endpoint: Endpoint, client: docker.DockerClient, container: Mapping[str, Any]) -> int:
    """What a container has written, as the engine lists it with its size: into its own layer, and volumes.

    Of a volume the engine tells a size only with those of all others, so it is looked; on an engine that is
    not ours it can't be.
    """
    written = int(container.get("SizeRw") or 0)
    mounts = container.get("Mounts") or ()
    names = [one["Name"] for one in mounts if one.get("Type") == "volume" and one.get("RW")]
    if names and endpoint.private:
        volumes = [client.api.inspect_volume(name)["Mountpoint"] for name in names]
        with suppress(LabError, ValueError):
            words = ["du", "--summarize", "--block-size=1", "--total", "--", *volumes]
            said = run_command(as_root(words), doing="looking at what a container wrote")
            written += int(said.splitlines()[-1].split()[0])
    return written
