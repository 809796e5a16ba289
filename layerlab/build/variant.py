"""A variant: one Dockerfile for the app, with what its header comments declare."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from layerlab.build.dockerfile import Dockerfile, parse
from layerlab.build.header import GOALS, Header
from layerlab.build.header import read as read_header
from layerlab.errors import LabError
from layerlab.text import decoded, near, plain

SUFFIX = ".Dockerfile"
#: Of a Dockerfile and of its ignore file, in bytes: BuildKit's own longest message has 16 MiB.
LONGEST = 1 << 20


@dataclass(frozen=True)
class Variant:
    """One Dockerfile for the app."""

    name: str
    path: Path
    #: sha256 of the Dockerfile and of the ignore file beside it, as hexadecimal digits.
    digest: str
    dockerfile: Dockerfile
    header: Header = field(default_factory=Header)

    @property
    def ignore_file(self) -> Path:
        """The ignore file that BuildKit prefers to the context's own .dockerignore."""
        return _ignore_file(self.path)

    @property
    def slug(self) -> str:
        """As a part of an image's name: its name's ASCII letters, and what tells it from all others."""
        kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in self.name.lower())
        unique = hashlib.sha256(self.name.encode() + self.digest.encode()).hexdigest()[:8]
        return "-".join([*filter(None, kept.split("-")), unique])

    def expects(self, experiment: str, scenario: str) -> str:
        """What should happen in a scenario: what the header declares, else the goal."""
        goal = GOALS[experiment][scenario].value
        return self.header.declared.get((experiment, scenario), goal)

    def is_for(self, experiment: str) -> bool:
        """Whether it takes part in an experiment; one that is made for others does not."""
        return self.header.labs is None or experiment in self.header.labs

    def where(self, line: int) -> str:
        """A line of the Dockerfile, as editors and terminals understand it."""
        return f"{self.path.name}:{line}" if line else self.path.name

    def copy_to(self, folder: Path, text: bytes | None = None) -> Path:
        """A copy of the Dockerfile, with its ignore file, that no editor changes during a run.

        ``text`` stands in for its content.
        """
        folder.mkdir(parents=True)
        copy = folder / self.path.name
        copy.write_bytes(self.path.read_bytes() if text is None else text)
        if self.ignore_file.is_file():
            shutil.copy(self.ignore_file, folder)
        return copy


def load(path: Path) -> Variant:
    """Read a variant from a Dockerfile.

    Raises:
        LabError: it can't be read, is empty or too long, or its header is broken (with the line).
    """
    name = variant_name(path)
    if "\n" in name or "\t" in name or plain(name) != name:
        raise LabError(
            f"{name!a}: a name may have no control characters and no marks of direction: rename this "
            "Dockerfile"
        )
    ignore = _ignore_file(path)
    try:
        data = _read(path)
        ignored = _read(ignore) if ignore.is_file() else None
    except OSError as error:
        what = f"{error.filename or path}: {error.strerror}"
        raise LabError(f"{what}: let this user read it, or name another Dockerfile") from error
    text = decoded(data, str(path), "Dockerfile")
    dockerfile = parse(text)
    if not dockerfile.instructions:
        raise LabError(f"{path}: this Dockerfile has no instruction: begin it with `FROM image`")
    header = read_header(text, path)
    content = hashlib.sha256(data)
    if ignored is not None:
        content.update(b"\0" + ignored)
    return Variant(name, path, content.hexdigest(), dockerfile, header)


def _ignore_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.dockerignore")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise LabError(
            f"{path} is longer than {LONGEST >> 20} MiB: name a Dockerfile, and COPY long data"
        )
    return data


def variant_name(path: Path) -> str:
    """``dockerfiles/multi-stage.Dockerfile`` is ``multi-stage``; ``kim/Dockerfile`` is ``kim``."""
    name = path.name.removesuffix(SUFFIX)
    return path.resolve().parent.name if name == "Dockerfile" else name


def discover(folder: Path) -> list[Path]:
    """The Dockerfiles of the project's variants, by name."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def select(folder: Path, asked: Sequence[str], here: Path = Path()) -> list[Path]:
    """The Dockerfiles to use: all of the folder's, or those named (by name, or by path from ``here``).

    Raises:
        LabError: a name is neither a variant nor a file, or two files give one name.
    """
    known = {variant_name(path): path for path in discover(folder)}
    if not asked:
        if not known:
            raise LabError(f"{folder} holds no *{SUFFIX}: add one, or name one with --variant PATH")
        return list(known.values())
    chosen: dict[str, Path] = {}
    for word in asked:
        path = known.get(word)
        if path is None:
            path = here / word
            if path.is_dir():
                path = path / "Dockerfile"
            if not path.is_file():
                raise LabError(
                    f"there is no variant and no file `{word}`{near(word, list(known))}: "
                    f"the variants are {', '.join(known) or 'none'}"
                )
        name = variant_name(path)
        if name in chosen and chosen[name].resolve() != path.resolve():
            raise LabError(
                f"{chosen[name]} and {path} would both be the variant `{name}`: rename one of them"
            )
        chosen[name] = path
    return list(chosen.values())
