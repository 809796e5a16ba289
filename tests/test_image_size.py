"""What the image-size lab says of images, and where its limits lie, on images made by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
from image_makers import file, image, layer, made, modern, whiteout

from layerlab.build.variant import Variant, load
from layerlab.engine.standins import REPOSITORY
from layerlab.image.anatomy import Anatomy, dissect
from layerlab.image.base import Candidate, on_likely_base
from layerlab.image.gate import Limits
from layerlab.image.layers import on_base
from layerlab.labs import image_size
from layerlab.labs.image_size import Sizes
from layerlab.labs.images import excesses, sections
from layerlab.show import images as tables

MB = 1_000_000


def anatomy(*layers: bytes, base: int = 0, name: str = "mine") -> Anatomy:
    """The anatomy of an image of which the lowest ``base`` layers are the base's."""
    found = replace(image(modern(made(*layers))), name=name)
    return dissect(on_base(found, "base", [x.changeset.digest for x in found.layers[:base]]))


def variant(folder: Path, name: str, header: str = "") -> Variant:
    path = folder / f"{name}.Dockerfile"
    path.write_text(f"{header}FROM base\nRUN x\n")
    return load(path)


@pytest.mark.parametrize(
    ("path", "scenario"),
    [
        ("root/.cache/pip/http-v2/a/b", "package-cache"),
        ("var/lib/apt/lists/deb.debian.org_main", "apt-lists"),
        ("app/.git/objects/ab/cdef", "version-control"),
        ("usr/lib/gcc/x86_64-linux-gnu/12/cc1plus", "compilers"),
    ],
)
def test_what_is_of_no_use_is_seen_and_explained(tmp_path: Path, path: str, scenario: str) -> None:
    bad = anatomy(layer(file("etc/x", 9)), layer(file(path, 6 * MB)), base=1)
    good = anatomy(layer(file("app/main.py", 6 * MB)))
    assert image_size.judge(bad, scenario) == "kept"
    assert image_size.judge(good, scenario) == "none"
    sentence = image_size.explain(variant(tmp_path, "kim"), bad, scenario, "none")
    assert sentence.startswith("kim.Dockerfile: 6.0 MB of ")
    assert f"such as /{path}" in sentence
    assert "To do: " in sentence


