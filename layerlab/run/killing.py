"""A container's first process, killed as by a crash: neither by Docker nor from inside."""

from collections.abc import Mapping
from typing import Any

from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run.container import MEMORY

#: The descriptor is of one process, whoever gets its number afterwards (pidfd_open(2)); its control group
#: has the container's id in its name with every driver of the engine's.
_KILL = """
import os, signal, sys
pid, container = int(sys.argv[1]), sys.argv[2]
process = os.pidfd_open(pid)
with open(f"/proc/{pid}/cgroup") as groups:
    if container not in groups.read():
        sys.exit(f"process {pid} is not of the container {container[:12]}")
signal.pidfd_send_signal(process, signal.SIGKILL)
"""


def kill(endpoint: Endpoint, run: Run, image: str, container: Mapping[str, Any]) -> None:
    """Kill a container's first process; ``container`` is what `docker inspect` gives of it.

    `docker kill` counts as a stop by hand, after which `unless-stopped` does nothing (moby
    `daemon/kill.go`, `restartmanager.go`); and from inside of its own namespace the kernel lets nobody
    kill a first process (pid_namespaces(7)). So a container that sees all processes does it.

    Raises:
        LabError: it does not run, its process is no longer its own, or the engine does not allow a
            container that sees all processes.
    """
    pid, identity = int(container["State"]["Pid"]), str(container["Id"])
    if pid <= 0:
        raise LabError("the web service does not run, so it can't be killed")
    words = ["run", "--rm", "--pull", "never", "--pid", "host", "--network", "none", "--user", "0"]
    words += [
        *run.label_words,
        "--memory",
        MEMORY,
        "--no-healthcheck",
        image,
        "python",
        "-c",
        _KILL,
    ]
    words += [str(pid), identity]
    endpoint.run(*words, doing="killing the web service's process", timeout=30)
