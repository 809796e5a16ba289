"""Secrets in an image: where those who pull it can read a value.

What is told holds no needle: values have labels, and paths, names and instructions are masked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from layerlab.image.changeset import Entry
from layerlab.image.document import DOCUMENT, Document, Hit, in_text, texts
from layerlab.image.export import INSPECTED
from layerlab.image.layers import Image, Layer
from layerlab.image.manifest import events
from layerlab.image.needles import Needle, Needles
from layerlab.image.places import LayerScan, Spot
from layerlab.image.tree import Tree

CONFIG, HISTORY, LAYER = "configuration", "history", "layer"


@dataclass(frozen=True)
class Finding:
    """One needle in one form at one place of an image."""

    needle: Needle
    form: str
    matches: int
    #: "configuration", "history", "layer", "manifest", "attestation" or "document"
    place: str
    #: A path in the layer, the line of the history (and its field, if it is not what made it), or the key of a document; masked.
    where: str
    #: Of the first match, in bytes: from the begin of the layer's tar stream, or of the text at that key.
    offset: int
    #: The image's name, masked; "" where all images of an archive share it.
    image: str = ""
    #: Of a layer, from 1; 0 for all else, and for a layer that is none of the images'.
    layer: int = 0
    #: Of a layer: "content", "header", "padding" or "end".
    part: str = ""
    #: The position of the layer that hides the file, or its name; 0 where it is visible.
    hidden_by: int = 0
    #: Of the layer, or the line of history; masked.
    instruction: str = ""
    #: Of the layer that hides it; masked.
    hidden_by_instruction: str = ""
    #: Whether the layer is the base image's.
    base: bool = False


@dataclass(frozen=True)
class Searched:
    """What was found, and what was looked through."""

    findings: tuple[Finding, ...]
    #: Matches at places beyond those that are told of each layer.
    more: int
    layers: int
    #: Of layers, unpacked.
    bytes: int
    files: int
    documents: int
    values: int
    #: Byte strings that stand for the values.
    forms: int
    patterns: int


class Search:
    """Watches an archive being read, and tells what was found once its images are known."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._layers: list[LayerScan] = []
        self._documents: list[Document] = []

    def layer(self) -> LayerScan:
        self._layers.append(LayerScan(self._needles))
        return self._layers[-1]

    def document(self, path: str) -> Document:
        self._documents.append(Document(path, self._needles))
        return self._documents[-1]

    def searched(self, images: Sequence[Image]) -> Searched:
        """What was found in the archive that these images are of."""
        scans = {scan.changeset.digest: scan for scan in self._layers if scan.changeset}
        read = [scan.changeset for scan in scans.values() if scan.changeset]
        return Searched(
            findings=tuple(self._findings(images, scans)),
            more=sum(scan.more for scan in scans.values()),
            layers=len(read),
            bytes=sum(changeset.tar_bytes for changeset in read),
            files=sum(changeset.files for changeset in read),
            documents=len(self._documents),
            values=sum(needle.kind == "value" for needle in self._needles.needles),
            forms=self._needles.forms,
            patterns=len(self._needles.patterns),
        )

    def _findings(
        self, images: Sequence[Image], scans: Mapping[str, LayerScan]
    ) -> Iterator[Finding]:
        configs: list[Document] = []
        in_configs: set[Needle] = set()
        of_images = {layer.changeset.digest for image in images for layer in image.layers}
        for image in images:
            name = self._needles.mask(image.name)
            found: list[Finding] = []
            lines: list[Any] = []
            for config in self._documents:
                if image.digest == config.digest or config.path == INSPECTED:
                    lines = _history(config)
                    found += self._in_config(config, lines)
                    in_configs |= {one.needle for one in found}
                    configs.append(config)
                    break
            found += self._in_layers(image, lines, scans)
            yield from (replace(one, image=name) for one in found)
        for digest, scan in scans.items():
            if digest not in of_images:  # but of another platform's, for one
                for spot in scan.spots:
                    yield _of_spot(spot, f"{spot.path} (of another image: {digest[:19]})")
        for document in self._documents:
            if document not in configs:
                kind = document.kind
                for hit in document.hits():
                    # What engines write beside the manifests repeats configurations for older ones.
                    if kind != DOCUMENT or hit.needle not in in_configs:
                        path = self._needles.mask(document.path)
                        yield _of_hit(hit, kind, f"{path}: {hit.key}" if hit.key else path)

    def _in_config(self, config: Document, lines: Sequence[Any]) -> Iterator[Finding]:
        for hit in config.hits(without="history"):
            yield _of_hit(hit, CONFIG, hit.key or "as it is written")
        instructions = _instructions(lines, self._needles)
        for number, line in enumerate(lines, 1):
            for key, text in texts(line):
                for hit in in_text(self._needles, text):
                    field = "" if key == "created_by" else f", {self._needles.mask(key)}"
                    found = _of_hit(hit, HISTORY, f"line {number}{field}")
                    yield replace(found, instruction=instructions[number - 1])

    def _in_layers(
        self, image: Image, lines: Sequence[Any], scans: Mapping[str, LayerScan]
    ) -> Iterator[Finding]:
        hits = [
            (layer, spot)
            for layer in image.layers
            if (scan := scans.get(layer.changeset.digest))
            for spot in scan.spots
        ]
        if not hits:
            return
        makers = _instructions([one for one in lines if not _is_empty(one)], self._needles)
        if len(makers) != len(image.layers):  # as of a squashed image
            makers = [""] * len(image.layers)
        cover = _Cover(image)
        for layer, spot in hits:
            by = cover.hidden_by(layer, spot.entry) if spot.entry else 0
            yield replace(
                _of_spot(spot, spot.path),
                layer=layer.position,
                base=layer.base,
                instruction=makers[layer.position - 1],
                hidden_by=by,
                hidden_by_instruction=makers[by - 1] if by else "",
            )


