"""A variant: one Dockerfile for the app, with what its header comments declare."""

import difflib
import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from layerlab.build.dockerfile import Dockerfile, parse
from layerlab.errors import LabError

SUFFIX = ".Dockerfile"
#: What a rebuild may cost, from least to most: every step reused; steps ran, but none that installs
#: dependencies; a dependency install ran.
COSTS = ("nothing", "copy", "install")
#: The goal that each experiment's scenarios hold a variant to, unless its header says otherwise.
GOALS: Mapping[str, Mapping[str, str]] = {
    "layer-cache": {
        "no-change": "nothing",
        "source-edit": "copy",
        "requirements-edit": "install",
        "unrelated-edit": "nothing",
    },
}
_HEADER = re.compile(r"^#\s*layerlab\.([^\s:]*)\s*(?::(.*)|.*)$")


@dataclass(frozen=True)
class Variant:
    """One Dockerfile for the app."""

    name: str
    path: Path
    #: sha256 of the Dockerfile and of the ignore file beside it, as hexadecimal digits.
    digest: str
    dockerfile: Dockerfile
    title: str = ""
    teaches: str = ""
    #: What differs from the goal: (experiment, scenario) -> what should happen.
    declared: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def ignore_file(self) -> Path:
        """The ignore file that BuildKit prefers to the context's own .dockerignore."""
        return self.path.with_name(f"{self.path.name}.dockerignore")

    def expects(self, experiment: str, scenario: str) -> str:
        """What should happen in a scenario: what the header declares, else the goal."""
        return self.declared.get((experiment, scenario), GOALS[experiment][scenario])

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
        LabError: it can't be read, is empty, or its header is broken (with the line).
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LabError(
            f"{path}:{line}: this Dockerfile is not UTF-8 text: save it as UTF-8"
        ) from error
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}: name a Dockerfile that can be read") from error
    dockerfile = parse(text)
    if not dockerfile.instructions:
        raise LabError(f"{path}: this Dockerfile has no instruction: begin it with `FROM image`")
    title, teaches, declared = read_header(text, path)
    ignore = path.with_name(f"{path.name}.dockerignore")
    content = hashlib.sha256(data)
    if ignore.is_file():
        content.update(b"\0" + ignore.read_bytes())
    return Variant(
        variant_name(path), path, content.hexdigest(), dockerfile, title, teaches, declared
    )


def variant_name(path: Path) -> str:
    """``dockerfiles/multi-stage.Dockerfile`` is ``multi-stage``; ``kim/Dockerfile`` is ``kim``."""
    name = path.name.removesuffix(SUFFIX)
    return path.resolve().parent.name if name == "Dockerfile" else name


def read_header(text: str, path: Path) -> tuple[str, str, dict[tuple[str, str], str]]:
    """The title, the lesson and the expectations of the comments ``# layerlab.KEY: VALUE``.

    Raises:
        LabError: a key, scenario or value that does not exist, or one given twice.
    """
    fields: dict[str, str] = {}
    declared: dict[tuple[str, str], str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            break
        match = _HEADER.match(stripped)
        if not match:
            continue
        key, value = match[1], (match[2] or "").strip()
        problem = _enter(key, value, fields, declared)
        if problem:
            raise LabError(f"{path}:{number}: {problem}")
    return fields.get("title", ""), fields.get("teaches", ""), declared


def _enter(
    key: str, value: str, fields: dict[str, str], declared: dict[tuple[str, str], str]
) -> str | None:
    """Take in one header; returns what is wrong with it."""
    if not value:
        return f"the header `layerlab.{key}` has no value: write `# layerlab.{key}: …`"
    if key in ("title", "teaches"):
        if key in fields:
            return f"the header `layerlab.{key}` is given twice: keep one"
        fields[key] = value
        return None
    expectations = [f"expect.{e}.{s}" for e, scenarios in GOALS.items() for s in scenarios]
    if key not in expectations:
        return (
            f"there is no header `layerlab.{key}`{_near(key, ['title', 'teaches', *expectations])}"
        )
    _, experiment, scenario = key.split(".")
    if value not in COSTS:
        return f"`{value}` can't be expected{_near(value, COSTS)}: write one of {', '.join(COSTS)}"
    if (experiment, scenario) in declared:
        return f"the header `layerlab.{key}` is given twice: keep one"
    declared[experiment, scenario] = value
    return None


def _near(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean `{close[0]}`?)" if close else ""


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
                    f"there is no variant and no file `{word}`{_near(word, list(known))}: "
                    f"the variants are {', '.join(known) or 'none'}"
                )
        name = variant_name(path)
        if name in chosen and chosen[name].resolve() != path.resolve():
            raise LabError(
                f"{chosen[name]} and {path} would both be the variant `{name}`: rename one of them"
            )
        chosen[name] = path
    return list(chosen.values())
