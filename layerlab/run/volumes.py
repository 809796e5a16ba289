"""Three kinds of storage side by side: what is in them at first, and what is left of them when."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import compose, diagnosis
from layerlab.run.inventory import ANONYMOUS as ANONYMOUS_LABEL
from layerlab.run.stack import SERVICE_LABEL

NAMED, BIND, ANONYMOUS = "named", "bind", "anonymous"
KINDS = (NAMED, BIND, ANONYMOUS)
#: A folder of the image with files in it.
TARGET = "/app"
_MARK = f"{TARGET}/written-by-the-container"

FILLED = "has the image's files at first"
SEEN = "its files are this machine's own"
RECREATED = "a file survives a new container"
DOWN = "a file survives down + up"
REMOVED = "a file survives down -v"
QUESTIONS = (FILLED, SEEN, RECREATED, DOWN, REMOVED)


@dataclass(frozen=True)
class Volume:
    """A volume that no container uses any more."""

    name: str
    #: The service that it was made for, and the path that it was mounted at.
    service: str
    target: str


@dataclass(frozen=True)
class Kinds:
    """What was seen of each kind of storage."""

    #: (question, kind) -> whether it is so
    facts: Mapping[tuple[str, str], bool]
    #: Anonymous volumes that were there when all was taken down, `-v` included.
    left: Sequence[Volume]


def compared(endpoint: Endpoint, run: Run, image: str, folder: Path) -> Kinds:
    """Try each question on each kind, in a compose project with a service for each.

    ``image`` has files in :data:`TARGET`, and a Python. What is left behind is removed at the end.

    Raises:
        LabError: the project does not come up.
    """
    shared = folder / "shared"
    shared.mkdir(parents=True)
    labels = dict(run.labels)
    mounts: dict[str, dict[str, Any]] = {
        NAMED: {"type": "volume", "source": "kept"},
        BIND: {"type": "bind", "source": str(shared)},
        ANONYMOUS: {"type": "volume", "volume": {"labels": labels}},
    }
    common = {"image": image, "user": "0", "command": ["sleep", "600"], "init": True}
    services = {
        kind: {**common, "volumes": [{**mount, "target": TARGET}], "healthcheck": {"disable": True}}
        for kind, mount in mounts.items()
    }
    facts: dict[tuple[str, str], bool] = {}
    seen: dict[str, Volume] = {}
    volumes = {"kept": {"labels": labels}}
    project = compose.project(endpoint, run, folder, services, volumes=volumes, shell={})
    try:
        with project as this:
            up = ("up", "--detach", "--no-build")

            def each(question: str, path: str) -> None:
                for kind in KINDS:
                    facts[question, kind] = _exists(this, kind, path)

            this.compose(*up, doing="docker compose up")
            _remember(this, endpoint, seen)
            each(FILLED, f"{TARGET}/main.py")
            for kind in KINDS:
                words = ("exec", "-T", kind, "touch", _MARK)
                this.compose(*words, doing="writing a file")
                facts[SEEN, kind] = kind == BIND and (shared / Path(_MARK).name).exists()
            this.compose(*up, "--force-recreate", "--timeout", "1", doing="docker compose up")
            each(RECREATED, _MARK)
            this.compose("down", "--timeout", "1", doing="docker compose down")
            this.compose(*up, doing="docker compose up")
            _remember(this, endpoint, seen)
            each(DOWN, _MARK)
            this.compose("down", "--volumes", "--timeout", "1", doing="docker compose down -v")
            left = [seen[name] for name in left_behind(endpoint) if name in seen]
            this.compose(*up, doing="docker compose up")
            _remember(this, endpoint, seen)
            each(REMOVED, _MARK)
    finally:
        for name in seen:
            with suppress(LabError):
                endpoint.run("volume", "rm", "--force", name, doing="removing a volume")
    return Kinds(facts, left)


def left_behind(endpoint: Endpoint) -> list[str]:
    """The anonymous volumes that no container uses: the names of what an engine has of them.

    Raises:
        LabError: the engine does not answer.
    """
    words = ("volume", "ls", "--filter", "dangling=true", "--format", "{{json .}}")
    said = endpoint.run(*words, doing="asking for volumes that nothing uses")
    found = [json.loads(line) for line in said.splitlines()]
    return [one["Name"] for one in found if anonymous(one["Name"], one.get("Labels", ""))]


def anonymous(name: str, labels: str) -> bool:
    """Whether a volume got its name from the engine: 64 hexadecimal digits, and since 23 a label."""
    hexadecimal = len(name) == 64 and not set(name) - set("0123456789abcdef")
    return hexadecimal or ANONYMOUS_LABEL in labels


def _exists(this: compose.Project, kind: str, path: str) -> bool:
    words = ("exec", "-T", kind, "sh", "-c", f"test -e {path} && echo yes || echo no")
    return this.compose(*words, doing="looking for a file").strip() == "yes"


def _remember(this: compose.Project, endpoint: Endpoint, seen: dict[str, Volume]) -> None:
    """Note the anonymous volumes that the project's containers have now."""
    words = ("ps", "--all", "--quiet")
    for container in this.compose(*words, doing="docker compose ps").split():
        about = diagnosis.inspect(endpoint, container)
        service = about["Config"]["Labels"][SERVICE_LABEL]
        for mount in about["Mounts"]:
            if mount["Type"] == "volume" and anonymous(mount["Name"], ""):
                seen[mount["Name"]] = Volume(mount["Name"], service, mount["Destination"])
