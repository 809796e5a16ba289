"""Tar streams, read as they come: members and their content, nothing unpacked, nothing kept.

A push parser, because one stream holds another (a saved image holds its layers), and because
``tarfile`` takes fifteen times as long over the headers. Formats: POSIX.1-1988 "ustar", POSIX.1-2001 "pax"
and GNU's (IEEE Std 1003.1-2017, "pax", and GNU tar's manual, "Basic Tar Format"). Where archives differ
from these, this reads them as Go's ``archive/tar`` does, since that is what engines unpack them with.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from layerlab.image.tarheader import (
    BLOCK,
    SPARSE_NAME,
    integer,
    is_header,
    number,
    pax_records,
    seconds,
    text,
)

_ZEROS = bytes(BLOCK)
#: A path or a set of attributes longer than this is no file's; it would only fill our memory.
LONGEST_ATTRIBUTES = 1 << 20
#: Linux takes paths of 4,095 bytes.
LONGEST_PATH = 1 << 14
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNTIDY = re.compile(r"^\.?/|/$|//|(?:^|/)\.\.?(?:/|$)")


class TarError(Exception):
    """The stream is no tar archive, or is damaged; the text is a clause about the archive."""


class Member(NamedTuple):
    """One entry of an archive."""

    #: As the archive has it; bytes that are not UTF-8 are kept as surrogates.
    path: str
    #: The type flag: "0" file, "1" hard link, "2" symbolic link, "5" folder, …
    kind: str
    #: Bytes of content in the archive.
    size: int
    mode: int
    uid: int
    gid: int
    #: Modification time in whole seconds of the epoch.
    mtime: int
    #: What a link points at.
    target: str


class Sink(Protocol):
    """Takes a member's content, piece by piece."""

    def write(self, data: memoryview) -> None: ...

    def close(self) -> None: ...