def test_much_waste_is_put_down_to_the_layer_that_hides_it(tmp_path: Path) -> None:
    bad = anatomy(
        layer(file("etc/x", 90 * MB // 100)),
        layer(file("tmp/big", MB)),
        layer(whiteout("tmp/big")),
        base=1,
    )
    assert image_size.judge(bad, "waste") == "much"
    sentence = image_size.explain(variant(tmp_path, "kim"), bad, "waste", "little")
    assert "1.0 MB (53% of all files)" in sentence
    assert "/tmp/big (removed here, written by `RUN x`)" in sentence


def test_a_bases_own_waste_is_not_held_against_what_stands_on_it() -> None:
    below = (layer(file("a", MB)), layer(whiteout("a")))
    assert image_size.judge(anatomy(*below, base=2), "waste") == "little"
    assert image_size.judge(anatomy(*below, base=0), "waste") == "much"


def test_parts_add_up_to_all_file_bytes() -> None:
    found = anatomy(
        layer(file("usr/bin/x", 5), file("etc/gone", 7)),
        layer(file("usr/lib/python3/site-packages/a.py", 11), whiteout("etc/gone")),
        layer(file("app/main.py", 13), file("app/.venv/lib/b.py", 17), file("../out", 19)),
        base=1,
    )
    assert found.parts == {"base": 5, "dependencies": 28, "app": 13, "waste": 7 + 19}
    assert sum(found.parts.values()) == found.image.totals.file_bytes


def sizes_of(folder: Path, **bytes_and_headers: tuple[int, str]) -> Sizes:
    variants = [variant(folder, name, header) for name, (_, header) in bytes_and_headers.items()]
    anatomies = {
        name: anatomy(layer(file("x", size)), name=name)
        for name, (size, _) in bytes_and_headers.items()
    }
    return Sizes(variants, anatomies, {})


def test_factors_are_a_chain_of_pairs_that_add_up(tmp_path: Path) -> None:
    sizes = sizes_of(
        tmp_path,
        trimmed=(20, "# layerlab.differs-from: slim: no tests\n"),
        full=(100, ""),
        slim=(30, "# layerlab.differs-from: full: slim base\n"),
        other=(90, "# layerlab.differs-from: full: no cache\n"),
        alone=(7, ""),
    )
    rows = [(row.name, row.image, row.bytes, row.change) for row in sizes.factors()]
    assert rows == [
        (None, "full", 100, None),
        ("slim base", "slim", 30, -70),
        ("no tests", "trimmed", 20, -10),
        (None, "full", 100, None),
        ("no cache", "other", 90, -10),
    ]


def test_a_chain_ends_where_an_image_was_not_measured(tmp_path: Path) -> None:
    sizes = sizes_of(
        tmp_path,
        full=(100, ""),
        slim=(30, "# layerlab.differs-from: full: slim base\n"),
        trimmed=(20, "# layerlab.differs-from: slim: no tests\n"),
        stray=(5, "# layerlab.differs-from: elsewhere: x\n"),
    )
    del sizes.anatomies["slim"]
    assert sizes.factors() == []


def test_variants_that_differ_from_each_other_in_a_circle_end_too(tmp_path: Path) -> None:
    sizes = sizes_of(
        tmp_path,
        a=(1, "# layerlab.differs-from: b: x\n"),
        b=(2, "# layerlab.differs-from: a: y\n"),
        c=(3, "# layerlab.differs-from: c: z\n"),
    )
    assert sizes.factors() == []


@pytest.mark.parametrize(
    ("now", "effect"), [(970, "smaller"), (995, "same"), (1000, "same"), (1100, "larger")]
)
def test_an_effect_is_told_from_none(tmp_path: Path, now: int, effect: str) -> None:
    sizes = sizes_of(tmp_path, old=(1000, ""), new=(now, "# layerlab.differs-from: old: x\n"))
    assert image_size.effect(sizes.variants[1], sizes) == (effect, now - 1000)


def test_how_much_the_base_alone_saves() -> None:
    large = anatomy(layer(file("b", 9 * MB)), layer(file("a", 1 * MB)), base=1, name="single")
    small = anatomy(layer(file("b", 3 * MB)), layer(file("a", MB // 2)), base=1, name="multi")
    assert image_size.compare(small, large) == (
        "multi is 6.5 MB smaller than single; 6.0 MB of that (92%) is the base alone."
    )


def test_limits_are_broken_only_above_them() -> None:
    found = anatomy(layer(file("a", 50)), layer(file("a", 950)), name="app:1")
    unpacked = found.image.totals.unpacked_bytes
    assert list(excesses([found], Limits(unpacked, 0.05))) == []
    lines = list(excesses([found], Limits(unpacked - 1, 0.049)))
    assert len(lines) == 2
    assert lines[0].startswith("app:1: ")
    assert "--fail-over" in lines[0]
    assert lines[1] == (
        "app:1: 5% of its files' bytes are waste, more than --max-waste 4.9% allows"
    )


def test_an_image_without_layers_or_files_has_nothing_to_hold_against_it() -> None:
    for empty in (anatomy(), anatomy(layer())):
        assert list(excesses([empty], Limits(1 << 20, 0.0))) == []
        assert all(section.table for section in sections([empty], 80, detailed=True))


def test_the_likely_base_is_the_largest_image_wholly_below() -> None:
    found = image(modern(made(*(layer(file(name, 1)) for name in "abcd"))))
    a, b, c, d = (one.changeset.digest for one in found.layers)
    known = [
        Candidate("debian", (a,)),
        Candidate("python", (a, b)),
        Candidate("itself", (a, b, c, d)),
        Candidate("other", (b, c, d)),
        Candidate("empty", ()),
    ]
    marked = on_likely_base(found, known)
    assert marked.base == "python"
    assert [one.base for one in marked.layers] == [True, True, False, False]
    assert on_likely_base(found, known[2:]).base is None
    assert REPOSITORY not in (marked.base or "")


@pytest.mark.parametrize("width", [80, 120])
def test_tables_of_usual_images_fit_the_terminal(width: int) -> None:
    found = anatomy(
        layer(file("usr/lib/gcc/x86_64-linux-gnu/12/cc1plus", 700 * MB // 1000)),
        layer(file("usr/lib/gcc/x86_64-linux-gnu/12/cc1plus", 600), file("root/.cache/pip/x", MB)),
        name="multi-stage-no-bytecode",
    )
    for section in sections([found], width, detailed=True):
        for line in section.table.splitlines():
            assert len(line) <= width, line


def test_markup_in_a_name_shows_as_text() -> None:
    name = "a|b<img src=x>*c*\x1b[31m\udcff"
    github = tables.sizes({name: anatomy(layer(file("x", 1)))}, "github", 120)
    assert "\\|" in github
    assert "\\<img" in github
    assert "\x1b" not in github
    github.encode()


def test_a_line_break_in_a_path_is_shown_and_makes_no_row() -> None:
    found = anatomy(layer(file("fo\no | x/y", 5), file("long" * 60 + "/z", 6)))
    for section in sections([found], 80, detailed=True):
        assert "\no | x" not in section.table
        assert all(len(line) <= 80 for line in section.table.splitlines())
