"""The tar reader, against the standard library's and against what only looks like an archive."""

import tarfile
import time
from collections.abc import Iterable
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_makers import END, cut, file, folder, header, layer, link, listed, padded, pax, symlink

from layerlab.image.tar import Kept, Member, TarError, TarStream, normal, shown

FORMATS: list[Literal[0, 1, 2]] = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def members(pieces: bytes | Iterable[bytes]) -> list[tuple[Member, bytes]]:
    """What an archive holds, with its content."""
    found: list[tuple[Member, bytes]] = []

    def visit(member: Member) -> Kept:
        at = len(found)
        found.append((member, b""))
        return Kept(lambda data: found.__setitem__(at, (member, data)))

    stream = TarStream(visit)
    for piece in [pieces] if isinstance(pieces, bytes) else pieces:
        stream.feed(piece)
    stream.close()
    return found


def only(data: bytes) -> Member:
    [(member, _)] = members(data)
    return member


def test_names_of_any_length_and_large_numbers_are_read_in_each_format() -> None:
    for format in FORMATS[1:]:
        long = "d/" * 200 + "name" * 50
        entry = file(long, b"abc", uid=2**40, gid=3_000_000, mtime=2**34)
        ((member, content),) = members(layer(entry, format=format))
        assert member == Member(long, "0", 3, 0o644, 2**40, 3_000_000, 2**34, "")
        assert content == b"abc"
        assert only(layer(link("l", long), format=format)).target == long
    # ustar has 255 characters for a name, in two fields.
    split = f"{'d' * 150}/{'n' * 90}"
    assert only(layer(file(split), format=tarfile.USTAR_FORMAT)).path == split


def test_a_time_before_1970_is_negative() -> None:
    for format in FORMATS[1:]:
        assert only(layer(file("x", mtime=-5), format=format)).mtime == -5


def test_names_that_are_not_utf_8_are_kept_and_can_be_shown() -> None:
    name = b"caf\xe9".decode(errors="surrogateescape")
    for format in FORMATS:
        member = only(layer(file(name), format=format))
        assert member.path.encode(errors="surrogateescape") == b"caf\xe9"
        assert shown(member.path).encode() == rb"caf\xdce9"
    assert shown("도커/\x1b[2J\n") == r"도커/\x1b[2J\x0a"


PATHS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    st.integers(90, 300).map("n".__mul__),
    st.integers(50, 160).map("d/".__mul__),
)
NUMBERS = st.one_of(st.integers(0, 0o7777777), st.integers(2**21, 2**50))