class TarStream:
    """A parser that is fed the bytes of an archive and shows each member to ``visit``.

    ``visit`` returns a sink for the content, or None to pass over it.
    """

    def __init__(self, visit: Callable[[Member], Sink | None]) -> None:
        self._visit = visit
        #: How many bytes were fed.
        self.position = 0
        #: Where the header of the member that came last begins.
        self.header = 0
        self._content = 0
        self._padding = 0
        self._sink: Sink | None = None
        self._partial = bytearray()
        self._empty_blocks = 0
        self._pax: dict[str, str] = {}
        self._gnu: dict[str, str] = {}
        self._sparse_map = False

    @property
    def ended(self) -> bool:
        """Whether the mark of an archive's end was there; some tools leave it out."""
        return self._empty_blocks > 0

    def feed(self, data: bytes | memoryview) -> None:
        """Take in the next bytes.

        Raises:
            TarError: they can't be a tar archive's.
        """
        view = memoryview(data)
        at, end = 0, len(view)
        while at < end:
            if self._content and not self._sparse_map:
                taken = min(self._content, end - at)
                if self._sink:
                    self._sink.write(view[at : at + taken])
                self._content -= taken
                at += taken
                if not self._content:
                    self._close_sink()
            elif self._padding and not self._sparse_map:
                taken = min(self._padding, end - at)
                self._padding -= taken
                at += taken
            elif self._empty_blocks >= 2:
                at = end  # what follows the end of an archive is not part of it
            elif self._partial or end - at < BLOCK:
                taken = min(BLOCK - len(self._partial), end - at)
                self._partial += view[at : at + taken]
                at += taken
                if len(self._partial) == BLOCK:
                    block = bytes(self._partial)
                    self._partial.clear()
                    self._block(block, self.position + at - BLOCK)
            else:
                self._block(bytes(view[at : at + BLOCK]), self.position + at)
                at += BLOCK
        self.position += end

    def close(self) -> None:
        """The stream has ended.

        Raises:
            TarError: it ended in the middle of a member.
        """
        unfinished = self._partial or self._sparse_map or self._pax or self._gnu
        if self._content or self._padding or unfinished:
            raise TarError(f"is cut off after {self.position:,} bytes")

    def _block(self, block: bytes, offset: int) -> None:
        if self._sparse_map:
            # The map of an old GNU sparse file goes on in further blocks, before the content.
            self._sparse_map = bool(block[504])
            return
        if block == _ZEROS:
            self._empty_blocks += 1
            return
        if self._empty_blocks or not is_header(block):
            raise TarError(f"has no valid tar header at byte {offset:,}")
        kind = chr(block[156])
        try:
            size = number(block[124:136])
            member = None if kind in "xgLK" else self._member(block, kind, size)
        except ValueError as error:
            raise TarError(f"has a tar header with a bad number at byte {offset:,}") from error
        if member is None:
            if not 0 <= size <= LONGEST_ATTRIBUTES:
                raise TarError(f"has {size:,} bytes of attributes for one file")
            self._take_content(size, Kept(lambda data: self._attributes(kind, data)))
            return
        if max(len(member.path), len(member.target)) > LONGEST_PATH:
            raise TarError(f"has a path that no file system takes at byte {offset:,}")
        self.header = offset
        self._sparse_map = kind == "S" and bool(block[482])
        self._take_content(member.size, self._visit(member))

    def _member(self, block: bytes, kind: str, size: int) -> Member:
        found = {**self._pax, **self._gnu}
        self._pax, self._gnu = {}, {}
        path = found.get(SPARSE_NAME) or found.get("path")
        if path is None:
            path = text(block[:100])
            if block[257:263] == b"ustar\0" and block[345]:
                path = f"{text(block[345:500])}/{path}"
        target = found.get("linkpath")
        if target is None:
            target = text(block[157:257]) if kind in "12" else ""
        size = integer(found["size"]) if "size" in found else size
        uid = integer(found["uid"]) if "uid" in found else number(block[108:116])
        gid = integer(found["gid"]) if "gid" in found else number(block[116:124])
        mtime = seconds(found["mtime"]) if "mtime" in found else number(block[136:148])
        if size < 0:
            raise ValueError("a negative size")
        # "\0" is a file of the oldest format, in which a folder is a file whose name ends in a slash.
        if kind in "\x007":
            kind = "5" if kind == "\0" and path.endswith("/") else "0"
        if kind in "123456":
            size = 0  # only files have content, whatever the header says
        return Member(path, kind, size, number(block[100:108]), uid, gid, mtime, target)

    def _take_content(self, size: int, sink: Sink | None) -> None:
        self._content, self._padding, self._sink = size, -size % BLOCK, sink
        if not size:
            self._close_sink()

    def _close_sink(self) -> None:
        sink, self._sink = self._sink, None
        if sink:
            sink.close()

    def _attributes(self, kind: str, data: bytes) -> None:
        """What belongs to the next member, from pax or from GNU; where both name it, GNU's counts."""
        if kind in "LK":
            if name := text(data):
                self._gnu["path" if kind == "L" else "linkpath"] = name
            return
        try:
            records = pax_records(data)
        except ValueError as error:
            raise TarError(f"has a damaged pax header ({error})") from error
        if kind == "x":
            self._pax = records
        # "g" is about all members that follow; engines pass over it.


class Kept:
    """A sink that keeps the content and hands it over whole."""

    def __init__(self, done: Callable[[bytes], None]) -> None:
        self._done = done
        self._parts: list[bytes] = []

    def write(self, data: memoryview) -> None:
        self._parts.append(bytes(data))

    def close(self) -> None:
        self._done(b"".join(self._parts))


def normal(path: str) -> str | None:
    """A path below the root, without slashes at its ends; None where ``..`` leads out of the root."""
    if not _UNTIDY.search(path):
        return path
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def shown(path: str) -> str:
    """A path fit for a sentence."""
    return _UNSHOWN.sub(lambda match: f"\\x{ord(match[0]):02x}", path[:400])
