"""Layers and saved images made by hand, and what is read from them.

The archives have the order and the names of those that engines write; ``tests/streams/saved-*.tar.gz`` are
real ones, recorded from the engines that their names say, for ``saved.Dockerfile``.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import zstandard

from layerlab.image import manifest
from layerlab.image.archive import Archive
from layerlab.image.changeset import Changeset, ChangesetReader
from layerlab.image.layers import Image
from layerlab.image.reader import read
from layerlab.image.tree import Tree

STREAMS = Path(__file__).parent / "streams"
MIB = bytes(1 << 20)
MTIME = 1_700_000_000
END = bytes(1024)
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
ATTESTATION = {"vnd.docker.reference.type": "attestation-manifest"}
Entry = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes | int = b"", **fields: Any) -> Entry:
    """A regular file; a number stands for so many bytes."""
    data = bytes(content) if isinstance(content, int) else content
    return _entry(name, tarfile.REGTYPE, {"mode": 0o644, "size": len(data), **fields}, data)


def folder(name: str, **fields: Any) -> Entry:
    return _entry(name, tarfile.DIRTYPE, {"mode": 0o755, **fields})


def symlink(name: str, target: str) -> Entry:
    return _entry(name, tarfile.SYMTYPE, {"linkname": target, "mode": 0o777})


def link(name: str, target: str, **fields: Any) -> Entry:
    """One more name of a file."""
    return _entry(name, tarfile.LNKTYPE, {"linkname": target, "mode": 0o644, **fields})


def whiteout(path: str) -> Entry:
    parent, _, name = path.rpartition("/")
    return file(f"{parent}/.wh.{name}" if parent else f".wh.{name}", mode=0)


def opaque(path: str) -> Entry:
    return file(f"{path}/.wh..wh..opq".lstrip("/"), mode=0)


def _entry(name: str, kind: bytes, fields: Mapping[str, Any], data: bytes = b"") -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.mtime = kind, MTIME
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def layer(*entries: Entry, format: Literal[0, 1, 2] = tarfile.PAX_FORMAT) -> bytes:
    """The tar stream of a layer; its end is two blocks, as Go writes it."""
    parts = []
    for info, data in entries:
        parts += [info.tobuf(format, "utf-8", "surrogateescape"), data, bytes(-len(data) % 512)]
    return b"".join([*parts, END])


def zeros_layer(path: str, mebibytes: int) -> list[bytes]:
    """A layer with one large file, in pieces that are all one object."""
    info, _ = file(path, size=mebibytes << 20)
    return [info.tobuf(), *[MIB] * mebibytes, END]


def header(**fields: bytes) -> bytes:
    """A bare header with some fields written over: their bytes, and a right checksum."""
    places = {"name": 0, "mode": 100, "uid": 108, "gid": 116, "size": 124, "mtime": 136}
    places |= {"type": 156, "target": 157, "magic": 257, "prefix": 345, "extended": 482}
    block = bytearray(file("x")[0].tobuf(tarfile.USTAR_FORMAT))
    for name, value in fields.items():
        block[places[name] : places[name] + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(**records: str) -> bytes:
    """A pax header with its records, whatever they say."""
    body = b""
    for key, value in records.items():
        rest = f" {key.replace('__', '.')}={value}\n".encode(errors="surrogateescape")
        length = next(n for n in range(len(rest), len(rest) + 9) if len(str(n)) + len(rest) == n)
        body += str(length).encode() + rest
    return header(type=b"x", size=b"%011o" % len(body)) + padded(body)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


@dataclass(frozen=True)
class Made:
    """An image to be saved."""

    layers: tuple[bytes, ...]
    tag: str = "made:1"
    history: tuple[tuple[str, bool], ...] | None = None
    architecture: str = "amd64"
    variant: str | None = None

    @property
    def config(self) -> bytes:
        history = [
            {"created_by": text, **({} if makes_layer else {"empty_layer": True})}
            for text, makes_layer in self.history or [("RUN x # buildkit", True)] * len(self.layers)
        ]
        platform = {"os": "linux", "architecture": self.architecture, "variant": self.variant}
        return _json(
            {
                **{key: value for key, value in platform.items() if value},
                "config": {"WorkingDir": "/app"},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha(x)}" for x in self.layers]},
                "history": history,
            }
        )


def made(*layers: bytes, **fields: Any) -> Made:
    return Made(layers, **fields)


def classic(*images: Made) -> bytes:
    """What engines before 25.0 save: a folder for each layer, equal layers linked."""
    files: dict[str, bytes | str] = {}
    listed, first_of = [], dict[bytes, str]()
    for image in images:
        paths = []
        for position, one in enumerate(image.layers):
            identity = sha(f"{image.tag} {position}".encode())
            path = f"{identity}/layer.tar"
            files |= {f"{identity}/VERSION": b"1.0", f"{identity}/json": _json({"id": identity})}
            files[path] = f"../{first_of[one]}" if one in first_of else one
            first_of.setdefault(one, path)
            paths.append(path)
        files[f"{sha(image.config)}.json"] = image.config
        listed.append(
            {"Config": f"{sha(image.config)}.json", "RepoTags": [image.tag], "Layers": paths}
        )
    files = dict(sorted(files.items()))
    files["manifest.json"] = _json(listed)
    files["repositories"] = _json({image.tag.split(":")[0]: {} for image in images})
    return packed(files)


def modern(*images: Made) -> bytes:
    """What later engines save: an OCI layout with a manifest.json beside it."""
    blobs: list[bytes] = []
    listed, described = [], []
    for image in images:
        content = _manifest(image, image.layers)
        blobs += [
            *image.layers,
            image.config,
            content,
            _json({"id": image.tag, "legacy": "x" * 600}),
        ]
        paths = [blob_path(one) for one in image.layers]
        listed.append({"Config": blob_path(image.config), "RepoTags": [image.tag], "Layers": paths})
        described.append(descriptor(content, annotations=_names(image)))
    return layout(blobs, described, {"manifest.json": _json(listed), "repositories": b"{}"})


def oci(*images: Made, pack: Any = gzip.compress, nested: bool = False) -> bytes:
    """What ``buildx build --output type=oci`` writes: no manifest.json.

    With ``nested`` the images are one, for several platforms, with an attestation for each.
    """
    blobs: list[bytes] = []
    described = []
    for image in images:
        packed_layers = [pack(one) for one in image.layers]
        content = _manifest(image, packed_layers)
        blobs += [*packed_layers, image.config, content]
        platform = {"os": "linux", "architecture": image.architecture}
        platform |= {"variant": image.variant} if image.variant else {}
        notes = {} if nested else {"annotations": _names(image)}
        described.append(descriptor(content, platform=platform, **notes))
        if nested:
            statement = _json({"_type": "https://in-toto.io/Statement/v0.1", "x": image.tag * 200})
            about = _manifest(Made((statement,)), [statement])
            blobs += [statement, Made((statement,)).config, about]
            unknown = {"os": "unknown", "architecture": "unknown"}
            described.append(descriptor(about, platform=unknown, annotations=ATTESTATION))
    if nested:
        index = _json({"schemaVersion": 2, "manifests": described})
        blobs.append(index)
        described = [descriptor(index, annotations=_names(images[0]))]
    return layout(blobs, described)


def layout(
    blobs: Iterable[bytes], manifests: Sequence[Any], more: Mapping[str, bytes] | None = None
) -> bytes:
    files: dict[str, bytes | str] = {blob_path(blob): blob for blob in blobs}
    files["index.json"] = _json({"schemaVersion": 2, "manifests": manifests})
    files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    return packed(dict(sorted({**files, **(more or {})}.items())))


def packed(files: Mapping[str, bytes | str]) -> bytes:
    """An archive of files; a text is a symbolic link's target. Folders come before what is in them."""
    entries: dict[str, Entry] = {}
    for path, content in files.items():
        parts = path.split("/")[:-1]
        for end, _ in enumerate(parts, 1):
            name = "/".join(parts[:end])
            entries.setdefault(name, folder(name))
        entries[path] = symlink(path, content) if isinstance(content, str) else file(path, content)
    return layer(*entries.values(), format=tarfile.USTAR_FORMAT)


