"""The matrix of engines, without starting one."""

from pathlib import Path

import pytest

from layerlab.engine import matrix
from layerlab.engine.matrix import MATRIX
from layerlab.engine.packages import Distribution
from layerlab.engine.private import LONGEST_FOLDER, PrivateEngine, private_engine
from layerlab.engine.tools import Tools, prepare
from layerlab.errors import LabError


def quiet(_: str) -> None:
    pass


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    # A folder of an ordinary user; nothing is written to it.
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/someone.longer/.cache")


def test_every_engine_has_a_name_and_a_folder_of_its_own() -> None:
    names = [release.name for release in MATRIX]
    assert names == [
        "20.10-overlay2",
        "26.1-overlay2",
        "26.1-containerd",
        "28.5-overlay2",
        "28.5-containerd",
        "28.5-overlay2-tls",
    ]
    folders = {release.engine().folder for release in MATRIX}
    assert len(folders | {private_engine().folder}) == len(MATRIX) + 1
    assert all(len(str(folder)) <= LONGEST_FOLDER for folder in folders)


def test_engines_of_one_release_share_its_programs_and_all_share_the_client() -> None:
    tools = {release.name: release.engine().tools for release in MATRIX}
    assert tools["26.1-overlay2"] == tools["26.1-containerd"]
    assert tools["28.5-overlay2"] == tools["28.5-containerd"] == private_engine().tools
    assert len({t.path for t in tools.values()}) == 3
    assert {t.client.docker for t in tools.values()} == {private_engine().tools.client.docker}


def test_an_engine_s_programs_come_before_the_machine_s() -> None:
    older = Tools(Path("/tools"), "bookworm")
    assert older.path.split(":")[:3] == [
        "/tools/bin",
        "/tools/engine-bookworm/usr/sbin",
        "/tools/engine-bookworm/usr/bin",
    ]
    assert older.proxy == Path("/tools/engine-bookworm/usr/sbin/docker-proxy")


def test_the_private_engine_has_programs_of_its_own_and_the_classic_store() -> None:
    own = PrivateEngine(Path("/somewhere/engine"))
    assert own.tools == Tools(Path("/somewhere/engine/tools"))
    assert not own.containerd_store


def test_tools_are_complete_with_their_stamp_and_their_engine(tmp_path: Path) -> None:
    newest, older = Tools(tmp_path), Tools(tmp_path, "trixie")
    (tmp_path / "engine").mkdir()
    assert not newest.complete
    (tmp_path / "complete").touch()
    assert newest.complete
    assert not older.complete
    (tmp_path / "engine-trixie").mkdir()
    assert older.complete


def test_libraries_that_the_host_lacks_are_found_by_their_engine_alone(tmp_path: Path) -> None:
    folder = tmp_path / "engine-bookworm/lib/x86_64-linux-gnu"
    folder.mkdir(parents=True)
    assert Tools(tmp_path, "bookworm").environ == {"LD_LIBRARY_PATH": str(folder)}
    assert Tools(tmp_path, "trixie").environ == {}
    assert Tools(tmp_path).environ == {}


def test_another_release_needs_a_debian_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ubuntu = Distribution("ubuntu", "noble")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/complete").touch()
    with pytest.raises(LabError, match="comes from a Debian mirror"):
        prepare(Tools(tmp_path / "tools", "bookworm"), ubuntu, quiet)
    monkeypatch.setattr(matrix.private, "lacking", lambda: None)
    monkeypatch.setattr(matrix, "this_distribution", lambda: ubuntu)
    assert matrix.lacking() == "engines of other releases come from Debian's archive; use Debian"
    monkeypatch.setattr(matrix.private, "lacking", lambda: "no root")
    assert matrix.lacking() == "no root"
