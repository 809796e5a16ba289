"""Manifests: what a registry says an image is (OCI image specification, 1.1; Docker's schema 2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: A single image's manifest, as Docker and as OCI have it, and their indexes of several.
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
INDEXES = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)


@dataclass(frozen=True)
class Blob:
    """A layer or a configuration as a registry holds it."""

    digest: str
    bytes: int
    #: Whether it is a tar archive that nobody compressed, by its media type.
    plain: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Manifest:
    """What a registry says an image is."""

    digest: str
    config: Blob
    #: The lowest first.
    layers: tuple[Blob, ...]

    @property
    def bytes(self) -> int:
        """Of all layers: what a pull by an engine that has nothing moves."""
        return sum(layer.bytes for layer in self.layers)


def read(digest: str, content: Mapping[str, Any]) -> Manifest:
    """A single image's manifest as a registry sends it, with its digest."""
    layers = tuple(_blob(layer) for layer in content["layers"])
    return Manifest(digest, _blob(content["config"]), layers)


def _blob(descriptor: Mapping[str, Any]) -> Blob:
    plain = str(descriptor.get("mediaType", "")).endswith(".tar")
    return Blob(str(descriptor["digest"]), int(descriptor["size"]), plain)
