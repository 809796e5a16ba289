"""Saved images, read as they stream: every form that engines write, and whatever else may come."""

import gzip
import json
import os
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_makers import (
    END,
    MIB,
    blob_path,
    changeset,
    classic,
    cut,
    file,
    folder,
    header,
    image,
    images,
    layer,
    link,
    made,
    modern,
    oci,
    opened,
    packed,
    padded,
    pax,
    recorded,
    sha,
    stargz,
    symlink,
    whiteout,
    zstd,
)

from layerlab.build.dockerfile import parse
from layerlab.errors import LabError
from layerlab.image import archive, manifest, waste
from layerlab.image import changeset as changesets
from layerlab.image.archive import Blob
from layerlab.image.layers import Image, from_dockerfile
from layerlab.image.reader import read
from layerlab.image.tree import Tree

STREAMS = Path(__file__).parent / "streams"
BELOW = layer(
    folder("app"), file("app/main.py", 700), file("app/data", 3000), link("app/l", "app/data")
)
ABOVE = layer(file("app/main.py", 701), whiteout("app/data"))
MADE = made(
    *(BELOW, ABOVE, layer(), BELOW),
    history=(
        ("/bin/sh -c #(nop) ADD file:1 in / ", True),
        ("ENV A=1", False),
        ("RUN /bin/sh -c make # buildkit", True),
        ("WORKDIR /app", True),
        ("COPY . /app # buildkit", True),
        ('CMD ["python3"]', False),
    ),
)
FORMS: dict[str, Any] = {
    "classic": lambda *made: classic(*made),
    "modern": lambda *made: modern(*made),
    "layout, gzip": lambda *made: oci(*made),
    "layout, zstd": lambda *made: oci(*made, pack=zstd),
    "layout, many gzip members": lambda *made: oci(*made, pack=stargz),
    "layout, plain": lambda *made: oci(*made, pack=bytes),
    "layout, one index more": lambda *made: oci(*made, nested=True),
    "all of it gzip": lambda *made: gzip.compress(classic(*made)),
    "all of it zstd": lambda *made: zstd(modern(*made)),
}
form = pytest.mark.parametrize("form", FORMS)


def seen(found: Image) -> list[tuple[int, str, int, int, int]]:
    return [
        (
            *(one.position, one.instruction, one.changeset.tar_bytes),
            *(one.changeset.file_bytes, one.changeset.files),
        )
        for one in found.layers
    ]


@form
def test_each_layer_has_its_instruction_bytes_and_files(form: str) -> None:
    found = image(FORMS[form](MADE))
    assert seen(found) == [
        (1, "ADD file:1 in /", len(BELOW), 3700, 2),
        (2, "RUN make", len(ABOVE), 701, 1),
        (3, "WORKDIR /app", 1024, 0, 0),
        (4, "COPY . /app", len(BELOW), 3700, 2),
    ]
    assert [one.changeset.digest[7:] for one in found.layers] == [*map(sha, MADE.layers)]
    assert found.digest == f"sha256:{sha(MADE.config)}"
    assert found.platform == "linux/amd64"
    assert found.name in ("made:1", "docker.io/library/made:1")
    assert found.totals.unpacked_bytes == 2 * len(BELOW) + len(ABOVE) + 1024
    assert found.totals.file_bytes == 8101


@form
def test_pieces_of_any_size_give_the_same_image(form: str) -> None:
    data = FORMS[form](MADE)
    whole = image(data)
    for size in (1, 7, 511, 512, 513, 4096) if len(data) < 30_000 else (7, 513):
        assert image(cut(data, size)) == whole


def test_a_layers_compressed_bytes_are_those_of_the_archive_or_measured() -> None:
    stored = image(oci(MADE))
    assert stored.layers[0].stored == (len(gzip.compress(BELOW)), "gzip")
    assert stored.totals.compressed_bytes == sum(len(gzip.compress(x)) for x in MADE.layers)
    assert stored.compression == "gzip, as stored"
    assert image(oci(MADE, pack=zstd)).layers[0].stored == (len(zstd(BELOW)), "zstd")
    assert image(classic(MADE)).totals.compressed_bytes is None
    measured = image(classic(MADE), compress=True)
    assert measured.compression == "gzip -6"
    assert measured.layers[0].compressed_bytes == pytest.approx(len(gzip.compress(BELOW)), abs=60)