@st.composite
def entries(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(draw(PATHS))
    info.type = draw(st.sampled_from([b"0", b"1", b"2", b"3", b"5", b"6", b"7", b"Z"]))
    info.mode = draw(st.integers(0, 0o7777))
    info.uid, info.gid = draw(NUMBERS), draw(NUMBERS)
    info.mtime = draw(st.one_of(st.integers(-(2**33), 2**40), st.floats(1, 10**9)))
    if info.type in b"12":
        info.linkname = draw(PATHS)
    data = draw(st.binary(max_size=1300)) if info.type in b"07Z" else b""
    info.size = len(data)
    return info, data


@settings(max_examples=60, deadline=None)
@given(st.lists(entries(), max_size=5), st.sampled_from(FORMATS), st.integers(1, 2000))
def test_any_archive_holds_what_the_standard_library_says(
    written: list[tuple[tarfile.TarInfo, bytes]], format: Literal[0, 1, 2], size: int
) -> None:
    fitting = []
    for info, data in written:
        try:
            layer((info, data), format=format)
        except ValueError:
            continue  # ustar has no room for it
        fitting.append((info, data))
    archive = layer(*fitting, format=format)
    expected = [
        (
            info.name.rstrip("/"),
            "0" if info.isreg() else info.type.decode(),
            *(info.size if info.isreg() or info.type == b"Z" else 0, info.mode),
            *(info.uid, info.gid, int(info.mtime)),
            *(info.linkname if info.type in b"12" else "", content),
        )
        for info, content in listed(archive)
    ]
    found = members(cut(archive, size))
    assert [
        (member.path.rstrip("/"), *member[1:], b"" if member.kind == "Z" else content)
        for member, content in found
    ] == expected
    assert len(found) == len(fitting)


@pytest.mark.parametrize("size", [1, 7, 511, 512, 513, 4096])
def test_any_pieces_give_the_same_members(size: int) -> None:
    archive = layer(
        *(folder("a"), file("a/b", b"x" * 1500), file("d/" * 100 + "f", 512), symlink("s", "a")),
        *(file("empty"), file("도커", 511)),
    )
    assert members(cut(archive, size)) == members(archive)


def test_a_pax_header_counts_more_than_the_fields_and_the_fields_where_it_is_empty() -> None:
    archive = pax(path="real", size="3", uid="", mtime="1.9") + header(uid=b"0000007\0")
    assert only(archive + padded(b"abc") + END) == Member("real", "0", 3, 0o644, 7, 0, 1, "")
    # The last of several headers is the one that counts (Go's archive/tar).
    assert only(pax(path="a", uid="5") + pax(path="b") + header() + END)[:1] == ("b",)
    assert only(pax(GNU__sparse__name="real", path="GNUSparseFile.0/x") + header()).path == "real"


def test_a_gnu_name_counts_more_than_one_of_pax_in_either_order() -> None:
    gnu = header(type=b"L", size=b"%011o" % 5) + padded(b"gnu\0\0")
    for first, second in ((gnu, pax(path="pax")), (pax(path="pax"), gnu)):
        assert only(first + second + header()).path == "gnu"


def test_what_a_global_header_says_is_passed_over_as_engines_do() -> None:
    general = pax(path="all", mtime="5")
    general = header(type=b"g", size=general[124:136]) + general[512:]
    assert [member.path for member, _ in members(general + header() + header() + END)] == ["x", "x"]


def test_only_ustar_has_a_prefix() -> None:
    assert only(header(prefix=b"folder")).path == "folder/x"
    # GNU has times where ustar has the prefix; the oldest format has nothing.
    assert only(header(prefix=b"01234567", magic=b"ustar  \0")).path == "x"
    assert only(header(prefix=b"junk", magic=bytes(8))).path == "x"


def test_a_folder_of_the_oldest_format_is_a_file_whose_name_ends_in_a_slash() -> None:
    old = {"type": b"\0", "magic": bytes(8), "size": b"%011o" % 512}
    assert only(header(name=b"d/", **old))[1:3] == ("5", 0)
    ((member, content),) = members(header(name=b"d", **old) + b"y" * 512)
    assert (member.kind, content) == ("0", b"y" * 512)


def test_the_map_of_a_sparse_file_is_not_its_content() -> None:
    size = {"type": b"S", "magic": b"ustar  \0", "size": b"%011o" % 3, "extended": b"\1"}
    going_on = bytes(504) + b"\1" + bytes(7)
    archive = header(**size) + going_on + bytes(512) + padded(b"abc") + header() + END
    for pieces in ([archive], cut(archive, 100)):
        (sparse, content), (after, _) = members(pieces)
        assert (sparse.kind, sparse.size, content, after.path) == ("S", 3, b"abc", "x")


def test_checksums_of_signed_bytes_are_known() -> None:
    block = bytearray(header(name="도".encode()))
    total = sum(block) - sum(block[148:156]) + 8 * 32
    block[148:156] = b"%06o\0 " % (total - 256 * 3)
    assert only(bytes(block)).path == "도"


def test_links_and_folders_have_no_content_whatever_their_size_says() -> None:
    for kind in (b"1", b"2", b"3", b"4", b"5", b"6"):
        archive = header(type=kind, size=b"%011o" % 4096) + header(name=b"next")
        assert [member.size for member, _ in members(archive)] == [0, 0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no tar at all".ljust(512), "no valid tar header at byte 0"),
        (layer(file("a", 600))[:1536] + b"?" * 512, "no valid tar header at byte 1,536"),
        (layer(file("a", 600))[:700], "cut off after 700 bytes"),
        (layer(file("a", 600))[:1100], "cut off after 1,100 bytes"),
        (layer(file("a"))[:300], "cut off after 300 bytes"),
        (pax(path="a"), "cut off"),
        (header(type=b"S", extended=b"\1"), "cut off"),
        # One block of zeros is no end; engines refuse what follows.
        (bytes(512) + header(), "no valid tar header at byte 512"),
        (header(size=b"-0000000005\0"), "bad number at byte 0"),
        (header(size=b"0_1\0"), "bad number"),
        (header(size=b"99999999999\0"), "bad number"),
        (header(size=b"\xff" * 12), "bad number"),
        (header(size=b"\x80" + b"\xff" * 11), "bad number"),
        (header(type=b"L", size=b"\xff" * 12), "-1 bytes of attributes"),
        (header(mode=b"rwxr-xr\0"), "bad number"),
        (pax(size="-1") + header(), "bad number"),
        (pax(size="1" * 5000) + header(), "bad number"),
        (pax(size="1_0") + header(), "bad number"),
        (pax(size="٣") + header(), "bad number"),
        (pax(mtime="nan") + header(), "bad number"),
        (pax(mtime="inf") + header(), "bad number"),
        (pax(mtime="1e400") + header(), "bad number"),
        (pax(uid="9" * 19) + header(), "bad number"),
        (pax(path="a\0b") + header(), "pax header"),
        (header(type=b"x", size=b"%011o" % 4) + padded(b"99 a"), "pax header"),
        (header(type=b"x", size=b"%011o" % 6) + padded(b"-6 a=\n"), "pax header"),
        (header(type=b"x", size=b"%011o" % 6) + padded(b"06a=b\n"), "pax header"),
        (header(type=b"g", size=b"%011o" % 6) + padded(b"5 a=bc"), "pax header"),
        (header(type=b"x", size=b"%011o" % (2 << 20)), "2,097,152 bytes of attributes"),
        (header(type=b"L", size=b"\x80" + b"\x7f" * 11), "bad number"),
        (pax(path="d/" * 20_000) + header(), "a path that no file system takes"),
        (pax(linkpath="d" * 20_000) + header(type=b"2"), "a path that no file system takes"),
    ],
)
def test_what_is_no_archive_is_said_in_a_clause(data: bytes, says: str) -> None:
    for pieces in ([data], cut(data, 100)):
        with pytest.raises(TarError, match=says):
            members(pieces)


