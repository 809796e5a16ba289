"""Transfers: images pushed to and pulled from a registry of ours, with what went over the wire.

How long it took is the command's own wall time; what was moved is read from the registry, never from a
progress bar.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import docker.errors
from docker.utils import parse_repository_tag

from layerlab.engine import pulls
from layerlab.engine.bases import repo_digest
from layerlab.engine.command import last_lines
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.run import accesslog
from layerlab.run.manifest import Blob, Manifest
from layerlab.run.registry import Registry

PUSH_SECONDS = 900


@dataclass(frozen=True)
class Push:
    """A push that was done."""

    manifest: Manifest
    seconds: float
    #: Layers that were sent, and those that the registry took from another of its repositories.
    uploaded: tuple[Blob, ...]
    mounted: tuple[Blob, ...]


@dataclass(frozen=True)
class Pull:
    """A pull that was done."""

    #: The engine's ID of the image.
    image_id: str
    seconds: float
    #: Layers that were sent, with the bytes that the registry sent of each.
    downloaded: tuple[Blob, ...]


def push(registry: Registry, image: str, repository: str, tag: str = "latest") -> Push:
    """Push an image of the registry's engine, under a name that the engine has for as long.

    Raises:
        LabError: there is no such image, the name is none, or the push is refused.
    """
    reference = registry.reference(repository, tag)
    endpoint = registry.endpoint
    before = _digest(registry, repository, tag)
    fence = registry.fence()
    with tagged(endpoint, image, reference):
        begun = time.monotonic()
        try:
            endpoint.run("push", reference, doing="pushing", timeout=PUSH_SECONDS)
        except LabError as error:
            raise LabError(refusal(image, reference, str(error))) from error
        seconds = time.monotonic() - begun
        here = repo_digest(reference, _inspect(endpoint, reference))
    there = registry.digest(repository, tag)
    if here != there:
        raise LabError(
            f"{reference} was pushed as {here}, and the registry has {there}: did somebody else push it?"
        )
    manifest = registry.manifest(repository, tag)
    requests = registry.since(fence)
    # The containerd store only looks whether a manifest that is there already is the right one.
    if before != there and not accesslog.has_manifest(requests, repository):
        raise LabError(f"the registry's access log says nothing of a push to {repository}")
    sent = accesslog.uploaded(requests, repository)
    given = accesslog.mounted(requests, repository)
    return Push(manifest, seconds, _of(manifest, sent), _of(manifest, given))


def _of(manifest: Manifest, digests: list[str]) -> tuple[Blob, ...]:
    """The manifest's layers among some digests, the lowest first; a layer may be in it twice."""
    return tuple(dict.fromkeys(layer for layer in manifest.layers if layer.digest in digests))


def _digest(registry: Registry, repository: str, tag: str) -> str | None:
    """What a tag stands for; None where there is none yet, or nobody answers, which the push will tell."""
    with suppress(LabError):
        return registry.digest(repository, tag)
    return None


def refusal(image: str, reference: str, said: str) -> str:
    """The sentence for a push that failed, by what the command said."""
    line = last_lines(said, 1).strip().removeprefix("Error response from daemon: ")
    if "does not exist locally" in said:
        return f"{image} can't be pushed: the engine has no image {reference}"
    if "HTTP response to HTTPS client" in said:
        return (
            f"{image} can't be pushed to {reference}: the engine wants TLS of that registry: give it one, "
            f'or name it in "insecure-registries" of daemon.json ({line})'
        )
    if pulls.pull_failure(said) == pulls.UNAVAILABLE:
        return f"{image} can't be pushed to {reference}: the registry does not answer ({line})"
    return f"{image} can't be pushed to {reference}: the registry refuses it ({line})"


@contextmanager
def tagged(endpoint: Endpoint, image: str, reference: str) -> Iterator[None]:
    """A further name of an image, which is taken away at the end; the image stays."""
    with endpoint.connected() as client:
        try:
            client.api.tag(image, *parse_repository_tag(reference))
        except docker.errors.APIError as error:
            raise LabError(f"{image} can't be pushed: {error.explanation}") from error
        try:
            yield
        finally:
            with suppress(docker.errors.APIError):
                client.api.remove_image(reference)


def pull(registry: Registry, target: Endpoint, repository: str, tag: str) -> Pull:
    """Pull by a tag or a digest onto an engine to which the registry is 127.0.0.1, too.

    Raises:
        LabError: it can't be pulled.
    """
    reference = registry.reference(repository, tag)
    fence = registry.fence()
    begun = time.monotonic()
    said = pulls.pull(target, reference, lambda _: None)
    seconds = time.monotonic() - begun
    if said is not None:
        raise LabError(f"{reference} can't be pulled: {said}")
    image_id = str(_inspect(target, reference)["Id"])
    layers = dict.fromkeys(registry.manifest(repository, tag).layers)
    sent = accesslog.downloaded(registry.since(fence), repository)
    blobs = tuple(replace(one, bytes=sent[one.digest]) for one in layers if one.digest in sent)
    return Pull(image_id, seconds, blobs)


def moved(registry: Registry, target: Endpoint, repository: str, tag: str) -> str | None:
    """That a tag now stands for another image than the one that an engine has by it; None when not.

    Raises:
        LabError: either has nothing by that name.
    """
    reference = registry.reference(repository, tag)
    here = repo_digest(reference, _inspect(target, reference))
    there = registry.digest(repository, tag)
    if here == there:
        return None
    return f"{repository}:{tag} has moved: the engine has {here and here[:19]}, the registry {there[:19]}"


def _inspect(endpoint: Endpoint, reference: str) -> dict[str, Any]:
    with endpoint.connected() as client:
        try:
            return dict(client.images.get(reference).attrs)
        except docker.errors.ImageNotFound as error:
            raise LabError(
                f"there is no image {reference} on the engine at {endpoint.host}"
            ) from error
