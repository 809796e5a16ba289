"""What `docker compose` says when it refuses, as one sentence with what to do."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from layerlab.run import composefile
from layerlab.text import plain

#: What compose and the engine print beside what is wrong.
_NOISE = re.compile(
    r"^\s*(Container|Network|Volume|Image) \S+\s+(Creat|Start|Wait|Health|Stopp|Remov|Recreat|Runn|Err)"
    r'|^time="|^\s*#\d+ |^\s*$'
)
#: A host port that Docker picked by itself: another may be free at the next try.
_TAKEN = (
    re.compile(r"Bind for (?P<where>\S+:\d+) failed: port is already allocated"),
    re.compile(r"listen tcp[46]? (?P<where>\S+:\d+): bind: address already in use"),
    re.compile(r"failed to bind host port (?:for )?(?P<where>\S+:\d+)\S*: address already in use"),
)
_NO_SUBNET = (
    r"failed to create network (?P<network>\S+): .*(fully subnetted|non-overlapping IPv4 address)"
)
_ENDPOINT = re.compile(r"endpoint (?P<container>\S+) \(")


@dataclass(frozen=True)
class Refusal:
    """Why a stack did not come up."""

    sentence: str
    #: The container that its log is worth looking at, by name.
    container: str | None = None
    #: Whether a port that somebody else has is the reason.
    port: str | None = None


def told(said: str, files: Sequence[Path], name: str) -> Refusal:
    """What is wrong, by what compose ``said`` about the project ``name`` and its ``files``."""
    for file in files:
        if found := composefile.broken(file):
            line, why = found
            return Refusal(f"{file.name}:{line}: this is not YAML: {why}")
    for pattern in _TAKEN:
        if match := pattern.search(said):
            at = _ENDPOINT.search(said)
            service = _service(at["container"], name) if at else "a service"
            return Refusal(
                f"{service}: the port {match['where']} is taken: end what uses it, or publish another "
                "(port 0 is any free one)",
                port=match["where"],
            )
    for expression, explain in _REASONS:
        if match := re.search(expression, said):
            return explain(match, files, name)
    lines = [line.strip() for line in plain(said).splitlines() if not _NOISE.match(line)]
    last = lines[-1] if lines else "it says nothing"
    return Refusal(f"docker compose failed: {last}")


def no_subnet(said: str, name: str) -> str | None:
    """What is wrong where the engine has no address range left for the project's network."""
    match = re.search(_NO_SUBNET, said)
    return _no_subnet(match, (), name).sentence if match else None


def _service(container: str, name: str) -> str:
    """A container of the project by its service, as people know it."""
    match = re.fullmatch(rf"{re.escape(name)}-(.+)-\d+", container)
    return match[1] if match else container


def _at(files: Sequence[Path], *keys: str) -> str:
    place = composefile.nearest(files, keys)
    return f"{place}: " if place else ""


def _unhealthy(match: re.Match[str], _: Sequence[Path], name: str) -> Refusal:
    container = match["container"]
    return Refusal(f"{_service(container, name)} never became healthy", container)


def _exited(match: re.Match[str], _: Sequence[Path], name: str) -> Refusal:
    container, code = match["container"], match["code"]
    return Refusal(f"{_service(container, name)} ended with exit code {code}", container)


def _invalid(match: re.Match[str], files: Sequence[Path], _: str) -> Refusal:
    path, why = match["path"], match["why"].strip()
    keys = path.split(".")
    extra = re.search(r"additional properties '([^']+)'", why)
    if extra:
        keys.append(extra[1])
        why = f"there is no such setting as {extra[1]}"
    mine = [file for file in files if match["file"].endswith(file.name)] or files
    return Refusal(f"{_at(mine, *keys)}{path}: {why}")


def _interpolation(match: re.Match[str], files: Sequence[Path], _: str) -> Refusal:
    path, why = match["path"].rstrip("."), " ".join(match["why"].split())
    return Refusal(f"{_at(files, *path.split('.'))}{path}: {why}")


def _unmergeable(match: re.Match[str], files: Sequence[Path], _: str) -> Refusal:
    path = match["path"]
    place = _at(files, *path.split("."))
    return Refusal(f"{place}{path}: it is of another kind than in the file before")


def _undefined(match: re.Match[str], files: Sequence[Path], _: str) -> Refusal:
    kind, other, service = match["kind"], match["other"], match["service"]
    list_of = "depends_on" if kind == "service" else f"{kind}s"
    place = _at(files, "services", service, list_of, other)
    return Refusal(f"{place}the service {service} uses the {kind} {other}, which no file defines")


def _of_service(match: re.Match[str], files: Sequence[Path], _: str) -> Refusal:
    service, why = match["service"], match["why"]
    return Refusal(f"{_at(files, 'services', service)}the service {service} {why}")


def _no_subnet(match: re.Match[str], files: Sequence[Path], name: str) -> Refusal:
    network = match["network"].removeprefix(f"{name}_")
    return Refusal(
        f"the network {network} can't be made: the engine has given away all its address ranges "
        "(docker network ls): remove networks that nothing uses, or give it more default-address-pools"
    )


def _no_address(match: re.Match[str], files: Sequence[Path], name: str) -> Refusal:
    network = match["network"].removeprefix(f"{name}_")
    place = _at(files, "networks", network, "ipam")
    return Refusal(
        f"{place}the network {network} has no address left: its subnet is too small for its services"
    )


def _overlap(match: re.Match[str], files: Sequence[Path], name: str) -> Refusal:
    network = match["network"].removeprefix(f"{name}_")
    place = _at(files, "networks", network, "ipam")
    return Refusal(
        f"{place}the network {network} overlaps with one that the engine has: leave its subnet out"
    )


def _no_source(match: re.Match[str], files: Sequence[Path], _: str) -> Refusal:
    return Refusal(f"{match['path']} is to be mounted, and does not exist: make it first")


def _no_image(match: re.Match[str], files: Sequence[Path], _: str) -> Refusal:
    return Refusal(f"the image {match['image']} is not on the engine: build or pull it first")


_REASONS: tuple[tuple[str, Callable[[re.Match[str], Sequence[Path], str], Refusal]], ...] = (
    (r"container (?P<container>\S+) is unhealthy", _unhealthy),
    (r"container (?P<container>\S+) exited \((?P<code>\d+)\)", _exited),
    (r"validating (?P<file>.+?): (?P<path>[\w.-]+) (?P<why>.+)", _invalid),
    (r"cannot override (?P<path>[\w.-]+)", _unmergeable),
    (r"(?s)error while interpolating (?P<path>\S+): (?P<why>.+)", _interpolation),
    (r"(?s)invalid interpolation format for (?P<path>\S+)(?P<why>.+)", _interpolation),
    (
        r'service "(?P<service>.+?)" depends on undefined (?P<kind>service) "(?P<other>.+?)"',
        _undefined,
    ),
    (
        r'service "(?P<service>.+?)" refers to undefined (?P<kind>\w+) (?P<other>[^:\s]+)',
        _undefined,
    ),
    (r'service "(?P<service>.+?)" (?P<why>has neither an image nor a build context)', _of_service),
    (
        _NO_SUBNET,
        _no_subnet,
    ),
    (r"no available IPv4 addresses on this network's address pools: (?P<network>\S+)", _no_address),
    (r"failed to create network (?P<network>\S+): .*overlaps", _overlap),
    (r"bind source path does not exist: (?P<path>.+)", _no_source),
    (r"No such image: (?P<image>\S+)", _no_image),
)
