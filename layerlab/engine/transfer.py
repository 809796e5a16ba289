"""An image brought from one engine to another, as `docker save | docker load` does."""

from typing import Any

import docker.errors
import requests.exceptions
from docker import DockerClient

from layerlab.engine.endpoint import Endpoint, unreachable
from layerlab.errors import LabError

#: For one answer: an engine says nothing while it unpacks a large layer.
TIMEOUT_SECONDS = 600


def bring(reference: str, source: Endpoint, target: Endpoint) -> None:
    """Have an image of ``source`` on ``target`` under the same name, unless it is there already.

    Raises:
        LabError: the image is not on ``source``, or ``target`` does not take it.
    """
    giver = source.connect(TIMEOUT_SECONDS)
    try:
        taker = target.connect(TIMEOUT_SECONDS)
        try:
            _bring(reference, giver, taker)
        finally:
            taker.close()
    except docker.errors.ImageNotFound as error:
        raise LabError(f"the image {reference} is not on the engine at {source.host}") from error
    except docker.errors.ImageLoadError as error:
        raise LabError(f"the engine at {target.host} does not load {reference}: {error}") from error
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise LabError(unreachable(target, error)) from error
    finally:
        giver.close()


def _bring(reference: str, giver: DockerClient, taker: DockerClient) -> None:
    wanted = _identity(giver, reference)
    try:
        if _identity(taker, reference) == wanted:
            return
    except docker.errors.ImageNotFound:
        pass
    taker.images.load(giver.api.get_image(reference))


def _identity(client: DockerClient, reference: str) -> tuple[Any, ...]:
    """What an image is on every engine; its Id is another one in the containerd image store."""
    found = client.images.get(reference).attrs
    return found["RootFS"]["Layers"], found["Created"]
