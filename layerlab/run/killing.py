"""A container's first process, killed as by a crash: neither by Docker nor from inside."""

from collections.abc import Mapping

from layerlab.engine.endpoint import Endpoint
from layerlab.run.container import MEMORY

_KILL = "import os, signal, sys; os.kill(int(sys.argv[1]), signal.SIGKILL)"


def kill(endpoint: Endpoint, labels: Mapping[str, str], image: str, pid: int) -> None:
    """Kill a process of the engine's machine by its number there, as `docker inspect` gives it.

    `docker kill` counts as a stop by hand, after which `unless-stopped` does nothing (moby
    `daemon/kill.go`, `restartmanager.go`); and from inside of its own namespace the kernel lets nobody
    kill a first process (pid_namespaces(7)). So a container that sees all processes does it.

    Raises:
        LabError: there is no such process, or the engine allows no such container.
    """
    words = ["run", "--rm", "--pull", "never", "--pid", "host", "--network", "none", "--user", "0"]
    words += [word for pair in labels.items() for word in ("--label", "=".join(pair))]
    words += ["--memory", MEMORY, "--no-healthcheck", image, "python", "-c", _KILL, str(pid)]
    endpoint.run(*words, doing="killing the web service's process", timeout=30)
