"""Where an image's bytes are: by folder and by Python distribution."""

from hypothesis import given, settings
from hypothesis import strategies as st
from image_makers import (
    Entry,
    classic,
    file,
    folder,
    image,
    layer,
    link,
    made,
    symlink,
    whiteout,
)

from layerlab.image.contents import Distribution, Place, bytecode_bytes, distributions, places
from layerlab.image.layers import Image, on_base
from layerlab.image.tree import Tree

SITE = "usr/local/lib/python3.11/site-packages"


def analysed(*layers: list[Entry], base: int = 0) -> tuple[Image, Tree]:
    found = image(classic(made(*(layer(*entries) for entries in layers))))
    found = on_base(found, "base:1", [one.changeset.digest for one in found.layers[:base]])
    return found, Tree(one.changeset for one in found.layers)


def dists(*layers: list[Entry], base: int = 0) -> list[Distribution]:
    return distributions(*analysed(*layers, base=base))


def installed(name: str, record: str, *files: Entry, site: str = SITE) -> list[Entry]:
    path = f"{site}/{name}.dist-info/RECORD"
    return [*files, file(path, f"{record}{name}.dist-info/RECORD,,\n".encode())]


def test_a_large_folder_is_shown_by_what_is_in_it() -> None:
    found = analysed(
        [file("etc/passwd", 50), file("usr/bin/sh", 300), file("usr/lib/a", 150), file("usr/x", 7)],
        [file("usr/lib/b", 100), file("app/main.py", 90), file("top", 3), symlink("s", "top")],
        base=1,
    )
    assert places(*found) == [
        Place("/usr/bin", 300, 1, 0),
        Place("/usr/lib", 250, 2, 100),
        Place("/app", 90, 1, 90),
        Place("/etc", 50, 1, 0),
        Place("/usr", 7, 1, 0),
        Place("/", 3, 1, 3),
    ]


def test_what_is_hidden_has_no_place_and_a_hard_link_one() -> None:
    found = analysed(
        [file("a/x", 10), file("a/y", 20), file("b/z", 5), link("c/z", "b/z")],
        [whiteout("a/y"), file("a/x", 11)],
    )
    assert sum(place.bytes for place in places(*found)) == 16
    assert sum(place.files for place in places(*found)) == 2
    assert places(*analysed()) == []
    assert places(*analysed([file("a/b"), file("c")])) == [
        Place("/", 0, 1, 0),
        Place("/a", 0, 1, 0),
    ]


NAMES = st.lists(st.sampled_from(["a", "b", "usr", "lib"]), min_size=1, max_size=7).map("/".join)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.builds(file, NAMES, st.integers(0, 5_000)), max_size=6), min_size=1, max_size=3
    )
)
def test_places_are_all_visible_bytes_and_no_more(layers: list[list[Entry]]) -> None:
    found, tree = analysed(*layers, base=1)
    visible = [one for _, one in tree.files()]
    rows = places(found, tree)
    assert sum(row.bytes for row in rows) == sum(one.entry.bytes for one in visible)
    assert sum(row.files for row in rows) == len(visible)
    assert sum(row.own_bytes for row in rows) == sum(
        one.entry.bytes for one in visible if one.layer > 1
    )
    assert len({row.folder for row in rows}) == len(rows)


def test_a_distribution_is_what_its_record_names() -> None:
    record = (
        "fastapi/__init__.py,sha256=x,10\n"
        'fastapi/"odd, name".py,,\n'
        '"fastapi/a, b ""c"".py",sha256=x,20\n'
        "fastapi/__pycache__/__init__.cpython-311.pyc,,\n"
        "../../../bin/fastapi,sha256=x,5\n"
        "fastapi/missing.py,,\n\n"
        "/opt/absolute,,\n"
        "../../../../../../../../top,,\n"
    )
    entries = installed(
        "fastapi-0.115.0",
        record,
        file(f"{SITE}/fastapi/__init__.py", 10),
        file(f'{SITE}/fastapi/a, b "c".py', 20),
        file(f"{SITE}/fastapi/__pycache__/__init__.cpython-311.pyc", 40),
        file("usr/local/bin/fastapi", 80),
        file("opt/absolute", 160),
        file("top", 320),
        file(f"{SITE}/other.py", 640),
    )
    record_bytes = entries[-1][0].size
    assert dists(entries) == [
        Distribution("fastapi", "0.115.0", f"/{SITE}", 630 + record_bytes, 7, 40, True)
    ]


