"""Archives, layers and needles at random: read, or refused in a sentence, however they are cut.

`pytest --hypothesis-profile=long` tries far more examples (tests/conftest.py).
"""

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from image_makers import (
    END,
    blob_path,
    changeset,
    classic,
    cut,
    file,
    folder,
    header,
    image,
    layer,
    link,
    made,
    modern,
    oci,
    packed,
    padded,
    pax,
    symlink,
    whiteout,
    zstd,
)

from layerlab.errors import LabError
from layerlab.image.compression import CompressionError, unpacker
from layerlab.image.document import texts
from layerlab.image.needles import MASK, Needles, read_patterns, read_values
from layerlab.image.scan import Scan
from layerlab.image.tar import Kept, Member, TarError, TarStream, normal
from layerlab.image.tree import Tree

MEMBERS = st.sampled_from(
    (
        *(header(), header(name=b"a/", type=b"5"), header(name=b".wh.a"), header(name=b"../../x")),
        *(header(name=b".wh..wh..opq"), header(name=b"\xff\x1b[2J"), header(name=b"")),
        *(header(type=kind) for kind in (b"1", b"2", b"3", b"7", b"Z", b"\0", b"g", b"x", b"L")),
        *(header(size=size) + b"y" * 512 for size in (b"%011o" % 512, b"%011o" % 3, b"\x80" + b"\0" * 11)),
        *(header(size=size) for size in (b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7, b"77777777777")),
        header(type=b"S", size=b"%011o" % 3, extended=b"\1") + bytes(512) + padded(b"abc"),
        *(pax(path="p/q"), pax(path="/"), pax(size="5"), pax(uid="-1"), pax(mtime="1e9", path="..")),
        *(pax(GNU__sparse__name="s"), header(type=b"K", size=b"%011o" % 3) + padded(b"abc")),
        *(header(name=b"a-1.dist-info/RECORD", size=b"%011o" % 3) + padded(b"\xff,,"), END, bytes(512)),
        *(b"junk" * 128, b"x", layer(file("n" * 200, 700), link("l", "../.."), symlink("s", "/"))),
    )
)  # fmt: skip


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    data = bytearray(b"".join(draw(st.lists(MEMBERS, max_size=6))))
    for _ in range(draw(st.integers(0, 2))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


def outcome(read: Callable[[Iterable[bytes]], Any], pieces: Iterable[bytes]) -> Any:
    """What came of it: a result, or the sentence that it was refused with."""
    try:
        return read(pieces)
    except (TarError, CompressionError, LabError) as error:
        sentence = str(error)
    check_sentence(sentence)
    return sentence


def check_sentence(sentence: str) -> None:
    """One line that can be written anywhere."""
    assert "\n" not in sentence
    assert len(sentence) < 1_000
    sentence.encode()


def members(pieces: Iterable[bytes]) -> list[tuple[Member, bytes]]:
    found: list[tuple[Member, bytes]] = []

    def visit(member: Member) -> Kept:
        at = len(found)
        found.append((member, b""))
        return Kept(lambda data: found.__setitem__(at, (member, data)))

    stream = TarStream(visit)
    for piece in pieces:
        stream.feed(piece)
    stream.close()
    return found


@given(archives(), st.sampled_from([1, 3, 100, 511, 512, 513, 1000]))
def test_any_archive_has_one_outcome_however_it_is_cut(data: bytes, size: int) -> None:
    for read in (members, changeset):
        whole = outcome(read, [data])
        assert outcome(read, cut(data, size)) == whole
    found = outcome(members, [data])
    for member, content in found if isinstance(found, list) else []:
        assert len(content) == member.size <= len(data)
    layer = outcome(changeset, [data])
    if not isinstance(layer, str):
        assert layer.tar_bytes == len(data)
        assert sum(entry.bytes for entry in layer.entries) <= len(data)
        for entry in layer.entries:
            assert normal(entry.path) == entry.path
            assert 0 <= entry.mode <= 0o7777


@given(archives(), archives())
def test_any_layers_make_a_tree_of_no_more_than_they_hold(below: bytes, above: bytes) -> None:
    base = layer(folder("a"), file("a/b", 3), file("x", 9), whiteout("p"))
    read = [outcome(changeset, [data]) for data in (base, below, above)]
    if any(isinstance(one, str) for one in read):
        return
    grown = Tree(read)
    held = sum(entry.bytes for one in read for entry in one.entries)
    seen = {id(one.file): one.file.entry.bytes for one in grown.nodes.values() if one.file}
    hidden = sum(one.file.entry.bytes for one in grown.hidden)
    assert sum(seen.values()) + hidden <= held
    for path, node in grown.nodes.items():
        assert node.path == path == normal(path)


@given(
    st.sampled_from(["gzip", "zstd"]),
    archives(),
    st.lists(st.tuples(st.integers(4, 300), st.integers(1, 255)), max_size=3),
    st.sampled_from([1, 7, 100]),
)
def test_compressed_data_has_one_outcome_however_it_is_cut(
    kind: str, data: bytes, damages: list[tuple[int, int]], size: int
) -> None:
    pack = gzip.compress if kind == "gzip" else zstd
    packed = bytearray(pack(data) + pack(b"") + pack(data[:50]))
    for at, damage in damages:
        packed[at % (len(packed) - 4) + 4] ^= damage

    def read(pieces: Iterable[bytes]) -> bytes:
        found: list[bytes] = []
        stage = unpacker(kind, lambda piece: found.append(bytes(piece)))
        for piece in pieces:
            stage.write(piece)
        stage.close()
        return b"".join(found)

    whole, pieces = (outcome(read, one) for one in ([bytes(packed)], cut(bytes(packed), size)))
    # Which of two damages is met first may depend on the cut. libzstd checks more of a frame that it gets
    # whole; a layer's sha256 tells what it lets pass.
    assert type(whole) is type(pieces) or kind == "zstd"
    assert str in (type(whole), type(pieces)) or whole == pieces


WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
LAYER = layer(file("a", 3))
MADE = made(LAYER)
FORMS = {
    "manifest.json": classic(MADE),
    "index.json": oci(MADE),
    "both": modern(MADE),
}


@given(st.sampled_from(sorted(FORMS)), st.data())
def test_any_manifest_or_configuration_is_read_or_refused(form: str, data: st.DataObject) -> None:
    """One value somewhere in one document is another."""
    files = {
        member.path: content for member, content in members([FORMS[form]]) if member.kind == "0"
    }
    documents = sorted(path for path, text in files.items() if text[:1] in (b"{", b"["))
    path = data.draw(st.sampled_from(documents))
    content = json.loads(files[path])
    changed = _changed(content, data)
    text = json.dumps(changed).encode(errors="surrogatepass")
    name = path
    if path.startswith("blobs/"):  # a blob is called by its digest
        name = blob_path(text)
        old, new = path.rpartition("/")[2].encode(), name.rpartition("/")[2].encode()
        files = {one: whole.replace(old, new) for one, whole in files.items()}
    files.pop(path)
    found = outcome(lambda pieces: image(pieces), [packed({**files, name: text})])
    if not isinstance(found, str):
        assert found.totals.file_bytes == 3
        assert "\ud800" not in f"{found.history}"


def _changed(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, dict) and value and data.draw(st.integers(0, 5)):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: _changed(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 5)):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], _changed(value[at], data), *value[at + 1 :]]
    return data.draw(WILD | st.sampled_from(["a\ud800b", "../../etc", "sha256:x", [], {}, 10**400]))


