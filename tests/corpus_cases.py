"""The corpus: Dockerfiles, contexts and compose files that mean harm or are merely wrong, and what is expected.

Each is a folder of ``corpus/``: a ``Dockerfile``, an ``app`` (else there is one empty file), or a ``compose``; and
``case.toml``, whose keys are those of :class:`Corpus`.
"""

import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from layerlab.engine.limits import MEBIBYTE, Limits, Profile
from layerlab.text import plain

FOLDER = Path(__file__).parent / "corpus"
#: Small, so that an attempt to go beyond is over soon, and takes nothing from others on this machine.
SMALL = Profile(
    build=Limits(memory_bytes=128 * MEBIBYTE, processes=64, disk_bytes=96 * MEBIBYTE),
    container=Limits(memory_bytes=256 * MEBIBYTE, processes=100, disk_bytes=64 * MEBIBYTE),
    build_seconds=20,
    output_bytes=MEBIBYTE // 4,
)


@dataclass(frozen=True)
class Corpus:
    """One case."""

    name: str
    #: What it tries.
    tries: str
    #: "refused" before anything is built, "fails" to build, "unmet" since its app can't be measured, "passes".
    verdict: str
    #: A regular expression of what its author is told.
    sentence: str
    #: Within how many seconds all of it is over.
    seconds: float
    #: What the Dockerfile is called.
    file: str = "student.Dockerfile"
    build_seconds: float = SMALL.build_seconds
    start_seconds: float = 3
    #: How long an app that answers may take until it goes wrong.
    later_seconds: float = 0

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def composes(self) -> bool:
        """Whether it is a compose file."""
        return (self.folder / "compose").is_dir()

    def copied(self, folder: Path) -> Path:
        """Its Dockerfile, in a project that has its app."""
        if (self.folder / "app").is_dir():
            shutil.copytree(self.folder / "app", folder / "app", symlinks=True)
        else:
            (folder / "app").mkdir()
            (folder / "app" / "main.py").write_text("")
        copy = folder / self.file
        copy.write_bytes((self.folder / "Dockerfile").read_bytes())
        return copy

    def is_told_by(self, error: Exception, folder: Path) -> str:
        """See to it that an error says what is expected, in text that harms no terminal; returns it."""
        told = plain(str(error)).replace(f"{folder}/", "")
        assert re.search(self.sentence, told), told
        assert len(told) < 4000
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", told)
        return told


def corpus(*verdicts: str) -> list[Corpus]:
    """The cases with these verdicts."""
    found = [
        Corpus(file.parent.name, **tomllib.loads(file.read_text()))
        for file in sorted(FOLDER.glob("*/case.toml"))
    ]
    return [one for one in found if one.verdict in verdicts]