REAL = (
    *("20.10-overlay2", "26.1-containerd-attested", "28.5-overlay2", "28.5-containerd-zstd"),
    "oci-gzip",
)


@pytest.mark.parametrize("name", REAL)
def test_what_real_engines_saved(name: str) -> None:
    dockerfile = parse((STREAMS / "saved.Dockerfile").read_text())
    found = from_dockerfile(image(recorded(name)), dockerfile)
    assert [(one.line, one.instruction.split()[0]) for one in found.layers] == [
        *((5, "COPY"), (6, "RUN"), (7, "WORKDIR")),
    ]
    assert [one[2:] for one in seen(found)] == [(13824, 8036, 4), (4608, 28, 1), (1536, 0, 0)]
    hidden = waste.find(Tree(one.changeset for one in found.layers))
    assert [(w.path, w.bytes, w.how) for w in hidden] == [
        *(("data/b.txt", 5000, "removed"), ("data/a.txt", 19, "overwritten")),
    ]
    # A recording is itself a whole archive as gzip.
    assert (
        image((STREAMS / f"saved-{name}.tar.gz").read_bytes()).layers
        == image(recorded(name)).layers
    )


def test_an_equal_layer_that_an_older_engine_linked_before_it_came() -> None:
    found = image(recorded("20.10-overlay2-dup"))
    assert [one.changeset.tar_bytes for one in found.layers] == [13824, 2560, 1024, 1024]
    assert found.layers[2].changeset == found.layers[3].changeset


def test_several_images_share_their_layers() -> None:
    other = made(BELOW, layer(file("x", 5)), tag="other:2")
    for form in (classic, modern, oci):
        first, second = images(form(MADE, other))
        assert (len(first.layers), len(second.layers)) == (4, 2)
        assert second.name.endswith("other:2")
        assert first.layers[0].changeset == second.layers[0].changeset


def test_layers_that_are_known_are_passed_over() -> None:
    data = modern(MADE)
    blob = Blob(changeset(BELOW), len(BELOW), None)
    asked: list[str] = []

    def known(path: str) -> Blob | None:
        asked.append(path)
        return blob if path == blob_path(BELOW) else None

    found = read([data], "x", compress=False, known=known)
    assert found.layers[blob_path(BELOW)] is blob
    assert manifest.images(found, "x") == images(data)
    assert {blob_path(BELOW), "manifest.json"} <= {*asked}


def test_an_image_with_no_layers_is_one() -> None:
    for form in (classic, modern, oci):
        found = image(form(made(history=(("CMD x", False),))))
        assert found.layers == ()
        assert found.totals.unpacked_bytes == found.totals.compressed_bytes == 0
        assert found.compression == "no layers"


def test_a_layer_of_no_bytes_at_all_has_no_files() -> None:
    assert seen(image(modern(made(BELOW, b""))))[1][2:] == (0, 0, 0)


def test_names_that_are_not_utf_8_are_read() -> None:
    name = "caf\udce9"
    below = layer(folder(name), file(f"{name}/x", 5), format=1)
    found = image(classic(made(below, layer(whiteout(f"{name}/x"), format=1))))
    [one] = waste.find(Tree(layer.changeset for layer in found.layers))
    assert one.path == f"{name}/x"


def refused(data: bytes | list[bytes], says: str | None) -> str:
    with pytest.raises(LabError, match=says) as caught:
        images(data)
    sentence = str(caught.value)
    sentence.encode()
    assert sentence.startswith("saved.tar") or "of saved.tar" in sentence
    assert len(sentence) < 900
    assert sentence.isprintable()
    return sentence


