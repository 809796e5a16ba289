"""Reading a saved image while it streams, and nothing written anywhere.

A layer is told from other files by its first bytes, since an archive may hold it before the manifest that
names it.
"""

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Protocol

from layerlab.errors import LabError
from layerlab.image import archive as limits
from layerlab.image.archive import Archive, Blob
from layerlab.image.changeset import BadLayer, ChangesetReader, LayerWatch
from layerlab.image.compression import (
    MAGIC_BYTES,
    CompressionError,
    Stage,
    compression,
    unpacker,
)
from layerlab.image.tar import Member, Sink, TarError, TarStream, normal, shown
from layerlab.image.tarheader import BLOCK, is_header

#: The largest configuration or manifest that is kept; real ones have some kilobytes.
LONGEST_DOCUMENT = 8 << 20
#: A name that says what the content must be: a blob's, or an older engine's configuration's.
_DIGEST = re.compile(r"(?:^|/)([0-9a-f]{64})(?:\.json)?$")


class Watch(Protocol):
    """Sees all that is read of an archive."""

    def layer(self) -> LayerWatch: ...

    def document(self, path: str) -> Sink:
        """What takes the bytes of a file that is no layer."""


def read(
    pieces: Iterable[bytes],
    name: str,
    *,
    compress: bool,
    known: Callable[[str], Blob | None] = lambda _: None,
    watch: Watch | None = None,
) -> Archive:
    """Read an archive from its bytes; gzip and zstd around the whole of it are undone.

    ``known`` is asked for each file of the archive by its path: a layer that it knows is passed over.
    ``name`` is the archive's, for sentences; ``compress`` also measures each layer as gzip; ``watch``
    sees every byte of layers, unpacked, and of documents.

    Raises:
        LabError: the archive is damaged, cut off, or no saved image.
    """
    archive = Archive(name)
    reader = _Reader(archive, compress, known, watch)
    outer = TarStream(reader.member)
    stage: Stage | None = None
    try:
        source = iter(pieces)
        first = _first(source)
        if not first:
            raise LabError(f"{name} is empty: save the image again")
        if kind := compression(first):
            stage = unpacker(kind, lambda data: _feed(outer, data, archive))
        for piece in chain([first], source):
            if stage:
                stage.write(piece)
            else:
                outer.feed(piece)
        if stage:
            stage.close()
        outer.close()
        if not outer.ended:
            raise TarError(f"is cut off after {outer.position:,} bytes")
    except (TarError, CompressionError) as error:
        where = f" (at {shown(reader.current)})" if reader.current else ""
        raise LabError(f"{name} {error}{where}: save the image again") from error
    finally:
        reader.stop()
    return archive


def _first(pieces: Iterator[bytes]) -> bytes:
    """As many pieces as show whether the archive is compressed."""
    first = b""
    for piece in pieces:
        first += piece
        if len(first) >= MAGIC_BYTES:
            break
    return first


def _feed(outer: TarStream, data: bytes | memoryview, archive: Archive) -> None:
    if outer.position > limits.MOST_UNPACKED_BYTES:
        raise LabError(
            f"{archive.name} unpacks to more than {limits.MOST_UNPACKED_BYTES >> 30} GiB: it is not read any further"
        )
    outer.feed(data)


class _Reader:
    """Shows each member of the outer archive to who can read it."""

    def __init__(
        self,
        archive: Archive,
        compress: bool,
        known: Callable[[str], Blob | None],
        watch: Watch | None,
    ) -> None:
        self._archive = archive
        self._compress = compress
        self._known = known
        self._watch = watch
        self._file: _File | None = None
        #: The path of the member that came last.
        self.current = ""

    def member(self, member: Member) -> Sink | None:
        self.current = path = normal(member.path) or ""
        if not path:
            return None  # the root, or what lies outside
        if member.kind in "12":
            folder = posixpath.dirname(path) if member.kind == "2" else ""
            self._archive.link(path, normal(posixpath.join(folder, member.target)) or "")
        if member.kind != "0":
            return None
        if known := self._known(path):
            self._archive.layers[path] = known
            return None
        self._file = _File(self._archive, path, member.size, self._compress, self._watch)
        return self._file

    def stop(self) -> None:
        if self._file:
            self._file.stop()


@contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    except BadLayer as error:
        raise LabError(f"{where} {error}") from error
    except CompressionError as error:
        raise LabError(f"{where} {error}: save the image again") from error


class _File:
    """One file of the archive: a layer, a document, or of no interest."""

    def __init__(
        self, archive: Archive, path: str, size: int, compress: bool, watch: Watch | None
    ) -> None:
        self._archive = archive
        self._path = path
        self._where = f"{archive.name}: {shown(path)}"
        self._size = size
        self._compress = compress
        self._watch = watch
        self._seen: Sink | None = None
        self._kept = bytearray()
        self._decided = False
        self._layer: ChangesetReader | None = None
        self._compression: str | None = None
        self._unpacker: Stage | None = None

    def write(self, data: memoryview) -> None:
        if self._layer:
            self._pass_on(data)
            return
        if self._seen:
            self._seen.write(data)
        if not self._decided or self._size <= LONGEST_DOCUMENT:
            self._kept += data
            if not self._decided and len(self._kept) >= BLOCK:
                self._decide()

    def _decide(self) -> None:
        """See from its first block what this file is."""
        self._decided = True
        first = bytes(self._kept)
        self._compression = compression(first)
        # Layers without a file are two blocks of zeros, or nothing at all.
        empty = not first or first[:BLOCK] == bytes(BLOCK)
        if self._compression or empty or is_header(first[:BLOCK]):
            watch = self._watch.layer() if self._watch else None
            self._layer = ChangesetReader(compress=self._compress, watch=watch)
            if self._compression:
                self._unpacker = unpacker(self._compression, self._layer.write)
            self._kept.clear()
            self._pass_on(memoryview(first))
        elif self._watch:
            self._seen = self._watch.document(self._path)
            self._seen.write(memoryview(first))

    def _pass_on(self, data: memoryview) -> None:
        assert self._layer is not None
        with _told(self._where):
            (self._unpacker or self._layer).write(data)

    def close(self) -> None:
        if not self._decided:
            self._decide()
        if self._layer:
            self._close_layer(self._layer)
            return
        if self._seen:
            self._seen.close()
        text = bytes(self._kept) if self._size <= LONGEST_DOCUMENT else b""
        digest = _DIGEST.search(self._path)
        if text and digest and hashlib.sha256(text).hexdigest() != digest[1]:
            raise LabError(
                f"{self._where} is damaged (its sha256 is another): save the image again"
            )
        self._archive.keep(self._path, text)

    def _close_layer(self, layer: ChangesetReader) -> None:
        with _told(self._where):
            if self._unpacker:
                self._unpacker.close()
            changeset = layer.close()
        self._archive.add(self._path, Blob(changeset, self._size, self._compression))

    def stop(self) -> None:
        if self._layer:
            self._layer.stop()
