"""A layer's changeset: the files that it adds, replaces and removes, and what they weigh.

Terms and rules are those of the OCI image specification, "Image Layer Filesystem Changeset".
"""

import hashlib
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from layerlab.errors import LabError
from layerlab.image.compression import GzipSize
from layerlab.image.tar import Kept, Member, Sink, TarError, TarStream, normal

WHITEOUT, OPAQUE, AUFS = ".wh.", ".wh..wh..opq", ".wh..wh."
#: Beyond this a layer is no layer: an archive of some megabytes may claim to unpack to petabytes.
MOST_BYTES = 64 << 30
MOST_MEMBERS = 2_000_000
#: Characters of all paths: 128 for each of so many members.
MOST_CHARACTERS = 1 << 28
#: The manifest of an installed Python distribution; those of large ones have some hundred kilobytes.
LONGEST_RECORD = 8 << 20
MOST_RECORD_BYTES = 64 << 20


#: Pieces that wait to be hashed; with those of a megabyte this is the memory that they take.
MOST_WAITING = 8
#: Hashing a smaller piece takes less time than handing it over.
WORTH_A_THREAD = 1 << 16


class BadLayer(LabError):
    """A layer that can't be read, or that is not what it should be; the text is a clause about it."""


class Entry(NamedTuple):
    """One path of a changeset."""

    #: Below the root, without slashes at its ends.
    path: str
    #: "file", "link" (hard), "symlink", "folder", "other", "whiteout", "opaque"
    kind: str
    #: Bytes of a regular file; 0 for all else.
    bytes: int
    mode: int
    uid: int
    gid: int
    mtime: int
    #: Of a link.
    target: str


_KINDS = {"0": "file", "S": "file", "1": "link", "2": "symlink", "5": "folder"}


@dataclass(frozen=True)
class Changeset:
    """What a layer holds, whatever image it is part of."""

    #: "sha256:…" of the plain tar stream, as the image's configuration lists it (its diff id).
    digest: str
    #: Bytes of the plain tar stream, headers and padding included.
    tar_bytes: int
    #: Bytes that the stream has as gzip of a fixed level; None where that was not asked for.
    gzip_bytes: int | None
    entries: tuple[Entry, ...] = field(repr=False)
    #: The text of each ``*.dist-info/RECORD``, by path.
    records: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Paths that lead out of the image; they are counted, and belong nowhere in it.
    stray: tuple[str, ...] = ()

    @property
    def file_bytes(self) -> int:
        """Bytes of regular files; those of a hard link are its first name's."""
        return sum(entry.bytes for entry in self.entries)

    @property
    def files(self) -> int:
        """Regular files; further names of one are not counted."""
        return sum(entry.kind == "file" for entry in self.entries)


class _Digest:
    """A sha256 that is computed beside what else is done with the bytes; hashing lets go of Python's lock."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[None]] = deque()

    def update(self, data: bytes | memoryview) -> None:
        if self._pool is None:
            if len(data) < WORTH_A_THREAD:
                self._sha256.update(data)
                return
            self._pool = ThreadPoolExecutor(1, "layerlab-sha256")
        self._waiting.append(self._pool.submit(self._sha256.update, data))
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popleft().result()

    def hexdigest(self) -> str:
        self.stop()
        return self._sha256.hexdigest()

    def stop(self) -> None:
        if self._pool:
            self._pool.shutdown()


class LayerWatch(Protocol):
    """Sees all that a layer's reader reads, after it."""

    def member(self, member: Member, header: int, entry: Entry | None) -> None:
        """A member whose header begins at that byte of the stream, and what the changeset has of it."""

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes of the plain tar stream; their members were shown before."""

    def close(self, changeset: Changeset) -> None: ...


class ChangesetReader:
    """Takes the plain tar stream of a layer as it comes."""

    def __init__(self, *, compress: bool, watch: LayerWatch | None = None) -> None:
        self._watch = watch
        self._digest = _Digest()
        self._tar = TarStream(self._member)
        self._gzip = GzipSize() if compress else None
        self._entries: list[Entry] = []
        self._records: dict[str, str] = {}
        self._stray: list[str] = []
        self._characters = 0
        self._record_bytes = 0

    def write(self, data: bytes | memoryview) -> None:
        """Take in the next bytes.

        Raises:
            BadLayer: they are no tar archive's, or there are more than any image has.
        """
        if self._tar.position + len(data) > MOST_BYTES:
            raise BadLayer(
                f"unpacks to more than {MOST_BYTES >> 30} GiB: it is not read any further"
            )
        self._digest.update(data)
        if self._gzip:
            self._gzip.write(data)
        try:
            self._tar.feed(data)
        except TarError as error:
            raise BadLayer(f"{error}: save the image again") from error
        if self._watch:
            self._watch.write(data)

    def close(self) -> Changeset:
        """The layer has ended.

        Raises:
            BadLayer: it ended too early.
        """
        try:
            self._tar.close()
        except TarError as error:
            raise BadLayer(f"{error}: save the image again") from error
        if self._gzip:
            self._gzip.close()
        changeset = Changeset(
            f"sha256:{self._digest.hexdigest()}",
            self._tar.position,
            self._gzip.bytes if self._gzip else None,
            tuple(self._entries),
            self._records,
            tuple(self._stray),
        )
        if self._watch:
            self._watch.close(changeset)
        return changeset

    def stop(self) -> None:
        """End what runs beside this; always to be called."""
        self._digest.stop()
        if self._gzip:
            self._gzip.stop()

    def _member(self, member: Member) -> Sink | None:
        before = len(self._entries)
        sink = self._take(member)
        if self._watch:
            entry = self._entries[-1] if len(self._entries) > before else None
            self._watch.member(member, self._tar.header, entry)
        return sink

    def _take(self, member: Member) -> Sink | None:
        self._characters += len(member.path) + len(member.target)
        path = normal(member.path)
        if path is None:
            self._stray.append(member.path)
            path = ""
        elif not path or (path.startswith(AUFS) and path != OPAQUE):
            return None  # the root itself, or that file system's own notes
        kind = _KINDS.get(member.kind, "other")
        folder, _, name = path.rpartition("/")
        if name == OPAQUE:
            path, kind = folder, "opaque"
        elif name.startswith(AUFS):
            return None
        elif name.startswith(WHITEOUT):
            path = f"{folder}/{name[4:]}" if folder else name[4:]
            kind = "whiteout"
        size = member.size if kind == "file" else 0
        target = (normal(member.target) or "") if kind == "link" else member.target
        # Some engines write the kind of a file into its mode, too.
        mode = member.mode & 0o7777
        self._entries.append(Entry(path, kind, size, mode, *member[4:7], target))
        if len(self._entries) > MOST_MEMBERS or self._characters > MOST_CHARACTERS:
            raise BadLayer(f"has more than {MOST_MEMBERS:,} entries: it is not read any further")
        if kind == "file" and name == "RECORD" and folder.endswith(".dist-info"):
            return self._record(path, size)
        return None

    def _record(self, path: str, size: int) -> Sink | None:
        self._record_bytes += size
        if size > LONGEST_RECORD or self._record_bytes > MOST_RECORD_BYTES:
            return None
        return Kept(lambda data: self._records.update({path: data.decode(errors="replace")}))