def swapped(data: bytes, old: bytes, new: bytes) -> bytes:
    """An archive with the content of one file exchanged for another of the same length."""
    assert len(old) == len(new)
    assert data.count(old) == 1
    return data.replace(old, new)


def test_a_layer_with_a_wrong_digest_is_named() -> None:
    data = swapped(
        modern(made(BELOW, ABOVE)), ABOVE, layer(file("app/main.py", b"y" * 701), whiteout("x"))
    )
    assert "layer 2 is damaged" in refused(data, "configuration says")


def test_a_damaged_configuration_is_found_in_every_form() -> None:
    for form in (classic, modern, oci):
        refused(form(MADE).replace(b"ENV A=1", b"ENV A=2"), "damaged")


@form
def test_an_archive_that_is_cut_off_anywhere_is_refused(form: str) -> None:
    data = FORMS[form](MADE)
    end = len(data) - (len(END) if data[257:262] == b"ustar" else 1)
    for place in [0, 1, 5, 300, 512, 513, *range(1000, end, max(512, end // 40)), end]:
        refused(data[:place], r"cut off|is empty|no valid tar|damaged gzip")


def test_a_layer_that_is_cut_off_is_named() -> None:
    short = BELOW[:2000]
    where = blob_path(short)
    for form in (modern, lambda made: oci(made, pack=bytes)):
        assert where in refused(form(made(short)), "cut off after 2,000 bytes")
    packed_short = [gzip.compress(BELOW)[:-9], zstd(BELOW)[:-5]]
    for data in packed_short:
        assert blob_path(data) in refused(oci(made(BELOW), pack=lambda _, d=data: d), "cut off")
    for pack in (gzip.compress, zstd):
        refused(oci(made(short), pack=pack), "cut off after 2,000 bytes")


def test_a_layer_that_is_no_layer_is_named() -> None:
    junk = b"junk" * 300
    assert blob_path(junk) in refused(modern(made(BELOW, junk)), "neither a tar archive nor gzip")
    damaged = BELOW[:2048] + b"?" * 512 + BELOW[2560:]
    refused(modern(made(damaged)), "no valid tar header at byte 2,048")
    refused(oci(made(BELOW), pack=lambda d: gzip.compress(d)[:60] + b"?" * 60), "damaged gzip")
    refused(oci(made(BELOW), pack=lambda d: zstd(d) + b"?" * 60), "damaged zstd")


def test_a_manifest_that_names_what_is_not_there() -> None:
    for form in (classic, modern):
        data = form(made(BELOW, layer(file("y", 5))))
        index = data.rindex(b'"Layers":["') + 25
        refused(data[:index] + b"!" + data[index + 1 :], "lacks layer 1")
    refused(packed({"manifest.json": b'[{"Config":"no.json","Layers":[]}]'}), "lacks no.json")
    refused(
        packed({"index.json": b'{"manifests":[{"digest":"sha256:1"}]}'}), "lacks blobs/sha256/1"
    )


def test_what_is_no_saved_image_says_what_to_do() -> None:
    refused(layer(file("etc/passwd", 5), folder("bin")), "save one with `docker save`")
    refused(b"#!/bin/sh\n" * 100, "no valid tar header at byte 0")
    refused(b"", "is empty")
    refused([b"", b""], "is empty")
    refused(packed({"manifest.json": b"[]"}), "holds no image")
    refused(packed({"manifest.json": b""}), "neither manifest.json")


@pytest.mark.parametrize(
    "text",
    [
        *("null", "5", '"text"', "{}", "[null]", "[5]", '["text"]', "[{}]", "[[]]", "{", "\xff"),
        *('[{"Config":null}]', '[{"Config":"c","Layers":5}]', '[{"Config":"c","Layers":{"a":1}}]'),
        *('[{"Config":"c","Layers":"text"}]', '[{"Config":"c","RepoTags":5}]', "1" * 5000),
        *('[{"Config":"c","RepoTags":{"a":1}}]', "[" * 100_000, '{"manifests":{"a":1}}'),
        '[{"Config":"c","Layers":["\\ud800\\u001b[2J"]}]',
        *('{"manifests":[null]}', '{"manifests":[{}]}', '{"manifests":[{"digest":5}]}'),
        '{"manifests":[{"digest":"sha256:c","annotations":[]}]}',
        '{"manifests":[{"digest":"sha256:c","platform":"text"}]}',
    ],
)
def test_a_manifest_of_another_shape_is_refused(text: str) -> None:
    content = text.encode("latin-1")
    for name in ("manifest.json", "index.json"):
        refused(
            packed({"c": b'{"config":{"digest":"x"}}', "blobs/sha256/c": b"{}", name: content}),
            None,
        )


@pytest.mark.parametrize(
    "config",
    [
        *("null", "5", "[]", '"text"', "{", '{"rootfs":5}', '{"rootfs":[]}', "{}", "[" * 100_000),
        *('{"rootfs":{"diff_ids":5}}', '{"rootfs":{"diff_ids":null}}', '{"rootfs":null}'),
        '{"rootfs":{"diff_ids":["sha256:\\ud800\\u001b"]}}',
        *('{"rootfs":{"diff_ids":[null]}}', '{"rootfs":{"diff_ids":{"a":1}}}'),
    ],
)
def test_a_configuration_of_another_shape_is_refused(config: str) -> None:
    data = packed(
        {
            "l": BELOW,
            "c.json": config.encode(),
            "manifest.json": b'[{"Config":"c.json","Layers":["l"]}]',
        }
    )
    refused(data, None)


@pytest.mark.parametrize("history", ["5", '"ab"', "[null]", '[["a"]]', '{"a":1}'])
def test_a_history_of_another_shape_is_refused_and_one_of_another_length_left_out(
    history: str,
) -> None:
    def saved(history: str) -> bytes:
        config = f'{{"rootfs":{{"diff_ids":["sha256:{sha(BELOW)}"]}},"history":{history}}}'
        listed = b'[{"Config":"c.json","RepoTags":null,"Layers":["l"]}]'
        return packed({"l": BELOW, "c.json": config.encode(), "manifest.json": listed})

    refused(saved(history), "can't be read")
    for other in ("null", "[]", "[{}, {}]", '[{"empty_layer": true}]'):
        assert image(saved(other)).layers[0].instruction == ""
    assert image(saved('[{"created_by":5}]')).layers[0].instruction == "5"
    shown = image(saved('[{"created_by":"RUN \\ud800도커"}]')).layers[0].instruction
    assert shown == r"RUN \ud800도커"
    assert image(saved("[]")).name == "saved.tar"


def test_links_of_the_archive_lead_nowhere_else() -> None:
    config = made(BELOW).config
    listed = json.dumps([{"Config": "c", "Layers": ["a/layer.tar"]}]).encode()
    parts: dict[str, bytes | str] = {"c": config, "manifest.json": listed}
    assert seen(image(packed({**parts, "a/layer.tar": "../b/x", "b/x": BELOW})))[0][3] == 3700
    for target in ("../../../etc/passwd", "/etc/passwd", "../a/layer.tar", ".", None):
        refused(packed({**parts, "a/layer.tar": target or "nothing"}), "lacks layer 1")
    refused(packed({"manifest.json": "manifest.json"}), "neither manifest.json")
    refused(packed({"manifest.json": "b", "b": "c", "c": "manifest.json"}), "neither manifest.json")
    # What lies outside is never looked at, not even by a link that leads there.
    stray = layer(file("../x", BELOW), file("manifest.json", listed), file("c", config))
    refused(stray, "lacks layer 1")


def test_absolute_paths_in_the_archive_are_below_its_root() -> None:
    listed = json.dumps([{"Config": "/c", "Layers": ["./l"]}]).encode()
    data = layer(
        *(file("/l", BELOW), file("./c", made(BELOW).config), file("//manifest.json", listed))
    )
    with pytest.raises(LabError, match="lacks /c"):
        image(data)
    assert image(data.replace(b'"/c"', b' "c"').replace(b'"./l"', b'  "l"')).layers


_WRITES = {"os.mkdir", "os.symlink", "os.link", "os.rename", "os.remove", "os.rmdir", "os.chmod"}
_watched: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    opened_to_write = event == "open" and (arguments[2] or 0) & (
        os.O_WRONLY | os.O_RDWR | os.O_CREAT
    )
    if _watched is not None and (opened_to_write or event in _WRITES):
        _watched.append(f"{event} {arguments}")


sys.addaudithook(_watch)  # it can't be taken away again, so it does nothing by itself


@contextmanager
def writes() -> Iterator[list[str]]:
    """What is written anywhere meanwhile."""
    global _watched
    found: list[str] = []
    _watched = found
    try:
        yield found
    finally:
        _watched = None


def test_nothing_is_written_anywhere(tmp_path: Path) -> None:
    hostile = layer(
        *(file("../../../../tmp/evil", 5), file("/tmp/evil", 5), symlink("up", "../../..")),
        *(file("up/evil", 5), link("h", "../../etc/passwd"), folder("..")),
    )
    with writes() as found:
        one = image(classic(made(hostile, layer(whiteout("up"), whiteout("../x")))))
        waste.find(Tree(layer.changeset for layer in one.layers))
    assert found == []
    assert one.layers[0].changeset.stray == ("../../../../tmp/evil", "../")
    with writes() as found:
        (tmp_path / "x").write_text("it would be seen")
    assert len(found) == 1


def test_a_layer_that_unpacks_to_more_than_the_limit_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changesets, "MOST_BYTES", 8192)
    large = layer(file("zeros", 100_000))
    for form in FORMS.values():
        refused(form(made(large)), "unpacks to more than 0 GiB: it is not read any further")
    assert image(classic(made(BELOW))).layers


def test_a_layer_of_too_many_entries_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changesets, "MOST_MEMBERS", 9)
    many = [file(f"f{n}") for n in range(10)]
    assert image(classic(made(layer(*many[:9])))).layers[0].changeset.files == 9
    refused(classic(made(layer(*many))), "more than 9 entries")
    # Paths that lead out of the image take memory, too.
    refused(classic(made(layer(*[file("../x")] * 10))), "more than 9 entries")
    monkeypatch.setattr(changesets, "MOST_CHARACTERS", 1_000)
    refused(classic(made(layer(*[file("x" * 300)] * 4))), "entries")


def test_layers_that_are_too_much_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [layer(*(file(f"{n}{i}") for i in range(5))) for n in range(3)]
    monkeypatch.setattr(archive, "MOST_MEMBERS", 12)
    refused(modern(made(*layers)), "more than 12 entries")
    monkeypatch.undo()
    monkeypatch.setattr(archive, "MOST_UNPACKED_BYTES", 7_000)
    refused(modern(made(*layers)), "0 GiB")
    # The archive itself may be one that unpacks to more than it looks like.
    refused([gzip.compress(layer(file(f"x{n}", b"{" * 3000))[:-1024]) for n in range(9)], "0 GiB")


def test_many_files_that_are_no_layers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_DOCUMENT_BYTES", 200_000)
    says = "MiB of files that are no layers"
    refused(layer(*(file(f"d{n}", b"{" * 60_000) for n in range(4))), says)
    refused(layer(*(file(f"d{n}", b"{}") for n in range(1_000))), says)
    refused(layer(*(symlink(f"d{n}", "x" * 90) for n in range(700))), says)


def test_a_large_file_that_is_no_layer_takes_no_memory_and_does_not_matter() -> None:
    """Such as the list of all that an image is made of, which BuildKit may attach."""
    info, _ = file(f"blobs/sha256/{'a' * 64}", size=40 << 20)
    large = [info.tobuf(), *[b"{" * (1 << 20)] * 40, modern(MADE)]
    tracemalloc.start()
    found = image(large)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.layers) == 4
    assert peak < 10 << 20


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_a_layer_like_a_zip_bomb_is_measured_in_little_memory(pack: Any) -> None:
    mebibytes = 192
    head = file("zeros", size=mebibytes << 20)[0].tobuf()
    bomb = pack(head) + pack(MIB * 32) * (mebibytes // 32) + pack(END)
    data = layer(file("blobs/sha256/bomb", bomb))
    tracemalloc.start()
    found = opened(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.layers["blobs/sha256/bomb"].changeset.file_bytes == mebibytes << 20
    # How far reading is ahead of hashing depends on the machine, and is bounded.
    assert peak < 120 << 20


def test_records_that_are_too_long_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [file(f"p{n}-1.dist-info/RECORD", b"x" * 1000) for n in range(4)]
    monkeypatch.setattr(changesets, "MOST_RECORD_BYTES", 2500)
    assert [*changeset(layer(*records)).records] == [
        "p0-1.dist-info/RECORD",
        "p1-1.dist-info/RECORD",
    ]
    monkeypatch.setattr(changesets, "LONGEST_RECORD", 999)
    found = changeset(layer(*records, symlink("q.dist-info/RECORD", "x")))
    assert found.records == {}
    assert found.file_bytes == 4000


def test_a_list_that_names_a_layer_or_an_image_without_end_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = layer()
    refused(modern(made(*[empty] * 600)), "600 layers")
    config = made(empty).config
    entry = {"Config": "c", "Layers": ["l"]}
    listed = json.dumps([entry] * 2_000).encode()
    refused(packed({"c": config, "l": empty, "manifest.json": listed}), "lists 2,000 images")


def threads_after(data: bytes | list[bytes] | Iterator[bytes]) -> int:
    before = threading.active_count()
    with pytest.raises((LabError, KeyboardInterrupt)):
        images(data, compress=True)
    return threading.active_count() - before


def test_no_thread_is_left_when_reading_fails() -> None:
    large = layer(file("x", 3 << 20))
    start = modern(made(large)).partition(large)[0] + large[: 2 << 20]
    whole = modern(made(large))

    def interrupted() -> Iterator[bytes]:
        yield start
        raise KeyboardInterrupt

    assert threads_after(start) == 0
    assert threads_after(interrupted()) == 0
    assert threads_after(whole.replace(END, b"?" * 1024, 1)) == 0
    assert threads_after(oci(made(large), pack=lambda d: gzip.compress(d)[:-9])) == 0
    assert threads_after(oci(made(large[:-1024] + header(size=b"\xff" * 12)))) == 0


def test_what_follows_the_end_is_passed_over() -> None:
    data = classic(MADE)
    assert image(data + bytes(9_000) + b"junk") == image(data)
    assert image(gzip.compress(data) + gzip.compress(bytes(5_000))) == image(data)


SOURCES = {
    "classic": classic(MADE),
    "modern": modern(MADE),
    "gzip": oci(MADE),
    "zstd": oci(MADE, pack=zstd),
    "all gzip": gzip.compress(classic(MADE)),
}


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(SOURCES)), st.data())
def test_a_damaged_archive_is_refused_or_the_damage_did_not_matter(
    name: str, data: st.DataObject
) -> None:
    damaged = bytearray(SOURCES[name])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        if data.draw(st.booleans()):
            damaged[place] ^= data.draw(st.integers(1, 255))
        else:
            del damaged[place : place + data.draw(st.integers(1, 2000))]
            damaged.append(0)
    try:
        found = images(bytes(damaged))
    except LabError as error:
        str(error).encode()
        return
    for one in found:
        assert seen(one) == seen(image(SOURCES["classic"]))
        assert one.digest == f"sha256:{sha(MADE.config)}"


def test_pax_headers_of_the_archive_itself_are_read() -> None:
    data = modern(MADE)
    assert image(pax(mtime="1.5") + data) == image(data)
    assert image(header(name=b"x", size=b"%011o" % 3) + padded(b"abc") + data) == image(data)
