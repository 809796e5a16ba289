"""The private copy of the context and its edits."""

import ast
import os
from pathlib import Path

import pytest

from layerlab.build.context import EDITS, Context, Edit, copy_context
from layerlab.errors import LabError

EDITED = sorted(edit.path for edit in EDITS if edit.path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "__pycache__").mkdir(parents=True)
    for name in (*EDITED, "other.py", "__pycache__/main.pyc"):
        (folder / name).write_text("text without a last line end")
    return folder


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_the_source_is_never_touched(source: Path, tmp_path: Path) -> None:
    before = tree(source)
    context = copy_context(source, tmp_path / "copy", "n1")
    for edit in EDITS:
        context.apply(edit, "n1")
    assert tree(source) == before


def test_the_copy_has_all_but_litter_and_a_nonce_in_what_will_be_edited(
    source: Path, tmp_path: Path
) -> None:
    one = tree(copy_context(source, tmp_path / "one", "n1").folder)
    two = tree(copy_context(source, tmp_path / "two", "n2").folder)
    assert sorted(one) == sorted([*EDITED, "other.py"])
    assert [name for name in sorted(one) if one[name][0] != two[name][0]] == EDITED


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.scenario)
def test_an_edit_changes_its_file_alone(source: Path, tmp_path: Path, edit: Edit) -> None:
    context = copy_context(source, tmp_path / "copy", "n1")
    before = tree(context.folder)
    context.apply(edit, "n1")
    after = tree(context.folder)
    changed = [name for name in after if after[name] != before[name]]
    assert changed == ([edit.path] if edit.path else [])
    for name in changed:
        # README.md is no Python: its comments are others.
        comment = b"<!--" if name.endswith(".md") else b"#"
        assert after[name][0].startswith(before[name][0] + b"\n" + comment)
        assert after[name][1] > before[name][1]


def test_the_main_file_is_the_same_program_after_its_edit(source: Path, tmp_path: Path) -> None:
    (source / "main.py").write_text("answer = 42")
    context = copy_context(source, tmp_path / "copy", "n1")
    context.apply(EDITS[1], "n1")
    tree = ast.parse((context.folder / "main.py").read_text())
    assert ast.unparse(tree) == "answer = 42"


def test_a_read_only_file_can_be_edited_in_the_copy(source: Path, tmp_path: Path) -> None:
    (source / "main.py").chmod(0o444)
    copy = copy_context(source, tmp_path / "copy", "n1")
    assert b"n1" in (copy.folder / "main.py").read_bytes()
    assert (copy.folder / "main.py").stat().st_mode & 0o777 == 0o444
    assert (source / "main.py").stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_out_of_the_context_is_not_followed(
    source: Path, tmp_path: Path, absolute: bool
) -> None:
    outside = tmp_path / "precious.py"
    outside.write_text("mine")
    (source / "main.py").unlink()
    (source / "main.py").symlink_to(outside if absolute else "../precious.py")
    with pytest.raises(LabError, match="replace it by the file"):
        copy_context(source, tmp_path / "copy", "n1")
    assert outside.read_text() == "mine"


def test_links_are_copied_as_links(source: Path, tmp_path: Path) -> None:
    (source / "link").symlink_to("other.py")
    (source / "dangling").symlink_to("nowhere")
    folder = copy_context(source, tmp_path / "copy", "n1").folder
    assert (folder / "link").readlink() == Path("other.py")
    assert (folder / "dangling").is_symlink()


def test_what_can_not_be_copied_or_edited(source: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is not a folder"):
        copy_context(tmp_path / "none", tmp_path / "copy", "n1")
    with pytest.raises(LabError, match=r"the edit `source-edit` needs main\.py"):
        Context(tmp_path).apply(EDITS[1], "n1")
    os.mkfifo(source / "pipe")
    with pytest.raises(LabError, match="could not be copied"):
        copy_context(source, tmp_path / "copy", "n1")
