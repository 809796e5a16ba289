"""The snapshot of somebody's build context: what is in it, and that theirs is never touched."""

import os
import socket
from pathlib import Path

import pytest

from layerlab.build import ignore, snapshot
from layerlab.build.context import Edit
from layerlab.build.variant import load
from layerlab.errors import LabError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in (
        "main.py",
        "src/a.py",
        "src/a.pyc",
        "node_modules/x/index.js",
        "docs/guide.md",
        "docs/keep/this.md",
        "empty/.keep",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def content(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mode, p.stat().st_mtime_ns)
        for p in folder.rglob("*")
        if p.is_file()
    }


def files(folder: Path, *texts: str) -> set[str]:
    return set(snapshot.look(folder, [ignore.parse(text) for text in texts]).files)


def test_the_rules_of_an_ignore_file(project: Path) -> None:
    kept = files(
        project, "# no rule\n\n/node_modules/\n**/*.pyc\ndocs\n!docs/keep\n./empty/.keep\n"
    )
    assert kept == {"main.py", "src/a.py", "docs/keep/this.md"}
    assert files(project, "*\n!src\nsrc/*.pyc") == {"src/a.py"}
    assert "src/a.py" in files(project, "MAIN.PY\nSRC")
    assert "main.py" in files(project, "MAIN.PY")


def test_a_later_rule_takes_in_again_what_is_below_an_ignored_folder(project: Path) -> None:
    (project / "node_modules" / "x" / "README.md").write_text("")
    kept = files(project, "**/node_modules\n!**/*.md")
    assert {one for one in kept if "node_modules" in one} == {"node_modules/x/README.md"}


def test_only_what_every_variant_ignores_is_left_out(project: Path) -> None:
    tree = snapshot.look(
        project, [ignore.parse("docs\nnode_modules"), ignore.parse("node_modules")]
    )
    assert "docs/guide.md" in tree.files
    assert "docs/guide.md" not in tree.common
    assert not [one for one in tree.files if one.startswith("node_modules")]
    assert "main.py" in tree.common


def test_the_ignore_file_beside_the_dockerfile_wins(project: Path) -> None:
    (project / ".dockerignore").write_text("docs\n")
    (project / "a.Dockerfile").write_text("FROM x\n")
    variant = load(project / "a.Dockerfile")
    assert ignore.read(variant, project).look("docs", ())[0]
    (project / "a.Dockerfile.dockerignore").write_text("src\n")
    assert not ignore.read(variant, project).look("docs", ())[0]
    assert ignore.read(variant, project).look("src", ())[0]


def test_the_context_is_copied_and_never_written_to(project: Path, tmp_path: Path) -> None:
    (project / "main.py").chmod(0o555)
    before = content(project)
    taken = snapshot.take(snapshot.look(project, [ignore.Ignore()]), tmp_path / "taken")
    assert content(taken.folder) == before
    one, two = taken.linked(tmp_path / "one"), taken.linked(tmp_path / "two")
    one.apply(Edit("source-edit", "main.py"), "n1")
    assert content(project) == before == content(taken.folder) == content(two.folder)
    assert b"n1" in (one.folder / "main.py").read_bytes()
    assert (one.folder / "main.py").stat().st_mode & 0o777 == 0o555
    assert one.digest == two.digest != ""


def test_an_ignored_folder_is_not_looked_into(project: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may look everywhere")
    (project / "node_modules").chmod(0)
    assert "main.py" in files(project, "node_modules")
    with pytest.raises(LabError, match="node_modules: Permission denied: it belongs to the build"):
        files(project)


def test_links_stay_links_and_what_is_no_file_is_left_out(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "out").symlink_to("/etc")
    (project / "here.py").symlink_to("main.py")
    os.mkfifo(project / "pipe")
    monkeypatch.chdir(project)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("listening")
        tree = snapshot.look(project, [ignore.Ignore()])
    taken = snapshot.take(tree, tmp_path / "taken")
    assert (taken.folder / "out").readlink() == Path("/etc")
    assert (taken.folder / "here.py").readlink() == Path("main.py")
    assert not (taken.folder / "pipe").exists()
    assert not (taken.folder / "listening").exists()


def test_a_file_that_goes_while_it_is_copied_is_told(project: Path, tmp_path: Path) -> None:
    tree = snapshot.look(project, [ignore.Ignore()])
    (project / "src" / "a.py").unlink()
    with pytest.raises(LabError, match=r"src/a\.py: No such file"):
        snapshot.take(tree, tmp_path / "taken")


def test_what_is_no_folder_is_refused(project: Path) -> None:
    with pytest.raises(LabError, match="is not a folder"):
        snapshot.look(project / "main.py", [])
    with pytest.raises(LabError, match="does not exist"):
        snapshot.look(project / "nowhere", [])
