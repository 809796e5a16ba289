"""Manifests and configurations of a saved image: which layers make up which image.

Formats: the OCI image specification (index, manifest, config) and moby ``image/spec/spec.md``
(``manifest.json``).
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from layerlab.errors import LabError
from layerlab.image.archive import Archive, Blob
from layerlab.image.layers import Event, Image, Layer
from layerlab.image.tar import normal, shown

#: Overlay file systems take 128 layers, some newer ones 500. More would only take our time.
MOST_LAYERS = 512
MOST_IMAGES = 1_000
#: The shells' part of an instruction, as the two builders write it into the history.
_SHELL = r"(?:\|\d+ .*? )?/(?:\S+/)?(?:|a|ba|da|z)sh(?: -[a-z]+| pipefail)*? -c "
_BUILDKIT = re.compile(rf"^RUN {_SHELL}(.*)$", re.DOTALL)
_CLASSIC = re.compile(rf"^{_SHELL}(#\(nop\)\s*)?(.*)$", re.DOTALL)
_NAME = "org.opencontainers.image.ref.name"
_FULL_NAME = "io.containerd.image.name"
#: Marks what describes another manifest, such as a provenance attestation (BuildKit).
_ABOUT = "vnd.docker.reference.type"
#: What an architecture's variant is where none is said (containerd's ``platforms``).
_USUAL = {"amd64": "v1", "arm": "v7", "arm64": "v8"}


@dataclass(frozen=True)
class Description:
    """An image as its archive describes it: its configuration, and where its layers are."""

    name: str
    config: bytes
    paths: tuple[str, ...]


def images(archive: Archive, name: str, platform: str | None = None) -> list[Image]:
    """The images of an archive.

    ``name`` is the archive's, for sentences. ``platform`` ("linux/arm64") chooses where one image is
    there for several; without it, or where it is not there for that one, the first is taken.

    Raises:
        LabError: the archive is no saved image, lacks a part of one, or a layer is not what the
            configuration says it is.
    """
    try:
        found = [assemble(d, archive.layer, name) for d in described(archive, name, platform)]
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise LabError(
            f"{name}: its manifest or configuration can't be read ({error!r:.100}): save the image again"
        ) from error
    if not found:
        raise LabError(f"{name} holds no image: save it again")
    return found


def described(archive: Archive, name: str, platform: str | None) -> Iterator[Description]:
    """The descriptions of an archive's images.

    ``manifest.json`` has one platform only of an image that is there for several.
    """
    text, index = archive.document("manifest.json"), archive.document("index.json")
    if text is None and index is None:
        raise LabError(
            f"{name} is no saved image: it has neither manifest.json nor index.json; save one with "
            "`docker save` (`docker export` writes a container's files only)"
        )
    found = [] if text is None else _listed(archive, json.loads(text), name)
    if index is not None and not (found and all(_is_for(one, platform) for one in found)):
        in_layout = _of_index(archive, json.loads(index)["manifests"], name, platform)
        if text is None or any(_is_for(one, platform) for one in in_layout):
            found = in_layout
    yield from found


def _listed(archive: Archive, entries: Any, name: str) -> list[Description]:
    return [
        Description(
            shown(str((entry.get("RepoTags") or [name])[0])),
            _part(archive, str(entry["Config"]), name),
            tuple(map(str, entry.get("Layers") or [])),
        )
        for entry in _few(entries, name)
    ]


def _few(entries: Any, name: str) -> Any:
    if len(entries) > MOST_IMAGES:
        raise LabError(f"{name} lists {len(entries):,} images: save fewer at once")
    return entries


def _of_index(
    archive: Archive, manifests: Any, name: str, platform: str | None
) -> list[Description]:
    """The images of a layout: those of one name and of different platforms are one."""
    by_title: dict[str, dict[str, Any]] = {}
    for one in _few(manifests, name):
        notes = one.get("annotations") or {}
        if _ABOUT not in notes:
            title = shown(str(notes.get(_FULL_NAME) or notes.get(_NAME) or name))
            by_title.setdefault(title, {}).setdefault(str(one["digest"]), one)
    found: dict[bytes, Description] = {}
    for title, group in by_title.items():
        several = [*group.values()]
        platforms = {_platform(one["platform"]) for one in several if one.get("platform")}
        alternatives = [several] if len(platforms) == len(several) else [[one] for one in several]
        for one in alternatives:
            description = _of_layout(archive, one, title, name, platform)
            if description:  # an image with a second name is there twice
                found.setdefault(description.config, description)
    return list(found.values())


def _of_layout(
    archive: Archive, manifests: Any, title: str, name: str, platform: str | None, depth: int = 0
) -> Description | None:
    """The image of one of several manifests; None for what is no image, such as a chart."""
    images = [m for m in manifests if _ABOUT not in (m.get("annotations") or {})]
    # An engine saves just those platforms of an image that it has.
    there = [m for m in images if archive.document(_blob_path(m)) is not None]
    chosen = next((m for m in there if _fits(m.get("platform") or {}, platform)), None)
    if not there:
        missing = _blob_path(images[0]) if images else "any image"
        raise LabError(
            f"{name} lacks {shown(missing)}, which its index names: save the image again"
        )
    manifest = json.loads(_part(archive, _blob_path(chosen or there[0]), name))
    if "manifests" in manifest and depth < 4:
        return _of_layout(archive, manifest["manifests"], title, name, platform, depth + 1)
    if "image" not in str(manifest["config"].get("mediaType") or "image"):
        return None
    config = _part(archive, _blob_path(manifest["config"]), name)
    layers = manifest.get("layers") or []
    return Description(title, config, tuple(_blob_path(layer) for layer in layers))


def _blob_path(descriptor: Any) -> str:
    return f"blobs/{str(descriptor['digest']).replace(':', '/', 1)}"


def _part(archive: Archive, path: str, name: str) -> bytes:
    found = archive.document(path)
    if found is None:
        raise LabError(
            f"{name} lacks {shown(path)}, which its manifest names: save the image again"
        )
    return found


def _platform(config: Any) -> str:
    parts = [config.get("os"), config.get("architecture"), config.get("variant")]
    return "/".join(str(part) for part in parts if part) or "unknown"


def _fits(config: Any, platform: str | None) -> bool:
    if platform is None:
        return True
    system, architecture, variant = (*platform.split("/"), "", "")[:3]
    own = config.get("variant") or _USUAL.get(str(config.get("architecture")), "")
    same = (config.get("os"), config.get("architecture")) == (system, architecture)
    return same and variant in ("", own)


def _is_for(description: Description, platform: str | None) -> bool:
    return _fits(json.loads(description.config), platform)


def assemble(description: Description, layer: Callable[[str], Blob | None], name: str) -> Image:
    """An image from its description and its layers; each layer's digest is checked.

    Raises:
        LabError: a layer is missing, or is not the one that the configuration lists.
    """
    config = json.loads(description.config)
    digests = [str(digest) for digest in (config.get("rootfs") or {}).get("diff_ids") or []]
    if len(digests) != len(description.paths):
        raise LabError(
            f"{name}: the configuration lists {len(digests)} layers and the manifest "
            f"{len(description.paths)}: save the image again"
        )
    if len(digests) > MOST_LAYERS:
        raise LabError(f"{name} has {len(digests):,} layers: no engine can run an image of so many")
    history = events(config.get("history") or [])
    layers = []
    for position, (path, digest) in enumerate(zip(description.paths, digests, strict=True), 1):
        blob = layer(path)
        if blob is None:
            raise LabError(
                f"{name} lacks layer {position} ({shown(path)}): an engine that never pulled it can't save it; "
                "pull the image again, then save it"
            )
        if blob.changeset.digest != digest:
            raise LabError(
                f"{name}: layer {position} is damaged: its sha256 is {blob.changeset.digest[7:19]}, "
                f"and the configuration says {shown(digest.partition(':')[2][:12])}: save the image again"
            )
        layers.append(placed(blob, position))
    return Image(
        name=description.name,
        digest=f"sha256:{hashlib.sha256(description.config).hexdigest()}",
        platform=_platform(config),
        layers=_with_instructions(layers, history),
        workdir=normal(str((config.get("config") or {}).get("WorkingDir") or "")) or "",
        history=history,
    )


def placed(blob: Blob, position: int) -> Layer:
    stored = (blob.bytes, blob.compression) if blob.compression else None
    return Layer(blob.changeset, position, "", stored=stored)


def _with_instructions(layers: Sequence[Layer], history: Sequence[Event]) -> tuple[Layer, ...]:
    makers = [event.instruction for event in history if event.makes_layer]
    if len(makers) != len(layers):
        return tuple(layers)  # a squashed or an imported image has a history of something else
    return tuple(
        Layer(layer.changeset, layer.position, maker, stored=layer.stored)
        for layer, maker in zip(layers, makers, strict=True)
    )


def events(history: Sequence[Any]) -> tuple[Event, ...]:
    """An image's history as instructions, without what the builders add to them."""
    found = []
    for entry in history:
        written = str(entry.get("created_by") or entry.get("comment") or "")
        # JSON may hold half a character, which nothing can print.
        written = written.encode(errors="backslashreplace").decode()
        found.append(Event(instruction(written), not entry.get("empty_layer")))
    return tuple(found)


def instruction(created_by: str) -> str:
    """One line of history as a Dockerfile would have it.

    >>> instruction("RUN |1 V=1 /bin/sh -c make # buildkit")
    'RUN make'
    >>> instruction("/bin/sh -c #(nop) COPY dir:5f in /app ")
    'COPY dir:5f in /app'
    """
    text = created_by.strip().removesuffix("# buildkit").strip()
    if match := _BUILDKIT.match(text):
        return f"RUN {match[1]}"
    if match := _CLASSIC.match(text):
        return match[2].strip() if match[1] else f"RUN {match[2]}"
    return text
