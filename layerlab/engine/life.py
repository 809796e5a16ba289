"""Whether an engine is the one that a run began on: it answers, and was not started again meanwhile."""

import docker.errors

from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError

#: For an engine that hangs; one that lives answers at once.
TIMEOUT_SECONDS = 10


def of(endpoint: Endpoint) -> str:
    """What tells one life of an engine from the next; "" where it has no default network.

    An engine makes its network `bridge` anew whenever it starts (moby, daemon/daemon_unix.go,
    initBridgeDriver); only with live-restore, which keeps its containers too, it does not.

    Raises:
        LabError: the engine does not answer.
    """
    with endpoint.connected(TIMEOUT_SECONDS) as client:
        try:
            return str(client.networks.get("bridge").id)
        except docker.errors.NotFound:
            return ""


def ended(endpoint: Endpoint, life: str) -> str | None:
    """How the engine's ``life`` ended, as a sentence's beginning; None while it lasts."""
    try:
        now = of(endpoint)
    except LabError:
        return f"the engine at {endpoint.host} went away in mid-run"
    return None if now == life else f"the engine at {endpoint.host} was restarted in mid-run"
