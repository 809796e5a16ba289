"""Gzip and zstd, undone piece by piece, and the size that data has as gzip."""

import gzip
import io
import random
import threading
import tracemalloc
import zlib
from collections.abc import Iterable
from contextlib import suppress
from itertools import accumulate

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from image_makers import END, MIB, changeset, cut, file, stargz, zstd

from layerlab.image.compression import (
    LEVEL,
    PIECE,
    CompressionError,
    GzipSize,
    compression,
    unpacker,
)

#: Not all of it can be compressed.
DATA = random.Random(1).randbytes(40_000) + b"docker " * 20_000
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"


def unpacked(data: bytes | Iterable[bytes]) -> bytes:
    parts: list[bytes] = []
    pieces = [data] if isinstance(data, bytes) else [*data]
    kind = compression(b"".join(pieces)[:4])
    assert kind
    stage = unpacker(kind, lambda piece: parts.append(bytes(piece)))
    for piece in pieces:
        stage.write(piece)
    stage.close()
    return b"".join(parts)


#: In parts, each of which is whole by itself.
PARTS = {
    "gzip": [gzip.compress(DATA)],
    "gzip of many members": [
        stargz(DATA[start : start + 1536]) for start in range(0, len(DATA), 1536)
    ],
    "gzip with a name": [b"\x1f\x8b\x08\x08\0\0\0\0\0\x03name\0" + gzip.compress(DATA)[10:]],
    "zstd": [zstd(DATA)],
    "zstd of several frames": [zstd(DATA[:50_000]), SKIPPABLE, zstd(b""), zstd(DATA[50_000:])],
    "zstd behind a note": [SKIPPABLE, zstd(DATA)],
}
PACKED = {name: b"".join(parts) for name, parts in PARTS.items()}
packed = pytest.mark.parametrize("name", PACKED)


@packed
def test_unpacked_data_is_what_was_packed_in_pieces_of_any_size(name: str) -> None:
    data = PACKED[name]
    assert unpacked(data) == DATA
    for size in (1, 7, 511, 512, 513, 4096):
        assert unpacked(cut(data, size)) == DATA
    assert unpacked([memoryview(data), b""]) == DATA  # type: ignore[list-item]


@packed
def test_data_that_is_cut_off_anywhere_is_not_taken_for_whole(name: str) -> None:
    data = PACKED[name]
    whole = {*accumulate(map(len, PARTS[name]))}
    ends = {*range(4, 40), *range(40, len(data), 997), len(data) - 5, len(data) - 1}
    for end in sorted(ends - whole):
        with pytest.raises(CompressionError, match="cut off"):
            unpacked(data[:end])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(PACKED)), st.data())
def test_damaged_data_is_refused_or_unpacked_and_never_raises_anything_else(
    name: str, data: st.DataObject
) -> None:
    damaged = bytearray(PACKED[name])
    for _ in range(3):
        damaged[data.draw(st.integers(4, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(CompressionError):
        unpacked(bytes(damaged))


def test_the_first_bytes_tell_the_compression() -> None:
    assert compression(gzip.compress(b"")) == "gzip"
    assert compression(zstd(b"")) == compression(SKIPPABLE) == "zstd"
    for plain in (b"", b"\x1f", b"\x1f\x8b", b"{}", bytes(512), b"P", b"BZh9"):
        assert compression(plain) is None


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_what_unpacks_to_a_thousand_times_its_size_is_measured_in_little_memory(kind: str) -> None:
    mebibytes = 224
    head = file("zeros", size=mebibytes << 20)[0].tobuf()
    pack = gzip.compress if kind == "gzip" else zstd
    bomb = pack(head) + pack(bytes(32 << 20)) * (mebibytes // 32) + pack(END)
    assert len(bomb) < 300_000
    tracemalloc.start()
    stage_sizes: list[int] = []
    stage = unpacker(kind, lambda piece: stage_sizes.append(len(piece)))
    stage.write(bomb)
    stage.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(stage_sizes) == (mebibytes << 20) + 512 + len(END)
    assert peak < 50 << 20


def test_a_hundred_thousand_empty_members_take_no_memory_and_little_time() -> None:
    empty = gzip.compress(b"") * 20_000 + gzip.compress(b"end")
    assert unpacked(empty) == b"end"
    assert unpacked(zstd(b"") * 20_000 + zstd(b"end")) == b"end"


def test_a_window_larger_than_zstd_takes_by_itself_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28)
    out = io.BytesIO()
    with zstandard.ZstdCompressor(compression_params=parameters).stream_writer(
        out, closefd=False
    ) as writer:
        writer.write(b"x" * 1000)
    with pytest.raises(CompressionError, match="damaged zstd"):
        unpacked(out.getvalue())


def test_the_size_as_gzip_does_not_depend_on_how_data_comes() -> None:
    data = random.Random(2).randbytes(PIECE // 2) + b"docker" * 250_000
    sizes = set()
    for size in (70_001, PIECE + 1, len(data)):
        counter = GzipSize()
        for piece in cut(data, size):
            counter.write(piece)
        counter.close()
        counter.close()
        sizes.add(counter.bytes)
    assert len(sizes) == 1
    assert sizes.pop() == pytest.approx(len(gzip.compress(data, LEVEL)), rel=0.02)


def test_the_size_of_a_small_layer_as_gzip_is_about_zlibs() -> None:
    for data in (b"", b"x", DATA):
        counter = GzipSize()
        counter.write(data)
        counter.close()
        assert counter.bytes == pytest.approx(len(zlib.compress(data, LEVEL, 31)), rel=0.05, abs=9)


def test_no_thread_outlives_the_measurement_of_a_layer() -> None:
    before = threading.active_count()
    whole = [file("x", size=3 << 20)[0].tobuf(), *[MIB] * 3, END]
    found = changeset(whole, compress=True)
    assert found.gzip_bytes
    assert 3_000 < found.gzip_bytes < 10_000
    assert threading.active_count() == before
    counter = GzipSize()
    counter.write(MIB * 3)
    assert threading.active_count() > before
    counter.stop()
    assert threading.active_count() == before
