"""Images taken out of an engine, as a stream that is read while it comes and never stored."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import docker.errors
import requests.exceptions
import urllib3.exceptions
from docker import DockerClient

from layerlab.engine.endpoint import Endpoint, unreachable
from layerlab.errors import LabError
from layerlab.image import manifest
from layerlab.image.archive import Blob
from layerlab.image.compression import compression
from layerlab.image.layers import Image
from layerlab.image.memory import Memory
from layerlab.image.reader import Watch, read
from layerlab.image.tarheader import BLOCK, is_header

#: The engine puts all layers together before it sends the first byte: about 6 s for a gigabyte.
EXPORT_SECONDS = 1800
PIECE = 1 << 20
#: Stands for the path of an image's configuration where the engine has no archive for it.
INSPECTED = "inspect"


def from_engine(
    endpoint: Endpoint,
    reference: str,
    memory: Memory,
    *,
    compress: bool,
    progress: Callable[[str], None] = lambda _: None,
    watch: Watch | None = None,
) -> Image:
    """Analyse an image of an engine.

    ``compress`` also measures what each layer has as gzip, where the engine stores it plain. What
    ``memory`` knows is not read again; an image of which it knows everything is not even exported.
    ``watch`` sees what is read, so give it an empty memory.

    Raises:
        LabError: there is no such image, the engine went away, or what it sent is no image.
    """
    connection = endpoint.connect(timeout=EXPORT_SECONDS)
    try:
        inspected = _inspect(endpoint, connection, reference)
        if not digests(inspected):
            # The classic store can't even save it ("empty export - not implemented").
            if watch:
                _show_inspected(connection, inspected, watch)
            return Image(reference, str(inspected["Id"]), _platform(inspected), ())
        identity = _identity(endpoint, connection, inspected)
        image = _remembered(memory, identity, reference, compress)
        if image is None:
            progress(f"reading {reference} out of the engine")
            return _exported(connection, inspected, identity, reference, memory, compress, watch)
        return replace(image, digest=str(inspected["Id"])) if _is_classic(endpoint) else image
    except docker.errors.APIError as error:
        raise LabError(
            f"the engine at {endpoint.host} can't save {reference}: {error.explanation or error}"
        ) from error
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
    ) as error:
        raise LabError(unreachable(endpoint, error)) from error
    finally:
        connection.close()


def from_file(
    path: Path, *, compress: bool, platform: str | None = None, watch: Watch | None = None
) -> list[Image]:
    """Analyse the images of a saved archive; ``watch`` sees what is read.

    Raises:
        LabError: it can't be read, or is no saved image.
    """
    try:
        with path.open("rb") as file:
            first = file.read(PIECE)
            if first and not (compression(first) or is_header(first[:BLOCK])):
                raise LabError(
                    f"{path} is no tar archive: name what `docker save` writes, plain or as gzip or zstd"
                )
            pieces = chain([first] if first else [], iter(lambda: file.read(PIECE), b""))
            archive = read(pieces, str(path), compress=compress, watch=watch)
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}: name a saved image that can be read") from error
    return manifest.images(archive, str(path), platform)


def layer_digests(endpoint: Endpoint, reference: str) -> list[str]:
    """The digests of an image's layers, lowest first, as the engine knows them.

    Raises:
        LabError: there is no such image, or the engine went away.
    """
    with endpoint.connected() as connection:
        try:
            return digests(_inspect(endpoint, connection, reference))
        except docker.errors.APIError as error:
            raise LabError(
                f"the engine at {endpoint.host} can't say what {reference} is: "
                f"{error.explanation or error}"
            ) from error


def digests(inspected: Mapping[str, Any]) -> list[str]:
    """The digests of an image's layers, from ``docker image inspect``."""
    return [str(digest) for digest in (inspected.get("RootFS") or {}).get("Layers") or []]


def _platform(inspected: Mapping[str, Any]) -> str:
    parts = (inspected.get(key) for key in ("Os", "Architecture", "Variant"))
    return "/".join(str(part) for part in parts if part)


def _inspect(endpoint: Endpoint, connection: DockerClient, reference: str) -> dict[str, Any]:
    # What is no name would become another request's address: `.` lists all images.
    if not reference.isprintable() or {"", ".", ".."}.intersection(reference.split("/")):
        raise LabError(f"`{reference}` is not an image name: write one such as myapp:latest")
    try:
        return dict(connection.images.get(reference).attrs)
    except docker.errors.ImageNotFound as error:
        raise LabError(
            f"there is no image {reference} on the engine at {endpoint.host}: build or pull it first, "
            "or name the tar file of a saved one"
        ) from error
    except docker.errors.APIError as error:
        if error.status_code != 400:
            raise
        raise LabError(f"{reference} is not an image name: {error.explanation}") from error


def _is_classic(endpoint: Endpoint) -> bool:
    """Whether the engine's id of an image is the digest of its configuration."""
    return endpoint.capabilities is not None and endpoint.can.image_store != "containerd"


def _identity(endpoint: Endpoint, connection: DockerClient, inspected: Mapping[str, Any]) -> str:
    """What an image is remembered by.

    Its id changes with each label, and so from run to run. What is said of it here depends on its layers,
    its history and its working folder only.
    """
    if not _is_classic(endpoint):
        return str(inspected["Id"])
    history = [
        entry["CreatedBy"] for entry in connection.images.get(str(inspected["Id"])).history()
    ]
    workdir = (inspected.get("Config") or {}).get("WorkingDir")
    facts = [digests(inspected), history, workdir, _platform(inspected)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _remembered(memory: Memory, identity: str, reference: str, compress: bool) -> Image | None:
    description = memory.image(identity)
    if description is None:
        return None
    blobs: dict[str, Blob] = {}
    for path in description.paths:
        blob = memory.blob(path, compress=compress)
        if blob is None:
            return None
        blobs[path] = blob
    return manifest.assemble(replace(description, name=reference), blobs.get, reference)


def _show_inspected(connection: DockerClient, inspected: Mapping[str, Any], watch: Watch) -> None:
    """What the engine says of an image that it can't save, as an image's configuration would say it."""
    newest_first = connection.images.get(str(inspected["Id"])).history()
    history = [{"created_by": e["CreatedBy"], "empty_layer": True} for e in reversed(newest_first)]
    config = {**inspected, "config": inspected.get("Config"), "history": history}
    sink = watch.document(INSPECTED)
    sink.write(memoryview(json.dumps({**config, "Config": None}).encode()))
    sink.close()


def _exported(
    connection: DockerClient,
    inspected: Mapping[str, Any],
    identity: str,
    reference: str,
    memory: Memory,
    compress: bool,
    watch: Watch | None,
) -> Image:
    archive = read(
        # By its id: a name may go over to another image meanwhile.
        connection.api.get_image(str(inspected["Id"]), chunk_size=PIECE),
        f"what the engine saved of {reference}",
        compress=compress,
        known=lambda path: memory.blob(path, compress=compress),
        watch=watch,
    )
    (description, *_) = manifest.described(archive, reference, _platform(inspected))
    # With the archive's links followed, so that a path stands for a layer and not for a link to one.
    paths = tuple(archive.resolve(path) for path in description.paths)
    description = replace(description, name=reference, paths=paths)
    image = manifest.assemble(description, archive.layer, reference)
    for path in dict.fromkeys(paths):
        blob = archive.layer(path)
        if blob is not None and memory.blob(path, compress=compress) is None:
            memory.keep_blob(path, blob)
    memory.keep_image(identity, description)
    return image
