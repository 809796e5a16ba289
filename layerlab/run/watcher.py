"""A service that asks a stack's database and cache, in their own protocols, when they begin to answer."""

import json
import time
from typing import Any

from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.run import questions

SERVICE = "watcher"
#: A profile: `docker compose up` alone does not start it.
PROFILE = "layerlab"
START_SECONDS = 20
#: What it asks: the ports, by service.
TARGETS = {"database": 5432, "cache": 6379}
NETWORKS = ("to_database", "to_cache")

#: Asks without end until each has answered once.
_WATCH = (
    questions.PROGRAM
    + """
import json, socket, sys, threading, time
def watch(name, port):
    question, good = QUESTIONS[port]
    while True:
        try:
            with socket.create_connection((name, port), 0.5) as there:
                there.settimeout(0.5)
                there.sendall(question)
                if there.recv(1) == good[:1]:
                    print(json.dumps({"service": name, "at": time.time()}), flush=True)
                    return
        except OSError:
            pass
        time.sleep(0.005)
for word in sys.argv[1:]:
    name, _, port = word.partition(":")
    threading.Thread(target=watch, args=(name, int(port)), daemon=True).start()
print(json.dumps({"watching": True}), flush=True)
time.sleep(600)
"""
)


def service(image: str) -> dict[str, Any]:
    """The watcher as a compose service, of an image that has a Python."""
    asked = [f"{name}:{port}" for name, port in TARGETS.items()]
    return {
        "image": image,
        "entrypoint": ["python", "-c", _WATCH.replace("$", "$$")],
        "command": asked,
        "networks": list(NETWORKS),
        "profiles": [PROFILE],
        "healthcheck": {"disable": True},
        "pull_policy": "never",
    }


def heard(log: str) -> dict[str, float]:
    """When each service first answered, in seconds since 1970 on the engine's clock."""
    told = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {one["service"]: float(one["at"]) for one in told if "service" in one}


def await_watching(endpoint: Endpoint, container: str) -> None:
    """Wait until it has begun to ask.

    Raises:
        LabError: it did not begin in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while "watching" not in log(endpoint, container):
        if time.monotonic() > deadline:
            raise LabError(f"the watcher of the stack did not begin in {START_SECONDS} s")
        time.sleep(0.05)


def log(endpoint: Endpoint, container: str) -> str:
    return endpoint.run("logs", container, doing="reading the watcher's log")
