"""What layerlab adds to a compose project: a file with labels, limits and images for everything in it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from layerlab.run.container import MEMORY, PIDS

#: The default network is in no file, and is made as soon as a service names no other.
DEFAULT = "default"


def override(
    config: Mapping[str, Any],
    labels: Mapping[str, str],
    *,
    images: Mapping[str, str],
    build_contexts: Sequence[tuple[str, str]] = (),
    more: Mapping[str, Any] | None = None,
) -> str:
    """An override file for a project.

    ``config`` is the project as `docker compose config --format json` gives it; ``images`` are the
    references of base images that have another name on the engine; ``build_contexts`` are those that a
    build must use in place of a FROM; ``more`` are services to add.

    A later file's limits win over these, so this one comes before those of the user.
    """
    services = {
        name: _service(service, labels, images, build_contexts)
        for name, service in config["services"].items()
    }
    for name, service in (more or {}).items():
        services[name] = {**service, **_common(labels)}
    document: dict[str, Any] = {"services": services}
    for kind in ("networks", "volumes"):
        names = dict.fromkeys([*([DEFAULT] if kind == "networks" else []), *config.get(kind, {})])
        document[kind] = {name: {"labels": dict(labels)} for name in names}
    # JSON is YAML, and has no value that YAML would read as something else.
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _service(
    service: Mapping[str, Any],
    labels: Mapping[str, str],
    images: Mapping[str, str],
    build_contexts: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    added = _common(labels)
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