def _of_hit(hit: Hit, place: str, where: str) -> Finding:
    return Finding(hit.needle, hit.form, hit.matches, place, where, hit.offset)


def _of_spot(spot: Spot, where: str) -> Finding:
    return Finding(spot.needle, spot.form, spot.matches, LAYER, where, spot.offset, part=spot.part)


def _history(config: Document) -> list[Any]:
    found = config.content.get("history") if isinstance(config.content, dict) else None
    return found if isinstance(found, list) else []


def _is_empty(line: Any) -> bool:
    return bool(isinstance(line, dict) and line.get("empty_layer"))


def _instructions(lines: Sequence[Any], needles: Needles) -> list[str]:
    """On one line each; masked before what builders add is taken away, since a pattern may begin in that."""
    masked = []
    for line in lines:
        fields = line if isinstance(line, dict) else {}
        written = str(fields.get("created_by") or fields.get("comment") or "")
        masked.append({"created_by": needles.mask(written)})
    # And once more: with its white space folded a text may hold a value that it did not before.
    return [needles.mask(" ".join(event.instruction.split())) for event in events(masked)]


class _Cover:
    """Which layer hides what a lower one wrote."""

    def __init__(self, image: Image) -> None:
        tree = Tree(layer.changeset for layer in image.layers)
        self._files = {(one.file.layer, id(one.file.entry)): one.by for one in tree.hidden}
        self._kinds = [
            {(entry.path, entry.kind) for entry in layer.changeset.entries}
            for layer in image.layers
        ]

    def hidden_by(self, layer: Layer, entry: Entry) -> int:
        """The position of that layer; 0 where it can be seen."""
        if entry.kind == "file":
            return self._files.get((layer.position, id(entry)), 0)
        if entry.kind in ("whiteout", "opaque"):
            return 0  # it is nothing that could be hidden
        above = entry.path.split("/")
        folders = ["/".join(above[:end]) for end in range(len(above))]
        for by, there in enumerate(self._kinds[layer.position :], layer.position + 1):
            gone = (entry.path, "whiteout") in there or any(
                (folder, kind) in there
                for folder in folders
                for kind in ("whiteout", "opaque", "file", "link", "symlink", "other")
            )
            new = {"file", "link", "symlink", "other"} | ({"folder"} - {entry.kind})
            if gone or any((entry.path, kind) in there for kind in new):
                return by
        return 0
