"""A stack made ready: a copy of the project's files that may be edited, with our labels; gone at the end."""

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker.errors

from layerlab.build.context import copy_context
from layerlab.engine.endpoint import Endpoint, version_tuple
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import privileges
from layerlab.run.override import override
from layerlab.run.stack import COMPOSE_FILE, PROJECT_LABEL, Stack

#: What is ours in a folder of compose files.
OVERRIDE = "layerlab.yaml"
SECRET = "database_password.txt"
#: The first engine that can keep its own machine out of an internal network (moby 28.0, `isolated`).
CLOSING_ENGINE = (28, 0)
#: The first engine whose health checks have an interval of their own while a service starts (API 1.44).
STARTING_ENGINE = (25, 0)


def lacking(endpoint: Endpoint) -> str | None:
    """Why an engine can have no stack of ours, as a clause; None where it can."""
    if endpoint.remote:
        return (
            "the engine is on another machine, and compose mounts secrets and folders from here: "
            "use --engine private"
        )
    return None


@contextmanager
def prepared(
    endpoint: Endpoint,
    run: Run,
    project: Path,
    *,
    images: Mapping[str, str],
    build_contexts: Sequence[tuple[str, str]] = (),
    more: Mapping[str, Any] | None = None,
) -> Iterator[Stack]:
    """The project's stack, ready to be started, in a copy that may be edited; taken down at the end.

    Neither the user's `.env` nor their secrets are used: the copy has a password of its own.
    For ``images``, ``build_contexts`` and ``more`` see :func:`layerlab.run.override.override`.

    Raises:
        NotUp: a compose file is broken.
        LabError: the engine is another machine's, which has not the files that are mounted; or a compose
            file names what is not the stack's alone (:mod:`layerlab.run.isolation`), or asks for what
            an untrusted one is not given (:mod:`layerlab.run.privileges`).
    """
    if endpoint.can.compose is None:
        raise LabError(
            f"`{endpoint.client.docker} compose` is missing: install compose 2 (the package "
            "docker-compose-plugin or docker-compose), or use --engine private"
        )
    if lack := lacking(endpoint):
        raise LabError(f"no stack is started: {lack}")
    name = f"layerlab-{run.id}-{secrets.token_hex(2)}"
    folder = run.folder / "stacks" / name
    _copy(project, folder)
    compose = folder / "compose"
    password = compose / SECRET
    password.write_text(secrets.token_hex(16), encoding="utf-8")
    # Compose mounts it as it is, and each service reads it as a user of its own.
    password.chmod(0o644)
    variables = {
        "WEB_IMAGE": f"layerlab/stack:{name.removeprefix('layerlab-')}",
        "WEB_PORT": "0",
        "APP_NAME": "layerlab",
        "VERSION": "1.0.0",
        "DATABASE_PASSWORD_SOURCE": str(password),
    }
    version = version_tuple(endpoint.can.engine)
    if version < CLOSING_ENGINE:
        variables["CLOSED_NETWORK"] = "nat"
    stack = Stack(
        endpoint,
        name,
        folder,
        (compose / COMPOSE_FILE,),
        {**endpoint.environ(), **variables},
        trusted=run.confinement is None,
    )
    if not stack.trusted:
        privileges.check_files(sorted(compose.glob("*.yaml")), folder)
    config = stack.config()
    stack.check_isolation(config)
    text = override(
        config,
        run.labels,
        images=images,
        build_contexts=build_contexts,
        more=more,
        start_interval=version >= STARTING_ENGINE,
        confinement=run.confinement,
    )
    (compose / OVERRIDE).write_text(text, encoding="utf-8")
    stack = stack.with_files(OVERRIDE)
    try:
        yield stack
    finally:
        # What can't be removed now is found by its labels when the run ends.
        with suppress(LabError):
            _remove(stack)
        shutil.rmtree(folder, ignore_errors=True)


def _remove(stack: Stack) -> None:
    """Remove all that a project has on the engine.

    Not by `docker compose down`: it needs files without an error, and leaves the anonymous volumes of
    services that are in none of them.
    """
    mine: dict[str, str | list[str] | bool] = {"label": f"{PROJECT_LABEL}={stack.name}"}
    with stack.endpoint.connected() as client:
        for container in client.containers.list(all=True, filters=mine, ignore_removed=True):
            with suppress(docker.errors.APIError):
                container.remove(force=True, v=True)
        for network in client.networks.list(filters=mine):
            with suppress(docker.errors.APIError):
                network.remove()
        for volume in client.volumes.list(filters=mine):
            with suppress(docker.errors.APIError):
                volume.remove()


def _copy(project: Path, folder: Path) -> None:
    copy_context(project / "app", folder / "app", None)
    for part, pattern in (("compose", "*.yaml"), ("dockerfiles", "*")):
        (folder / part).mkdir()
        for file in sorted((project / part).glob(pattern)):
            if file.is_file():
                shutil.copy(file, folder / part / file.name)