def test_bytecode_that_no_record_lists_is_its_sources() -> None:
    cache = f"{SITE}/p/__pycache__"
    entries = installed(
        "p-1",
        "p/a.py,,\np/a.b.py,,\nlone.py,,\n",
        *(file(f"{SITE}/p/a.py", 1), file(f"{SITE}/p/a.b.py", 1), file(f"{SITE}/lone.py", 1)),
        *(file(f"{cache}/a.cpython-311.pyc", 10), file(f"{cache}/a.cpython-311.opt-2.pyc", 20)),
        *(file(f"{cache}/a.pypy39.pyc", 40), file(f"{cache}/a.b.cpython-312.pyc", 80)),
        file(f"{SITE}/__pycache__/lone.cpython-311.pyc", 160),
        # Not of these sources.
        *(file(f"{cache}/ab.cpython-311.pyc", 1000), file(f"{cache}/a.txt", 1000)),
    )
    [found] = dists(entries)
    assert found.bytecode_bytes == 310
    assert found.files == 3 + 5 + 1
    assert bytecode_bytes(analysed(entries)[1].files()) == 1310
    # Also where site-packages is the root.
    [found] = dists(
        installed(
            "q-1", "q.py,,\n", file("q.py", 1), file("__pycache__/q.cpython-311.pyc", 7), site="."
        )
    )
    assert found.bytecode_bytes == 7


def test_an_editable_install_is_its_notes_only() -> None:
    entries = installed(
        "app-0.1",
        "__editable__.app-0.1.pth,,\n",
        file(f"{SITE}/__editable__.app-0.1.pth", 9),
        file("src/app/main.py", 1000),
    )
    [found] = dists(entries)
    assert (found.name, found.bytes) == ("app", 9 + entries[-1][0].size)


def test_a_file_that_two_records_name_counts_once() -> None:
    shared = file(f"{SITE}/ns/__init__.py", 100)
    entries = [
        *installed("a-1", "ns/__init__.py,,\n", shared),
        *installed("b-1", "ns/__init__.py,,\nns/__init__.py,,\n"),
    ]
    first, second = dists(entries)
    assert (first.name, first.files, second.name, second.files) == ("a", 2, "b", 1)
    # What setuptools brings with it is a part of it.
    inner = installed("w-1", "", site=f"{SITE}/setuptools/_vendor")
    whole = [*inner, *installed("setuptools-1", "setuptools/_vendor/w-1.dist-info/RECORD,,\n")]
    assert [one.name for one in dists(whole)] == ["setuptools"]


def test_files_that_a_cache_shares_are_those_of_what_is_installed() -> None:
    cache = "root/.cache/uv/archive-v0/x"
    entries = [
        *installed("p-1", "p.py,,\n", file(f"{cache}/p.py", 100), site=cache),
        *installed("p-1", "p.py,,\n", link(f"{SITE}/p.py", f"{cache}/p.py")),
    ]
    first, second = dists(entries)
    assert (first.folder, first.bytes > 100) == (f"/{SITE}", True)
    assert (second.folder, second.bytes < 100) == (f"/{cache}", True)


def test_only_what_is_visible_is_installed() -> None:
    below = installed("p-1", "p.py,,\n", file(f"{SITE}/p.py", 100))
    assert dists(below, [whiteout(f"{SITE}/p-1.dist-info")]) == []
    [found] = dists(below, [whiteout(f"{SITE}/p.py")])
    assert found.bytes == below[-1][0].size
    newer = installed("p-1", "q.py,,\n", file(f"{SITE}/q.py", 7))
    [found] = dists(below, newer, base=1)
    assert (found.files, found.own) == (2, True)
    assert not dists(below, base=1)[0].own
    assert dists(below, [whiteout("usr"), folder("usr")]) == []


def test_a_record_that_is_none_is_read_as_far_as_it_goes() -> None:
    for text in (
        b"\xff\xfe,,\n",
        b'"',
        b'"' + b"x" * 200_000,
        b"a\0b,,\n",
        b",,\n" * 9,
        b"..,,\n/,,\n",
    ):
        entries = [file(f"{SITE}/p-1.dist-info/RECORD", text), file(f"{SITE}/p.py", 5)]
        assert dists(entries) == []
    text = b"p.py,,\n" + b'"' + b"x" * 200_000
    [found] = dists([file(f"{SITE}/p-1.dist-info/RECORD", text), file(f"{SITE}/p.py", 5)])
    assert found.bytes == 5


def test_a_folder_of_many_modules_takes_no_time() -> None:
    names = [f"m{number}" for number in range(1_000)]
    entries = installed(
        "many-1",
        "".join(f"many/{name}.py,,\n" for name in names),
        *(file(f"{SITE}/many/{name}.py", 1) for name in names),
        *(file(f"{SITE}/many/__pycache__/{name}.cpython-311.pyc", 1) for name in names),
    )
    [found] = dists(entries)
    assert found.bytecode_bytes == 1_000
