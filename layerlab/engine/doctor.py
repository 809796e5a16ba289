"""The doctor: what layerlab finds on this machine, and what to do about each problem."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

import docker.errors

from layerlab.engine import choice, leftovers
from layerlab.engine.endpoint import Endpoint, probe
from layerlab.engine.private import PrivateEngine, lacking
from layerlab.errors import LabError
from layerlab.folders import cache_folder

#: Engine, bases and the images of a run need about this much.
ENOUGH_DISK_BYTES = 6_000_000_000


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``advice`` says what to do where it is a problem."""

    subject: str
    found: str
    advice: str | None = None


def examine(asked: str | None, images: Sequence[str]) -> list[Finding]:
    """Look at the machine, the engine that would be used, and what is on it.

    ``images`` are the base images that the variants name.

    An engine that is only to be had by starting the private one is not started.
    """
    findings = [Finding("python", sys.version.split()[0]), _disk()]
    try:
        own = choice.own(asked)
        findings.append(_private(own))
        endpoint = choice.find(asked)
        if endpoint is None and own.running:
            endpoint = probe(own.reached())
    except LabError as error:
        return [*findings, Finding("engine", "none", str(error))]
    if endpoint is None:
        lack = lacking()
        return [*findings, Finding("engine", "none yet; `./lab run` starts the private one", lack)]
    can = endpoint.can
    findings += [
        Finding("engine", f"{can.engine}, API {can.api}, {endpoint.host}"),
        Finding("chosen by", endpoint.origin),
        Finding("image store", can.image_store),
        Finding("builder", f"the engine's own BuildKit, buildx {can.buildx}"),
        Finding(
            "compose",
            can.compose or "missing",
            None if can.compose else "install docker-compose-plugin (or docker-compose) 2.x",
        ),
        Finding(
            "platform",
            f"{can.platform}, {can.cpus} cpus, {can.memory_bytes / 1e9:.0f} GB memory"
            + ", rootless" * can.rootless
            + ", remote" * endpoint.remote,
        ),
    ]
    try:
        return [*findings, _bases(endpoint, images), _leftovers(endpoint)]
    except LabError as error:
        return [*findings, Finding("contents", "unknown", str(error))]


def lines(findings: Sequence[Finding]) -> list[str]:
    """The findings for a terminal, with the advice below each problem."""
    width = max(len(finding.subject) for finding in findings)
    shown = []
    for finding in findings:
        mark = "!" if finding.advice else " "
        shown.append(f"{mark} {finding.subject:<{width}}  {finding.found}")
        if finding.advice:
            shown.append(f"  {'':<{width}}  -> {finding.advice}")
    return shown


def shell_environment(own: PrivateEngine) -> str:
    """Shell commands that make plain ``docker`` use the private engine."""
    tools = own.tools
    return "\n".join(
        [
            f"export DOCKER_HOST={quote(f'unix://{own.socket}')}",
            f"export DOCKER_CONFIG={quote(str(tools.config))}",
            f"export PATH={quote(str(tools.client_folder))}:$PATH",
            "unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH BUILDX_BUILDER",
        ]
    )


def _disk() -> Finding:
    place = cache_folder()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    advice = None
    if free < ENOUGH_DISK_BYTES:
        advice = f"free {(ENOUGH_DISK_BYTES - free) / 1e9:.1f} GB, or set XDG_CACHE_HOME elsewhere"
    return Finding("disk", f"{free / 1e9:.0f} GB free for {cache_folder()}", advice)


def _private(own: PrivateEngine) -> Finding:
    if own.running:
        return Finding("private engine", f"runs ({own.folder})")
    if lack := lacking():
        return Finding("private engine", f"not possible here: {lack}")
    state = "stopped" if own.tools.complete else "not set up; it takes about 15 s when needed"
    return Finding("private engine", state)


def _bases(endpoint: Endpoint, names: Sequence[str]) -> Finding:
    client = endpoint.connect()
    states = []
    try:
        for name in names:
            try:
                labels = client.images.get(name).labels
                kind = "stand-in" if "dev.layerlab.standin" in labels else "present"
            except docker.errors.ImageNotFound:
                kind = "not yet"
            except docker.errors.APIError as error:
                kind = f"can't be: {error.explanation}"
            states.append(f"{name} {kind}")
    finally:
        client.close()
    return Finding("bases", ", ".join(states) or "none named")


def _leftovers(endpoint: Endpoint) -> Finding:
    found = leftovers.remaining(endpoint)
    if not found:
        return Finding("leftovers", "none")
    owner = "of a run that lives" if leftovers.alive() else "the next run removes them"
    return Finding("leftovers", f"{len(found)}: {', '.join(found[:4])}; {owner}")
