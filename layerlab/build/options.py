"""Options of a build that the user gives, as ``docker buildx build`` takes them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from layerlab.errors import LabError

#: Shorter values are words that stand everywhere, and no secret.
_SHORTEST_HIDDEN = 4
_SHORTEST_LINE = 8


@dataclass(frozen=True)
class Options:
    """What a build is told beyond its Dockerfile and context."""

    #: As the command's words; paths in them are absolute.
    words: tuple[str, ...] = ()
    target: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    #: Names that ``--build-context`` gives to something.
    given: tuple[str, ...] = ()
    #: What must never be shown or kept, and what stands for it.
    hidden: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def masked(self, text: str) -> str:
        """A text from a build without the values of secrets and build arguments."""
        for value, stand_in in self.hidden:
            text = text.replace(value, stand_in)
        return text


def read(
    given: Mapping[str, Sequence[str]], here: Path, environ: Mapping[str, str] = os.environ
) -> Options:
    """The options by their names (``build-arg``, ``secret``, …) and values; paths are relative to ``here``.

    Raises:
        LabError: one is not written as buildx takes it, or names a file that can't be read.
    """
    words: list[str] = []
    hidden: dict[str, str] = {}
    arguments: dict[str, str] = {}
    contexts: list[str] = []
    target = None
    for option, values in given.items():
        for value in values:
            if option == "build-arg":
                name, equals, content = value.partition("=")
                if not name:
                    raise LabError(
                        "--build-arg: write NAME=VALUE, or NAME for the variable of that name"
                    )
                if equals or name in environ:
                    arguments[name] = content if equals else environ[name]
                    hidden.setdefault(arguments[name], f"${name}")
                words += ["--build-arg", value]
            elif option == "secret":
                text, contents = _secret(value, here, environ)
                hidden.update(dict.fromkeys(contents, "(secret)"))
                words += ["--secret", text]
            elif option == "ssh":
                words += ["--ssh", _ssh(value, here)]
            elif option == "build-context":
                name, text = _context(value, here)
                contexts.append(name)
                words += ["--build-context", text]
            elif option == "platform" and "," in value:
                raise LabError(f"--platform {value}: give one platform: its image is measured")
            else:
                target = value if option == "target" else target
                words += [f"--{option}", value]
    longest_first = sorted(hidden.items(), key=lambda pair: -len(pair[0]))
    kept = tuple(pair for pair in longest_first if len(pair[0]) >= _SHORTEST_HIDDEN)
    return Options(tuple(words), target, arguments, tuple(contexts), kept)


def without_values(words: Sequence[str]) -> Iterator[str]:
    """The words of a command line without the values of build arguments, to be shown and kept."""
    before = ""
    for word in words:
        option, equals, value = word.partition("=")
        if before == "--build-arg":
            option, equals, value = "", "", word
        if before == "--build-arg" or (option == "--build-arg" and equals):
            name, has_value, _ = value.partition("=")
            yield f"{option}{equals}{name}{'=…' if has_value else ''}"
        else:
            yield word
        before = word


def _fields(option: str, value: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in value.split(",")]
    if not all(name and equals for name, equals, _ in pairs):
        raise LabError(f"--{option}: write id=NAME,src=FILE or id=NAME,env=VARIABLE")
    return {name.strip().lower(): content for name, _, content in pairs}


def _secret(value: str, here: Path, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """A secret as buildx is told it, and what must be hidden of it."""
    fields = _fields("secret", value)
    identity = fields.get("id", "")
    variable = fields.get("env", "")
    source = fields.get("src", fields.get("source", ""))
    if fields.get("type") == "env":
        variable = variable or source or identity
    elif not variable and not source:
        # As buildx: without either, the variable of that name, else the file.
        variable, source = (identity, "") if identity in environ else ("", identity)
    if variable:
        if variable not in environ:
            raise LabError(
                f"--secret id={identity}: there is no variable {variable} in the environment"
            )
        return value, _lines(environ[variable])
    path = (here / source).absolute()
    try:
        content = path.read_bytes().decode(errors="replace")
    except OSError as error:
        raise LabError(f"--secret id={identity}: {path}: {error.strerror}: name a file") from error
    return f"id={identity},src={path}", _lines(content)


def _lines(content: str) -> list[str]:
    lines = [line.strip() for line in content.splitlines()]
    return [content.strip(), *(line for line in lines if len(line) >= _SHORTEST_LINE)]


def _ssh(value: str, here: Path) -> str:
    name, equals, paths = value.partition("=")
    if not equals:
        return value
    return f"{name}={','.join(str((here / path).absolute()) for path in paths.split(','))}"


def _context(value: str, here: Path) -> tuple[str, str]:
    name, equals, target = value.partition("=")
    if not name or not equals or not target:
        raise LabError(f"--build-context {value}: write NAME=FOLDER, or NAME=docker-image://IMAGE")
    if "://" in target or target.startswith(("target:", "git@")):
        return name, value
    folder = (here / target).absolute()
    if not folder.is_dir():
        raise LabError(f"--build-context {value}: {folder} is not a folder")
    return name, f"{name}={folder}"