def test_an_empty_archive_is_one_and_what_follows_its_end_is_no_part_of_it() -> None:
    assert members(b"") == members(END) == members(END + b"anything") == []
    assert len(members(header() + END + header())) == 1


def test_what_goes_wrong_in_a_visitor_is_not_called_a_damaged_archive() -> None:
    def visit(member: Member) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        TarStream(visit).feed(header())


def test_many_small_pax_records_take_no_time() -> None:
    records = b"6 k=v\n" * 70_000
    archive = header(type=b"x", size=b"%011o" % len(records)) + padded(records) + header()
    begun = time.perf_counter()
    assert only(archive).path == "x"
    assert time.perf_counter() - begun < 2


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_archive_is_refused_or_read_and_never_hangs(data: st.DataObject) -> None:
    archive = bytearray(
        pax(path="a", size="5") + header() + padded(b"12345") + layer(file("n" * 120, 700))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):  # with a checksum that hides it
            start = data.draw(st.sampled_from([0, 1024, 2048]))
            block = archive[start : start + 512]
            block[148:156] = b" " * 8
            archive[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    archive = archive[: data.draw(st.integers(0, len(archive)))]
    try:
        members(bytes(archive))
    except TarError:
        return


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("usr/bin", "usr/bin"),
        ("/usr//bin/", "usr/bin"),
        ("./usr/./bin", "usr/bin"),
        ("usr/../bin", "bin"),
        ("a/b/../../c", "c"),
        ("..a/b../...", "..a/b../..."),
        ("", ""),
        (".", ""),
        ("/", ""),
        ("./", ""),
        ("a/..", ""),
        ("..", None),
        ("../etc", None),
        ("/../etc", None),
        ("a/../../b", None),
    ],
)
def test_a_path_is_below_the_root_or_nowhere(path: str, expected: str | None) -> None:
    assert normal(path) == expected


@given(st.text(st.sampled_from("./a\n"), max_size=12))
def test_a_tidy_path_stays_and_an_untidy_one_becomes_tidy(path: str) -> None:
    if tidy := normal(path):
        assert normal(tidy) == tidy
        assert not {"", ".", ".."} & set(tidy.split("/"))