def descriptor(content: bytes, **fields: Any) -> dict[str, Any]:
    return {"digest": f"sha256:{sha(content)}", "size": len(content), **fields}


def blob_path(content: bytes) -> str:
    return f"blobs/sha256/{sha(content)}"


def _manifest(image: Made, layers: Sequence[bytes]) -> bytes:
    config = descriptor(image.config, mediaType=IMAGE_CONFIG)
    return _json(
        {"schemaVersion": 2, "config": config, "layers": [descriptor(one) for one in layers]}
    )


def _names(image: Made) -> dict[str, str]:
    tag = image.tag.rpartition(":")[2]
    name = f"docker.io/library/{image.tag}"
    return {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def stargz(data: bytes) -> bytes:
    """A gzip member for each few blocks, as eStargz has one for each file."""
    bounds = [*range(0, len(data), 1536), len(data)]
    return b"".join(gzip.compress(data[start:end]) for start, end in pairwise(bounds))


def recorded(name: str) -> bytes:
    """What a real engine saved."""
    return gzip.decompress((STREAMS / f"saved-{name}.tar.gz").read_bytes())


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def opened(data: bytes | Iterable[bytes], *, compress: bool = False) -> Archive:
    pieces = [data] if isinstance(data, bytes) else data
    return read(pieces, "saved.tar", compress=compress)


def images(
    data: bytes | Iterable[bytes], *, compress: bool = False, platform: str | None = None
) -> list[Image]:
    """The images of a saved archive."""
    return manifest.images(opened(data, compress=compress), "saved.tar", platform)


def image(data: bytes | Iterable[bytes], **options: Any) -> Image:
    """The only image of a saved archive."""
    [only] = images(data, **options)
    return only


def changeset(data: bytes | Iterable[bytes], *, compress: bool = False) -> Changeset:
    reader = ChangesetReader(compress=compress)
    try:
        for piece in [data] if isinstance(data, bytes) else data:
            reader.write(piece)
        return reader.close()
    finally:
        reader.stop()


def tree(*layers: bytes | Iterable[bytes]) -> Tree:
    return Tree(changeset(one) for one in layers)


def listed(data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    """The members of a plain tar as the standard library sees them."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            content = archive.extractfile(info) if info.isreg() else None
            found.append((info, content.read() if content else b""))
    return found
