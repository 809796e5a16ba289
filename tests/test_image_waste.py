"""What layers hide of each other, on layers made by hand of which the truth is known."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_makers import (
    Entry,
    changeset,
    classic,
    file,
    folder,
    header,
    image,
    layer,
    link,
    made,
    opaque,
    padded,
    symlink,
    tree,
    whiteout,
    zeros_layer,
)

from layerlab.errors import LabError
from layerlab.image import tree as trees
from layerlab.image import waste
from layerlab.image.layers import on_base
from layerlab.image.tree import Tree
from layerlab.image.waste import Waste

MB_50 = 50 << 20


def wasted(*layers: bytes | Iterable[bytes]) -> list[tuple[str, int, int, int, str]]:
    """Path, bytes, the layer that wrote it, the one that hid it, and how."""
    return [(w.path, w.bytes, w.written_by, w.hidden_by, w.how) for w in waste.find(tree(*layers))]


def visible(*layers: bytes) -> dict[str, int]:
    return {node.path: found.entry.bytes for node, found in tree(*layers).files()}


def test_50_mb_overwritten_are_50_mb_of_waste() -> None:
    big = zeros_layer("big.bin", 50)
    assert wasted(big, layer(file("big.bin", 3))) == [("big.bin", MB_50, 1, 2, "overwritten")]
    assert wasted(layer(file("big.bin", 3)), big) == [("big.bin", 3, 1, 2, "overwritten")]


def test_50_mb_in_a_folder_removed_later_are_50_mb_of_waste() -> None:
    below = changeset(zeros_layer("data/cache/big.bin", 50))
    found = Tree([below, changeset(layer(whiteout("data")))])
    assert waste.find(found) == (
        Waste("data/cache/big.bin", MB_50, 1, 2, "folder removed", "data"),
    )
    assert [*found.nodes] == [""]


def test_what_was_removed_overwritten_or_emptied_is_told_apart() -> None:
    below = layer(
        *(folder("a"), file("a/x", 10), file("a/b/y", 20), file("c", 30), file("d", 40)),
        *(folder("e"), file("e/z", 50), file("f", 60)),
    )
    above = layer(
        whiteout("a"), whiteout("c"), file("d", 41), folder("e"), opaque("e"), folder("f")
    )
    assert wasted(below, above) == [
        ("f", 60, 1, 2, "replaced"),
        ("e/z", 50, 1, 2, "folder emptied"),
        ("d", 40, 1, 2, "overwritten"),
        ("c", 30, 1, 2, "removed"),
        ("a/b/y", 20, 1, 2, "folder removed"),
        ("a/x", 10, 1, 2, "folder removed"),
    ]
    groups = waste.grouped(waste.find(tree(below, above)))
    assert [(group.root, group.bytes, group.files) for group in groups] == [
        *(("f", 60, 1), ("e", 50, 1), ("d", 40, 1), ("a", 30, 2), ("c", 30, 1)),
    ]


def test_nothing_hidden_is_no_waste() -> None:
    below = layer(folder("a"), file("a/x", 10), file("b", 5))
    # Neither a folder listed again, nor what stands beside, nor removing what is not there.
    above = layer(folder("a", mode=0o700), file("a/xx", 10), whiteout("c"), whiteout("a/y"))
    assert wasted(below, above) == []
    assert visible(below, above) == {"a/x": 10, "a/xx": 10, "b": 5}
    assert wasted() == wasted(layer()) == wasted(layer(), layer(opaque(""))) == []


def test_a_layer_in_between_counts_too() -> None:
    layers = [layer(file("x", size)) for size in (10, 20, 30)]
    assert wasted(*layers, layer(whiteout("x"))) == [
        ("x", 30, 3, 4, "removed"),
        ("x", 20, 2, 3, "overwritten"),
        ("x", 10, 1, 2, "overwritten"),
    ]
    assert visible(*layers) == {"x": 30}


def test_an_equal_layer_twice_hides_all_of_the_first() -> None:
    same = layer(file("a", 5), file("b/c", 6))
    assert wasted(same, same) == [
        ("b/c", 6, 1, 2, "overwritten"),
        ("a", 5, 1, 2, "overwritten"),
    ]


@pytest.mark.parametrize("change", [{"mode": 0o600}, {"uid": 1000}, {"gid": 1000}])
def test_a_copy_for_the_sake_of_its_owner_or_mode_is_said_to_be_one(change: dict[str, int]) -> None:
    assert wasted(layer(file("x", 10)), layer(file("x", 10, **change))) == [
        ("x", 10, 1, 2, "owner or mode changed")
    ]
    # With another time or size its content is another, too.
    for other in (file("x", 10, mtime=1, **change), file("x", 11, **change)):
        assert wasted(layer(file("x", 10)), layer(other))[0][4] == "overwritten"


def test_a_kind_of_file_in_the_mode_as_older_engines_write_it_is_no_other_mode() -> None:
    older = header(name=b"x", mode=b"0100644\0", size=b"%011o" % 10) + padded(bytes(10))
    assert wasted(older, layer(file("x", 10)))[0][4] == "overwritten"
    assert wasted(older, layer(file("x", 10, mode=0o755)))[0][4] == "owner or mode changed"


def test_a_chown_of_hard_links_copies_their_content_once() -> None:
    below = layer(file("a", 10), link("b", "a"))
    above = layer(file("a", 10, uid=5), link("b", "a", uid=5))
    assert wasted(below, above) == [("a", 10, 1, 2, "owner or mode changed")]
    assert visible(below, above) == {"a": 10}


def test_of_two_names_of_a_file_one_may_go_for_nothing() -> None:
    below = layer(file("a", 10), link("b", "a"))
    assert visible(below) == {"a": 10}
    for name in "ab":
        assert wasted(below, layer(whiteout(name))) == []
        assert sum(visible(below, layer(whiteout(name))).values()) == 10
    assert wasted(below, layer(whiteout("a"), whiteout("b"))) == [("a", 10, 1, 2, "removed")]
    # The layer that hides the last name hides the file.
    assert wasted(below, layer(whiteout("a")), layer(file("b", 1))) == [
        ("a", 10, 1, 3, "overwritten")
    ]


def test_links_to_what_they_replace_to_themselves_and_to_nothing() -> None:
    below = layer(file("a", 10), file("b", 20))
    assert wasted(below, layer(link("a", "b"))) == [("a", 10, 1, 2, "overwritten")]
    assert visible(below, layer(link("a", "b"))) == {"a": 20}
    assert wasted(below, layer(link("a", "a"))) == []
    assert wasted(layer(link("x", "x"), link("y", "gone"))) == []
    assert wasted(below, layer(link("a", "gone"))) == [("a", 10, 1, 2, "replaced")]
    assert wasted(below, layer(link("a", "../../a"), link("b", "/"))) == [
        ("b", 20, 1, 2, "replaced"),
        ("a", 10, 1, 2, "replaced"),
    ]
    # A link's target is below the root, however it is written.
    assert wasted(below, layer(link("c", "/a")), layer(whiteout("a"))) == []


def test_a_file_becomes_a_folder_and_a_folder_a_file() -> None:
    assert wasted(layer(file("x", 10)), layer(folder("x"), file("x/y", 5))) == [
        ("x", 10, 1, 2, "replaced")
    ]
    # Also where no entry names the folder.
    assert wasted(layer(file("x", 10)), layer(file("x/y", 5))) == [("x", 10, 1, 2, "replaced")]
    below = layer(folder("x"), file("x/y", 5), file("x/z/w", 6))
    assert wasted(below, layer(file("x", 10))) == [
        ("x/z/w", 6, 1, 2, "replaced"),
        ("x/y", 5, 1, 2, "replaced"),
    ]
    assert visible(below, layer(file("x", 10))) == {"x": 10}
    assert wasted(below, layer(symlink("x", "elsewhere")))[0][:2] == ("x/z/w", 6)
    # One that stays inside a name of the new file.
    assert wasted(below, layer(link("x", "x/y"))) == [("x/z/w", 6, 1, 2, "replaced")]
    assert visible(below, layer(link("x", "x/y"))) == {"x": 5}


def test_a_path_twice_in_one_layer_hides_its_first_content() -> None:
    assert wasted(layer(file("x", 10), file("x", 20))) == [("x", 10, 1, 1, "overwritten")]


@pytest.mark.parametrize("order", [1, -1])
def test_what_an_emptied_folder_gets_in_the_same_layer_stays(order: int) -> None:
    entries = [opaque("a"), folder("a"), file("a/new", 5), file("a/kept", 7)]
    below = layer(folder("a"), file("a/old", 10), file("a/kept", 20), file("a/b/c", 30))
    above = layer(*entries[::order])
    assert visible(below, above) == {"a/new": 5, "a/kept": 7}
    assert sum(size for _, size, *_ in wasted(below, above)) == 60
    assert {how for *_, how in wasted(below, above)} == {"folder emptied"}


@pytest.mark.parametrize("order", [1, -1])
def test_what_is_removed_and_written_in_the_same_layer_is_there(order: int) -> None:
    above = layer(*[whiteout("a"), file("a", 5)][::order])
    assert visible(layer(file("a", 10)), above) == {"a": 5}
    assert wasted(layer(file("a", 10)), above) == [("a", 10, 1, 2, "removed")]


def test_an_opaque_root_hides_everything_below() -> None:
    below = layer(file("a", 10), file("b/c", 20))
    assert visible(below, layer(opaque(""), file("d", 1))) == {"d": 1}
    assert sum(size for _, size, *_ in wasted(below, layer(opaque("")))) == 30


def test_whiteouts_of_nothing_in_particular_remove_nothing() -> None:
    below = layer(file("a/b", 10))
    strange = [file("a/.wh."), file("a/.wh.."), file("a/.wh..."), file(".wh."), file("../.wh.a")]
    assert visible(below, layer(*strange)) == {"a/b": 10}


def test_the_notes_of_aufs_are_no_files() -> None:
    notes = [folder(".wh..wh.plnk"), file(".wh..wh.plnk/12.34", 5), file("a/.wh..wh.aufs", 6)]
    assert visible(layer(*notes, file("a/b", 7))) == {"a/b": 7}


def test_paths_out_of_the_image_are_counted_and_belong_nowhere() -> None:
    below = layer(file("etc/passwd", 10))
    outside = [file("../etc/passwd", 5), file("a/../../etc/passwd", 6), symlink("../s", "/")]
    above = changeset(layer(*outside, file("/absolute", 7), file("./a/../b", 8)))
    assert above.stray == ("../etc/passwd", "a/../../etc/passwd", "../s")
    assert above.file_bytes == 5 + 6 + 7 + 8
    found = Tree([changeset(below), above])
    assert {node.path for node, _ in found.files()} == {"etc/passwd", "absolute", "b"}
    assert found.hidden == []


def test_a_path_of_5000_folders_is_read_and_removed() -> None:
    deep = "d/" * 5_000 + "f"
    assert visible(layer(file(deep, 10))) == {deep: 10}
    assert wasted(layer(file(deep, 10)), layer(whiteout("d")))[0][1:] == (
        10,
        1,
        2,
        "folder removed",
    )


def test_folders_that_do_not_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MOST_CHARACTERS", 1_000_000)
    assert visible(layer(file("d/" * 500 + "f", 10)))
    with pytest.raises(LabError, match="more and deeper folders"):
        tree(layer(*(file(f"{number}/" * 500 + "f") for number in range(4))))


def test_waste_inside_the_base_is_not_the_authors() -> None:
    base = [layer(file("a", 10), file("b", 20)), layer(file("a", 11))]
    own = [layer(file("c", 30), file("b", 21)), layer(whiteout("c"))]
    whole = image(classic(made(*base, *own)))
    found = waste.find(Tree(one.changeset for one in whole.layers))
    digests = [one.changeset.digest for one in whole.layers[:2]]
    based = on_base(whole, "base:1", digests)
    # Hiding a file of the base is the author's doing.
    assert [(w.path, w.bytes) for w in waste.of_own_layers(based, found)] == [("c", 30), ("b", 20)]
    assert [w.path for w in waste.of_own_layers(whole, found)] == ["c", "b", "a"]


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
ENTRIES = st.one_of(
    st.builds(file, NAMES, st.integers(0, 9)),
    st.builds(folder, NAMES),
    st.builds(symlink, NAMES, NAMES),
    st.builds(link, NAMES, NAMES),
    st.builds(whiteout, NAMES),
    st.builds(opaque, NAMES),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(ENTRIES, max_size=6), max_size=4))
def test_every_byte_is_either_visible_once_or_waste(layers: list[list[Entry]]) -> None:
    changesets = [changeset(layer(*entries)) for entries in layers]
    found = Tree(changesets)
    hidden = sum(one.file.entry.bytes for one in found.hidden)
    assert sum(one.entry.bytes for _, one in found.files()) + hidden == sum(
        one.file_bytes for one in changesets
    )
    # The tree is one: each node is its parent's child, and parents are folders.
    for path, node in found.nodes.items():
        parent = found.nodes[path.rpartition("/")[0]]
        assert node is found.root or (parent.children or {})[path.rpartition("/")[2]] is node
        assert not node.children or node.kind == "folder"
        assert node.path == path
