"""Compression of layers: undone as it streams, and what a layer would have as gzip."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, cast

import zstandard
from zlib_ng import zlib_ng

_MAGIC = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd"}
#: A frame of zstd that only carries notes, as those of some tools begin; its first byte may be 50 to 5F.
_SKIPPABLE = b"\x2a\x4d\x18"
#: The longest of these.
MAGIC_BYTES = 4
#: What `docker push` uses (Go's compress/gzip at its default level). zlib-ng at the same level came within
#: 0.1 % of its size on a layer of 545 MB.
LEVEL = 6
THREADS = 2
#: A part of the result, not only of the speed: pieces are compressed side by side.
PIECE = 1 << 20
#: What deflate can look back at (RFC 1951).
DICTIONARY = 1 << 15
#: Header and trailer of a gzip member (RFC 1952).
_GZIP_FRAME = 18
#: The most that the command `zstd` takes without being asked to: 128 MiB of memory.
LARGEST_WINDOW = 1 << 27
_GZIP_WINDOW = 31
#: So much is unpacked at once. Gzip's is for the sake of many small members, each of which copies what is
#: left; zstd's because 4 bytes may be a block of 128 KiB, and it hands over all that it has at once.
_GZIP_STEP, _ZSTD_STEP = 1 << 14, 1 << 9
_GZIP_ERROR = cast(type[Exception], zlib_ng.error)

Write = Callable[[bytes | memoryview], object]


class CompressionError(Exception):
    """The data is not what its first bytes say it is; the text is a clause about it."""


class Stage(Protocol):
    """A step that data flows through."""

    def write(self, data: bytes | memoryview) -> None: ...

    def close(self) -> None: ...


def compression(first: bytes) -> str | None:
    """The compression that the first bytes of a file show: "gzip", "zstd" or None."""
    if first[:1] and first[0] & 0xF0 == 0x50 and first[1:4] == _SKIPPABLE:
        return "zstd"
    return next((name for name, magic in _MAGIC.items() if first.startswith(magic)), None)


def unpacker(kind: str, write: Write) -> Stage:
    """What undoes a compression.

    However much a small input may unpack to, it is handed to ``write`` in pieces.
    """
    return _Gzip(write) if kind == "gzip" else _Zstd(write)


class _Gzip:
    def __init__(self, write: Write) -> None:
        self._write = write
        self._member = zlib_ng.decompressobj(_GZIP_WINDOW)

    def write(self, data: bytes | memoryview) -> None:
        for at in range(0, len(data), _GZIP_STEP):
            self._step(data[at : at + _GZIP_STEP])

    def _step(self, data: bytes | memoryview) -> None:
        while data:
            if self._member.eof:  # a layer may be many gzip members, as eStargz's are
                self._member = zlib_ng.decompressobj(_GZIP_WINDOW)
            try:
                unpacked = self._member.decompress(data, PIECE)
            except _GZIP_ERROR as error:
                raise CompressionError(f"is damaged gzip data ({error})") from error
            self._write(unpacked)
            data = self._member.unused_data or self._member.unconsumed_tail

    def close(self) -> None:
        if not self._member.eof:
            raise CompressionError("is gzip data that is cut off")


class _Zstd:
    def __init__(self, write: Write) -> None:
        self._write = write
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
        self._frame = self._decompressor.decompressobj()

    def write(self, data: bytes | memoryview) -> None:
        for at in range(0, len(data), _ZSTD_STEP):
            self._step(data[at : at + _ZSTD_STEP])

    def _step(self, data: bytes | memoryview) -> None:
        while data:
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
            try:
                unpacked = self._frame.decompress(data)
            except zstandard.ZstdError as error:
                raise CompressionError(f"is damaged zstd data ({error})") from error
            self._write(unpacked)
            data = self._frame.unused_data

    def close(self) -> None:
        if not self._frame.eof:
            raise CompressionError("is zstd data that is cut off")


class GzipSize:
    """Counts the bytes that data has as gzip of level :data:`LEVEL`, however it is cut into writes.

    Blocks are compressed side by side, each with the end of the one before as its dictionary, as pigz does
    it; the blocks are always the same, so the size is, too.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._piece = bytearray()
        self._before = b""
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[int]] = deque()

    def write(self, data: bytes | memoryview) -> None:
        view, at = memoryview(data), 0
        while at < len(view):
            if len(self._piece) == PIECE:
                self._hand_over()
            taken = view[at : at + PIECE - len(self._piece)]
            self._piece += taken
            at += len(taken)

    def close(self) -> None:
        """Compress what is left; its size is known from here on."""
        self.bytes += _GZIP_FRAME + _block_bytes(bytes(self._piece), self._before, last=True)
        self._piece.clear()
        while self._waiting:
            self.bytes += self._waiting.popleft().result()
        self.stop()

    def stop(self) -> None:
        """End the threads, whatever is left to do; always to be called."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def _hand_over(self) -> None:
        # Most layers are small, and need no threads.
        self._pool = self._pool or ThreadPoolExecutor(THREADS, "layerlab-gzip")
        block = bytes(self._piece)
        self._waiting.append(self._pool.submit(_block_bytes, block, self._before))
        self._before = block[-DICTIONARY:]
        self._piece.clear()
        if len(self._waiting) > 2 * THREADS:
            self.bytes += self._waiting.popleft().result()


def _block_bytes(data: bytes, before: bytes, *, last: bool = False) -> int:
    """How many bytes a block has in a raw deflate stream, after ``before``."""
    compressor = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, -15, zdict=before)
    ending = zlib_ng.Z_FINISH if last else zlib_ng.Z_SYNC_FLUSH
    return len(compressor.compress(data)) + len(compressor.flush(ending))
