"""Where layerlab keeps its files: nobody else can read them, whatever the umask is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from layerlab.engine import leftovers
from layerlab.errors import LabError
from layerlab.folders import cache_folder, record_folder
from layerlab.image.memory import of_user


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_cache_and_records_are_their_owners_alone(umask: None, home: Path) -> None:
    assert mode(cache_folder()) == 0o700
    assert mode(record_folder(home)) == 0o700


def test_folders_that_are_open_to_others_are_closed(umask: None, home: Path) -> None:
    """Such as those that an earlier layerlab made."""
    for folder in (home / "cache/layerlab", home / ".layerlab"):
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    assert mode(cache_folder()) == mode(record_folder(home)) == 0o700


def test_a_runs_folder_and_the_memory_of_images_are_below_it(umask: None) -> None:
    with leftovers.running() as run:
        assert run.folder.is_relative_to(cache_folder())
        assert mode(cache_folder()) == 0o700
    memory = of_user().path
    assert memory is not None
    assert memory.parent == cache_folder()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder away: root")
def test_a_cache_of_another_user_is_refused(home: Path) -> None:
    folder = home / "cache/layerlab"
    folder.mkdir(parents=True)
    os.chown(folder, 65534, 65534)
    with pytest.raises(LabError, match="belongs to another user: set XDG_CACHE_HOME"):
        cache_folder()


def test_where_nothing_can_be_written_there_is_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    assert not cache_folder().exists()
