"""The base of an image: which of its lowest layers another image brought."""

from collections.abc import Iterable
from dataclasses import dataclass

import docker.errors

from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import RUN_LABEL
from layerlab.engine.standins import REPOSITORY
from layerlab.image.export import digests
from layerlab.image.layers import Image, on_base


@dataclass(frozen=True)
class Candidate:
    """An image of the engine that others may be built on."""

    name: str
    digests: tuple[str, ...]


def candidates(endpoint: Endpoint) -> list[Candidate]:
    """The tagged images of an engine, less those that experiments made.

    Raises:
        LabError: the engine does not answer.
    """
    with endpoint.connected() as connection:
        found = []
        for row in connection.api.images():
            if row.get("RepoTags") and RUN_LABEL not in (row.get("Labels") or {}):
                try:
                    inspected = connection.images.get(row["Id"]).attrs
                except docker.errors.ImageNotFound:
                    continue  # removed meanwhile
                found.append(Candidate(_best_name(row["RepoTags"]), tuple(digests(inspected))))
        return found


def _best_name(tags: Iterable[str]) -> str:
    """The name that people know: not that of a stand-in, if it has another."""
    return min(tags, key=lambda tag: (tag.startswith(REPOSITORY), len(tag), tag))


def on_likely_base(image: Image, known: Iterable[Candidate]) -> Image:
    """The image with the largest of the known images marked that is wholly below it.

    An image's configuration does not say what it was built from, so this is what the engine still
    has of it. Without any the image stays as it is: all layers are its own.
    """
    own = tuple(layer.changeset.digest for layer in image.layers)
    below = [
        one
        for one in known
        if 0 < len(one.digests) < len(own) and own[: len(one.digests)] == one.digests
    ]
    if not below:
        return image
    likely = max(below, key=lambda one: len(one.digests))
    return on_base(image, likely.name, likely.digests)
