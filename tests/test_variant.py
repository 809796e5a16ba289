"""Variants: their headers, and how they are found."""

from pathlib import Path

import pytest

from layerlab.build.header import GOALS
from layerlab.build.variant import discover, load, select
from layerlab.errors import LabError

DOCKERFILES = Path(__file__).parent.parent / "dockerfiles"
OURS = discover(DOCKERFILES)


def write(folder: Path, text: str | bytes, name: str = "mine.Dockerfile") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("path", OURS, ids=[path.stem for path in OURS])
def test_every_variant_of_ours_says_what_it_is(path: Path) -> None:
    variant = load(path)
    assert variant.header.title
    assert variant.header.teaches
    assert variant.dockerfile.images()
    for experiment, scenarios in GOALS.items():
        for scenario, goal in scenarios.items():
            assert variant.expects(experiment, scenario) in goal.allowed


def test_a_variant_of_ours_differs_from_one_that_is_there() -> None:
    known = {path.name.removesuffix(".Dockerfile") for path in OURS}
    others = [variant.header.differs_from for variant in map(load, OURS)]
    assert {other[0] for other in others if other} <= known
    assert any(others)


def test_a_header_declares_and_the_goal_is_the_rest(tmp_path: Path) -> None:
    text = "#layerlab.title :  A title: with colons \n\n# layerlab.expect.layer-cache.source-edit:install\nFROM a\n"
    variant = load(write(tmp_path, text))
    assert variant.header.title == "A title: with colons"
    assert variant.expects("layer-cache", "source-edit") == "install"
    assert variant.expects("layer-cache", "no-change") == "nothing"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("# layerlab.titel: x", "no header `layerlab.titel` (did you mean `title`?)"),
        (
            "# layerlab.expect.layer-cache.source-edt: copy",
            "did you mean `expect.layer-cache.source-edit`?",
        ),
        ("# layerlab.zzz: x", "no header `layerlab.zzz`"),
        ("# layerlab.title: x\n# layerlab.title: y", "given twice"),
        ("# layerlab.expect.layer-cache.source-edit: instal", "did you mean `install`?"),
        ("# layerlab.expect.layer-cache.source-edit: 7", "write one of nothing, copy, install"),
        ("# layerlab.title:", "`layerlab.title` has no value"),
        ("# layerlab.title", "`layerlab.title` has no value"),
        ("# layerlab.title A title", "write `# layerlab.title: …`"),
        ("# layerlab.expect.layer-cache.source-edit = copy", "has no value"),
        ("# layerlab.labs: image-sise", "no lab `image-sise` (did you mean `image-size`?)"),
        ("# layerlab.differs-from: other", "write `# layerlab.differs-from: NAME: "),
        ("# layerlab.expect.image-size.waste: none", "write one of little, much, any"),
        ("# layerlab.: x", "no header `layerlab.`"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_broken_header_is_told_with_its_line(
    tmp_path: Path, header: str, words: str, end: str
) -> None:
    # A form feed ends no line.
    path = write(tmp_path, f"# first \f comment\n{header}\nFROM a\n".replace("\n", end))
    with pytest.raises(LabError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{2 + header.count(chr(10))}: ")
    assert words in str(caught.value)


def test_comments_below_the_first_instruction_are_no_header(tmp_path: Path) -> None:
    assert load(write(tmp_path, "FROM a\n# layerlab.nonsense\n")).header.title == ""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"FROM a\nRUN echo \xb5\n", ":2: this Dockerfile is not UTF-8"),
        ("FROM a\n".encode("utf-16"), ":1: this Dockerfile is not UTF-8"),
        (b"", "has no instruction"),
        (b"\xef\xbb\xbf\r\n", "has no instruction"),
        (b"# only a comment\n", "has no instruction"),
    ],
)
def test_what_is_no_dockerfile(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(LabError, match=words):
        load(write(tmp_path, data))


@pytest.mark.parametrize(
    "data", ["\ufeff# layerlab.title: 도커\r\nFROM a\r\n", "# layerlab.title: 도커\nFROM a"]
)
def test_a_byte_order_mark_and_crlf_are_fine(tmp_path: Path, data: str) -> None:
    variant = load(write(tmp_path, data))
    assert variant.header.title == "도커"
    assert variant.dockerfile.images() == ["a"]


def test_what_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="No such file"):
        load(tmp_path / "none.Dockerfile")
    with pytest.raises(LabError, match="Is a directory"):
        load(tmp_path)


def test_the_digest_covers_the_ignore_file(tmp_path: Path) -> None:
    path = write(tmp_path, "FROM a\n")
    before = load(path).digest
    write(tmp_path, "*\n", "mine.Dockerfile.dockerignore")
    assert load(path).digest != before


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("one.Dockerfile", "two.Dockerfile", "one.Dockerfile.dockerignore"):
        write(tmp_path / "dockerfiles", "FROM a\n", name)
    for name in ("kim/Dockerfile", "lee/kim/Dockerfile", "mine.Dockerfile", "Dockerfile.dev"):
        write(tmp_path, "FROM a\n", name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "dockerfiles"


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ([], ["one", "two"]),
        (["two", "one"], ["two", "one"]),
        (["one", "dockerfiles/one.Dockerfile", "one"], ["one"]),
        (["mine.Dockerfile"], ["mine"]),
        (["kim"], ["kim"]),
        (["kim/Dockerfile", "Dockerfile.dev"], ["kim", "Dockerfile.dev"]),
    ],
)
def test_select_by_name_path_or_folder(folder: Path, asked: list[str], names: list[str]) -> None:
    assert [load(path).name for path in select(folder, asked)] == names


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["tow"], "no variant and no file `tow` (did you mean `two`?): the variants are one, two"),
        (["zzz"], "no variant and no file `zzz`: "),
        (["lee"], "no variant and no file `lee`"),
        ([""], "no variant and no file ``"),
        (["kim", "lee/kim"], "would both be the variant `kim`"),
    ],
)
def test_select_tells_what_is_wrong(folder: Path, asked: list[str], words: str) -> None:
    with pytest.raises(LabError) as caught:
        select(folder, asked)
    assert words in str(caught.value)


def test_a_project_without_variants(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="add one, or name one with --variant"):
        select(tmp_path, [])
