"""What a running container uses: memory and processes, by the engine's own count."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import docker.errors
import requests.exceptions

from layerlab.engine.endpoint import Endpoint


@dataclass(frozen=True)
class Usage:
    """What a container uses at one moment."""

    #: As `docker stats` shows it.
    memory_bytes: int
    #: Processes and threads, and how many it may have; 0 where it may have any number.
    processes: int
    processes_limit: int


def read(stats: Mapping[str, Any]) -> Usage | None:
    """A container's usage from the engine's statistics; None where it has ended.

    Memory is the cgroup's usage without the file pages that the kernel would drop first, as in the
    client (docker/cli, cli/command/container/stats_helpers.go, calculateMemUsageUnixNoCache):
    ``total_inactive_file`` of cgroup v1, ``inactive_file`` of v2.
    """
    memory = stats.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    used, detail = int(memory["usage"]), memory.get("stats") or {}
    idle = next(
        (detail[key] for key in ("total_inactive_file", "inactive_file") if key in detail), 0
    )
    pids = stats.get("pids_stats") or {}
    limit = int(pids.get("limit") or 0)
    return Usage(
        memory_bytes=used - int(idle) if idle < used else used,
        processes=int(pids.get("current") or 0),
        # No limit is the largest number there is.
        processes_limit=limit if limit < 2**32 else 0,
    )


def of(endpoint: Endpoint, name: str) -> Usage | None:
    """What a container uses now; None where the engine can't say, or it has ended."""
    client = endpoint.connect()
    try:
        return read(client.api.stats(name, stream=False, one_shot=True))
    except (docker.errors.DockerException, requests.exceptions.RequestException):
        return None
    finally:
        client.close()