NEEDLES = st.lists(
    st.binary(min_size=4, max_size=12) | st.sampled_from([b"abab", b"a\xffb\x00", MASK.encode()]),
    min_size=1,
    max_size=4,
)
TEXTS = st.text(st.characters(exclude_categories=[]), max_size=60)


@given(NEEDLES, TEXTS, st.integers(1, 9))
def test_any_values_are_found_wherever_they_are_cut_and_masked(
    values: list[bytes], text: str, size: int
) -> None:
    clean = [value.replace(b"\n", b"x").replace(b"\r", b"y") for value in values]
    needles = Needles(read_values(b"\n".join(clean)))
    data = text.encode(errors="surrogatepass") + b"".join(clean) + b"abab" * 3
    whole = sorted((one.start, one.end, one.needle.number) for one in needles.find(data))
    found: list[tuple[int, int, int]] = []
    scan = Scan(needles, lambda one: found.append((one.start, one.end, one.needle.number)), block=8)
    for piece in cut(data, size):
        scan.write(piece)
    scan.close()
    assert sorted(found) == whole
    assert {number for _, _, number in whole} == {*range(1, len(clean) + 1)}
    masked = needles.mask(text + clean[0].decode(errors="surrogateescape") + text)
    for value in clean:
        if MASK.encode()[:1] not in value:
            assert value not in masked.encode(errors="surrogateescape")
    needles.mask_cut(text)


PATTERNS = st.lists(
    st.sampled_from(
        (
            *(b"a", b"(", b")", b"[", b"]", b"{9,", b"}", b"*", b"+", b"?", b"|", b"\\", b"^", b"$"),
            *(b"(?a)", b"(?L)", b"(?i:", b"(?u)", b"(?<=", b"(?P<n>", b"(?P=n)", b"\\1", b"\\x", b"#"),
            *(b"\xff", b"\0", b"{4294967295}", b"[b-a]", b"[[:", b"(?#", b"\n", b"." * 4097, b"(" * 300),
        )
    ),
    max_size=8,
).map(b"".join)  # fmt: skip


@given(st.one_of(st.binary(max_size=30), PATTERNS))
@example(b"(?a)(?L)x")
@example(b"(" * 4000)
def test_any_patterns_are_read_or_refused_without_a_word_of_them(text: bytes) -> None:
    for read in (read_patterns, read_values):
        try:
            needles = Needles(read(text))
        except LabError as error:
            check_sentence(str(error))
        else:
            assert needles.needles
            assert list(needles.find(b"")) == []


@given(WILD)
def test_all_texts_of_any_document_are_looked_at(content: Any) -> None:
    found = [text for _, text in texts(content)]
    rest = json.dumps(content, ensure_ascii=False)
    for text in found:
        assert json.dumps(text, ensure_ascii=False) in rest


def test_a_layer_of_many_small_lies_fills_no_memory() -> None:
    """Each header promises a petabyte, or a megabyte of attributes."""
    for lie in (
        header(size=b"\x80" + b"\0" * 4 + b"\x04" + b"\0" * 6),
        header(type=b"L", size=b"%011o" % (1 << 20)),
        pax(path="n" * 9_000) + header(),
    ):
        tracemalloc.start()
        outcome(changeset, [lie * 500])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40 << 20


def test_nesting_that_has_no_end_is_refused() -> None:
    deep = b"[" * 200_000
    with pytest.raises(LabError, match="can't be read"):
        image(packed({"manifest.json": deep}))
