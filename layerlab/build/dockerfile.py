"""A Dockerfile's instructions, stages and base images, with their lines.

Follows BuildKit's reader (moby/buildkit, ``frontend/dockerfile/parser`` and ``dockerfile2llb``) as far as
a measurement needs it: which line each numbered step of a build stands on, and which images must
be present. Whether a Dockerfile is *right* is BuildKit's to say, in the build.
"""

import re
from dataclasses import dataclass

_DIRECTIVE = re.compile(r"^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$")
_HEREDOC = re.compile(r"""(?<![\w<])\d*<<(-?)(["']?)([A-Za-z_][\w.]*)\2""")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?([-+?])([^}]*))?\}|(\w+))")
#: Instructions that BuildKit numbers as steps, after FROM which is step 1 of its stage.
NUMBERED = ("RUN", "COPY", "ADD", "WORKDIR")
_WITH_HEREDOC = ("RUN", "COPY", "ADD")


@dataclass(frozen=True)
class Instruction:
    """One instruction; ``line`` and ``end_line`` count from 1."""

    keyword: str
    #: What follows the keyword, continuation lines joined and here-documents appended.
    value: str
    line: int
    end_line: int


@dataclass(frozen=True)
class Stage:
    """A build stage: its FROM and what follows it."""

    index: int
    #: The name in lower case, as BuildKit keeps it; None without AS.
    name: str | None
    base: str
    instructions: tuple[Instruction, ...]

    def numbered(self) -> list[Instruction]:
        """The instructions that become steps: position 1 is FROM, 2 is the next, …"""
        first, *rest = self.instructions
        return [first, *(i for i in rest if i.keyword in NUMBERED)]


@dataclass(frozen=True)
class Dockerfile:
    """A Dockerfile as read; an unreadable line is left for BuildKit to complain about."""

    directives: dict[str, str]
    instructions: tuple[Instruction, ...]
    stages: tuple[Stage, ...]

    @property
    def syntax(self) -> str | None:
        """The frontend that a ``# syntax=`` line asks for."""
        return self.directives.get("syntax")

    def find(self, stage: str, position: int) -> Instruction | None:
        """The instruction of a step named ``[stage position/total]``.

        BuildKit leaves ``stage`` empty when the only stage has no name, and calls the others
        without a name ``stage-N``.
        """
        for candidate in self.stages:
            label = candidate.name or ("" if len(self.stages) == 1 else f"stage-{candidate.index}")
            steps = candidate.numbered()
            if label == stage.lower() and position <= len(steps):
                return steps[position - 1]
        return None

    def stage_index(self, stage: str) -> int:
        """The order of a step's stage in the file; unknown ones come last."""
        for candidate in self.stages:
            if stage.lower() in (candidate.name, f"stage-{candidate.index}"):
                return candidate.index
        return len(self.stages)

    def images(self) -> list[str]:
        """The images that the build takes from outside: FROM, COPY --from and mounts, in order.

        Build arguments have their default values, as in a build without ``--build-arg``. ``scratch``,
        earlier stages and names that stay unknown are left out.
        """
        arguments = self._global_arguments()
        found: list[str] = []
        stages: set[str] = set()
        for stage in self.stages:
            for image in (expand(stage.base, arguments), *_sources(stage)):
                known = image.lower() in stages or image.isdigit() or image == "scratch"
                if image and not known and "$" not in image and image not in found:
                    found.append(image)
            if stage.name:
                stages.add(stage.name)
        return found

    def _global_arguments(self) -> dict[str, str]:
        arguments: dict[str, str] = {}
        for instruction in self.instructions:
            if instruction.keyword == "FROM":
                break
            if instruction.keyword == "ARG":
                for word in instruction.value.split():
                    name, equals, value = word.partition("=")
                    if equals:
                        arguments[name] = expand(value.strip("\"'"), arguments)
        return arguments


def parse(text: str) -> Dockerfile:
    """Read a Dockerfile's text; CRLF line ends and a byte order mark are allowed."""
    lines = text.removeprefix("\ufeff").splitlines()
    directives = _directives(lines)
    escape = directives.get("escape", "\\")
    instructions = []
    number = 0
    while number < len(lines):
        stripped = lines[number].strip()
        if not stripped or stripped.startswith("#"):
            number += 1
            continue
        instruction, number = _read(lines, number, escape)
        instructions.append(instruction)
    return Dockerfile(directives, tuple(instructions), _stages(instructions))


def _directives(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        match = _DIRECTIVE.match(line.strip())
        if not match or match[1].lower() not in ("syntax", "escape", "check"):
            break
        found[match[1].lower()] = match[2]
    return found


def _read(lines: list[str], start: int, escape: str) -> tuple[Instruction, int]:
    """One instruction from index ``start`` on, and the index of the line behind it."""
    joined, end = "", start
    for end in range(start, len(lines)):
        line = lines[end]
        if end > start and (not line.strip() or line.lstrip().startswith("#")):
            continue  # BuildKit skips comments and blank lines inside a continued instruction.
        body = line.rstrip()
        joined += body.removesuffix(escape)
        if not body.endswith(escape):
            break
    keyword, _, value = joined.strip().partition(" ")
    if "\t" in keyword:
        keyword, _, value = joined.strip().partition("\t")
    keyword, value = keyword.upper(), value.strip()
    after = end + 1
    if keyword in _WITH_HEREDOC:
        for strip_tabs, _, terminator in _HEREDOC.findall(value):
            body_lines, after = _heredoc(lines, after, terminator, bool(strip_tabs))
            value += "".join(f"\n{line}" for line in body_lines)
    return Instruction(keyword, value, start + 1, after), after


def _heredoc(
    lines: list[str], start: int, terminator: str, strip_tabs: bool
) -> tuple[list[str], int]:
    body = []
    for index in range(start, len(lines)):
        line = lines[index].lstrip("\t") if strip_tabs else lines[index]
        if line == terminator:
            return body, index + 1
        body.append(line)
    return body, len(lines)


def _stages(instructions: list[Instruction]) -> tuple[Stage, ...]:
    groups: list[list[Instruction]] = []
    for instruction in instructions:
        if instruction.keyword == "FROM":
            groups.append([instruction])
        elif groups:
            groups[-1].append(instruction)
    stages = []
    for index, group in enumerate(groups):
        words = [word for word in group[0].value.split() if not word.startswith("--")]
        named = len(words) == 3 and words[1].upper() == "AS"
        name = words[2].lower() if named else None
        stages.append(Stage(index, name, words[0] if words else "", tuple(group)))
    return tuple(stages)


def _sources(stage: Stage) -> list[str]:
    """Images that COPY --from and RUN --mount=…,from= name."""
    found = []
    for instruction in stage.instructions:
        for word in instruction.value.split():
            if not word.startswith("--"):
                break
            if instruction.keyword == "COPY" and word.startswith("--from="):
                found.append(word.removeprefix("--from="))
            if instruction.keyword == "RUN" and word.startswith("--mount="):
                options = word.removeprefix("--mount=").split(",")
                found += [o.removeprefix("from=") for o in options if o.startswith("from=")]
    return found


def expand(text: str, arguments: dict[str, str]) -> str:
    """Replace ``$NAME``, ``${NAME}``, ``${NAME:-word}`` and ``${NAME:+word}``; unknown names stay."""

    def replace(match: re.Match[str]) -> str:
        braced, operator, word, plain = match.groups()
        value = arguments.get(braced or plain)
        if operator == "-":
            return value or word
        if operator == "+":
            return word if value else ""
        return match[0] if value is None else value

    return _VARIABLE.sub(replace, text)
