"""What layerlab adds to a compose project: a file with labels, limits and images for everything in it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from layerlab.engine.limits import Confinement
from layerlab.run import confined
from layerlab.run.container import MEMORY, PIDS

#: The default network is in no file, and is made as soon as a service names no other.
DEFAULT = "default"
#: Stands for what only YAML can say: take away what the files before set (compose 2.24 and newer).
_RESET = "layerlab-reset"


def override(
    config: Mapping[str, Any],
    labels: Mapping[str, str],
    *,
    images: Mapping[str, str],
    build_contexts: Sequence[tuple[str, str]] = (),
    more: Mapping[str, Any] | None = None,
    start_interval: bool = True,
    confinement: Confinement | None = None,
) -> str:
    """An override file for a project.

    ``config`` is the project as `docker compose config --format json` gives it; ``images`` are the
    references of base images that have another name on the engine; ``build_contexts`` are those that a
    build must use in place of a FROM; ``more`` are services to add; without ``start_interval``
    health checks lose theirs, which engines before 25 do not know. With a ``confinement``, what is built
    has no more than it gives, and the networks with a way out have none.

    A later file's limits win over these, so this one comes before those of the user.
    """
    services = {
        name: _service(service, labels, images, build_contexts, start_interval)
        for name, service in config["services"].items()
    }
    for name, service in config["services"].items() if confinement else ():
        if "build" in service and confinement:
            services[name] |= confined.rights(confinement)
            services[name]["labels"] = {**labels, **confined.labels(confinement)}
    for name, service in (more or {}).items():
        services[name] = {**service, **_common(labels)}
    document: dict[str, Any] = {"services": services}
    for kind in ("networks", "volumes"):
        names = dict.fromkeys([*([DEFAULT] if kind == "networks" else []), *config.get(kind, {})])
        document[kind] = {name: {"labels": dict(labels)} for name in names}
    for name, network in document["networks"].items() if confinement else ():
        if confinement and not config.get("networks", {}).get(name, {}).get("internal"):
            network["driver_opts"] = confined.bridge(confinement)
    # JSON is YAML, and has no value that YAML would read as something else.
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    return text.replace(f'"{_RESET}"', "!reset null")


def _service(
    service: Mapping[str, Any],
    labels: Mapping[str, str],
    images: Mapping[str, str],
    build_contexts: Sequence[tuple[str, str]],
    start_interval: bool,
) -> dict[str, Any]:
    added = _common(labels)
    if not start_interval and "start_interval" in service.get("healthcheck", {}):
        added["healthcheck"] = {"start_interval": _RESET}
    if "build" in service:
        added["build"] = {"labels": dict(labels)}
        if build_contexts:
            added["build"]["additional_contexts"] = dict(build_contexts)
    else:
        # All images are there; a registry that does not answer is not to be waited for.
        added["pull_policy"] = "never"
        if (name := service.get("image", "")) in images:
            added["image"] = images[name]
    return added


def _common(labels: Mapping[str, str]) -> dict[str, Any]:
    limits = {"memory": MEMORY, "pids": PIDS}
    return {
        "labels": dict(labels),
        "deploy": {"resources": {"limits": limits}},
        "logging": {"driver": "json-file", "options": {"max-size": "5m", "max-file": "2"}},
    }
