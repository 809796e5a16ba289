"""A Dockerfile's instructions, stages and base images, with their lines.

Follows BuildKit's reader (moby/buildkit, ``frontend/dockerfile/parser`` and ``dockerfile2llb``) as far as
a measurement needs it: which line each numbered step of a build stands on, and which images must
be present. Whether a Dockerfile is *right* is BuildKit's to say, in the build.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

_DIRECTIVE = re.compile(r"^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$")
#: What ends a line that goes on in the next: the escape, but not two of them, and blanks.
_CONTINUED = r"(?:^|(?<!{0})){0}[ \t]*$"
#: A here-document is a whole word of the shell: `sh<<EOF` and `"<<EOF"` are none.
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""", re.DOTALL)
_HEREDOC = re.compile(r"\d*<<(-?)([^<]+)", re.DOTALL)
_QUOTING = re.compile(r"""\\(.)|['"]""", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?([-+?])([^${}]*))?\}|(\w+))")
#: Variables that BuildKit itself sets for FROM; what they hold is the engine's to know.
_PLATFORM = re.compile(r"(?:BUILD|TARGET)(?:PLATFORM|OS|ARCH|VARIANT)|TARGETSTAGE")
_STAGE_NUMBER = re.compile("0|[1-9][0-9]{0,6}")
#: Instructions that BuildKit numbers as steps.
NUMBERED = ("RUN", "COPY", "ADD", "WORKDIR")
#: How deep ``${A:-${B}}`` is followed.
MOST_NESTED = 8
LONGEST_ARGUMENT = 1000
_WITH_HEREDOC = ("RUN", "COPY", "ADD")


@dataclass(frozen=True)
class Instruction:
    """One instruction; ``line`` and ``end_line`` count from 1."""

    keyword: str
    #: What follows the keyword, continuation lines joined and here-documents appended.
    value: str
    line: int
    end_line: int

    @property
    def words(self) -> list[str] | None:
        """The command of a CMD, ENTRYPOINT or RUN in exec form; None in shell form.

        As BuildKit, which takes for shell form what is no JSON: a list in single quotes, too.
        """
        try:
            found = json.loads(self.value)
        except (ValueError, RecursionError):
            return None
        is_list = isinstance(found, list) and all(isinstance(word, str) for word in found)
        return found if is_list else None


@dataclass(frozen=True)
class Stage:
    """A build stage: its FROM and what follows it."""

    index: int
    #: The name in lower case, as BuildKit keeps it; None without AS.
    name: str | None
    base: str
    instructions: tuple[Instruction, ...]

    def called(self, name: str) -> bool:
        """Whether a step's ``[name 2/5]`` means this stage.

        BuildKit calls a stage without a name ``stage-N``, and leaves that out where it is the only
        one; a RUN --mount or COPY --from of something else counts as another one.
        """
        return name.lower() == self.name if self.name else name in ("", f"stage-{self.index}")

    def numbered(self) -> list[Instruction]:
        """The instructions after FROM that become steps."""
        return [i for i in self.instructions[1:] if i.keyword in NUMBERED]


@dataclass(frozen=True)
class Dockerfile:
    """A Dockerfile as read; an unreadable line is left for BuildKit to complain about."""

    directives: dict[str, str]
    instructions: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    #: Values of build arguments that are not the file's own.
    arguments: Mapping[str, str] = field(default_factory=dict)
    #: Images that a build is given under their names (``--build-context``).
    given: Collection[str] = ()

    def built_with(
        self, target: str | None, arguments: Mapping[str, str], given: Collection[str]
    ) -> "Dockerfile":
        """The file as a build with these options reads it: its last stage is the target.

        A target that does not exist is left for BuildKit to complain about.
        """
        found = [stage.index for stage in self.stages if target and _is(stage, target)]
        stages = self.stages[: found[-1] + 1] if found else self.stages
        return replace(self, stages=stages, arguments=arguments, given=given)

    @property
    def syntax(self) -> str | None:
        """The frontend that a ``# syntax=`` line asks for."""
        return self.directives.get("syntax")

    def find(self, stage: str, position: int, total: int) -> Instruction | None:
        """The instruction of a step named ``[stage position/total]``.

        It is counted from the stage's end: FROM is a step only where its image comes from outside,
        and the triggers of that image's ONBUILD are steps before the stage's own.
        """
        for candidate in filter(lambda candidate: candidate.called(stage), self.stages):
            own = candidate.numbered()
            index = position - 1 - (total - len(own))
            if 0 <= index < len(own):
                return own[index]
            return candidate.instructions[0] if position == 1 else None
        return None

    def at(self, line: int) -> Instruction | None:
        """The instruction that begins on a line."""
        return next((i for i in self.instructions if i.line == line), None)

    def stage_index(self, stage: str) -> int:
        """The order of a step's stage in the file; unknown ones come last."""
        called = (candidate.index for candidate in self.stages if candidate.called(stage))
        return next(called, len(self.stages))

    def images(self) -> list[str]:
        """The images that the build takes from outside: FROM, COPY --from and mounts, in order.

        Build arguments have their default values where :meth:`built_with` set none. ``scratch``,
        earlier stages and names that stay unknown are left out, and so is what only those stages
        name that the last one does not need: BuildKit does not build them.
        """
        arguments = self._global_arguments()
        needed = {len(self.stages) - 1}
        found: list[list[str]] = []
        for stage in reversed(self.stages):
            if stage.index not in needed:
                continue
            names = (expand(stage.base, arguments), *_sources(stage))
            earlier = {name: self._earlier(name, stage) for name in names}
            needed.update(index for index in earlier.values() if index is not None)
            found.append([name for name, index in earlier.items() if index is None])
        outside = dict.fromkeys(name for names in reversed(found) for name in names)
        return [
            name
            for name in outside
            if name not in ("", "scratch", *self.given) and "$" not in name and not name.isdecimal()
        ]

    def lineage(self) -> tuple[str, list[Instruction]]:
        """The last stage's base image, and the instructions on top of it, lowest first.

        Those of earlier stages that it is built FROM are among them. ONBUILD is not, but what it
        has a later stage do is, with its line. The base is "" where the file has no stage.
        """
        if not self.stages:
            return "", []
        arguments = self._global_arguments()
        stages = [self.stages[-1]]
        base = expand(stages[0].base, arguments)
        while (below := self._earlier(base, stages[-1])) is not None:
            stages.append(self.stages[below])
            base = expand(stages[-1].base, arguments)
        instructions: list[Instruction] = []
        triggers: list[Instruction] = []
        for stage in reversed(stages):
            instructions += triggers
            triggers = []
            for own in stage.instructions[1:]:
                if own.keyword == "ONBUILD":
                    keyword, _, value = own.value.partition(" ")
                    triggers.append(replace(own, keyword=keyword.upper(), value=value.lstrip()))
                else:
                    instructions.append(own)
        return base, instructions

    def launching(self) -> list[Instruction]:
        """The ENTRYPOINT and CMD, in this order, that say what a container's first process is.

        Empty where both are the base image's. An ENTRYPOINT in shell form takes no CMD.
        """
        _, instructions = self.lineage()
        last = {one.keyword: one for one in instructions}
        entrypoint, command = last.get("ENTRYPOINT"), last.get("CMD")
        if entrypoint and entrypoint.words is None:
            return [entrypoint]
        return [one for one in (entrypoint, command) if one]

    def line_naming(self, image: str) -> int:
        """The line that first names an image of :meth:`images`; 0 if none does."""
        arguments = self._global_arguments()
        for stage in self.stages:
            if expand(stage.base, arguments) == image:
                return stage.instructions[0].line
            for instruction in stage.instructions:
                if image in _sources_of(instruction):
                    return instruction.line
        return 0

    def _earlier(self, name: str, user: Stage) -> int | None:
        """The index of the stage before ``user`` that a name means; the last of that name."""
        is_number = _STAGE_NUMBER.fullmatch(name) and int(name) < user.index
        if is_number and name != user.base:
            return int(name)
        indexes = self._named.get(name.lower(), [])
        before = bisect_left(indexes, user.index)
        return indexes[before - 1] if before else None

    @cached_property
    def _named(self) -> dict[str, list[int]]:
        """The indexes of the stages by their name."""
        found: dict[str, list[int]] = {}
        for stage in self.stages:
            if stage.name:
                found.setdefault(stage.name, []).append(stage.index)
        return found

    def _global_arguments(self) -> dict[str, str]:
        arguments: dict[str, str] = {}
        for instruction in self.instructions:
            if instruction.keyword == "FROM":
                break
            if instruction.keyword == "ARG":
                for word in instruction.value.split():
                    name, equals, value = word.partition("=")
                    if name in self.arguments:
                        arguments[name] = self.arguments[name]
                    elif equals:
                        value = expand(value.strip("\"'"), arguments)
                        # Longer is no image's name, and doubling in each line would fill memory.
                        arguments[name] = value[:LONGEST_ARGUMENT]
        return arguments


def _is(stage: Stage, target: str) -> bool:
    return stage.name == target.lower() or str(stage.index) == target


def parse(text: str) -> Dockerfile:
    """Read a Dockerfile's text; CRLF line ends and a byte order mark are allowed."""
    lines = _lines(text)
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


def _lines(text: str) -> list[str]:
    """The lines as BuildKit counts them: only a line feed ends one (``str.splitlines`` has more)."""
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    return lines if lines[-1] else lines[:-1]


def _directives(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        match = _DIRECTIVE.match(line.strip())
        if not match or match[1].lower() not in ("syntax", "escape", "check"):
            break
        # What follows the value of a syntax line is for the frontend.
        found[match[1].lower()] = match[2].split()[0]
    return found


def _read(lines: list[str], start: int, escape: str) -> tuple[Instruction, int]:
    """One instruction from index ``start`` on, and the index of the line behind it."""
    joined, end = "", start
    continued = re.compile(_CONTINUED.format(re.escape(escape)))
    for end in range(start, len(lines)):
        line = lines[end]
        if end > start and (not line.strip() or line.lstrip().startswith("#")):
            continue  # BuildKit skips comments and blank lines inside a continued instruction.
        joined += continued.sub("", line)
        if not continued.search(line):
            break
    keyword, value = (*re.split(r"[ \t\v\f\r]+", joined.strip(), maxsplit=1), "")[:2]
    keyword, after = keyword.upper(), end + 1
    inner = value.split(maxsplit=1)[0].upper() if keyword == "ONBUILD" and value else keyword
    if inner in _WITH_HEREDOC:
        for strip_tabs, terminator in _terminators(value):
            body_lines, after = _heredoc(lines, after, terminator, strip_tabs)
            value += "".join(f"\n{line}" for line in body_lines)
    return Instruction(keyword, value, start + 1, after), after


def _terminators(value: str) -> list[tuple[bool, str]]:
    """The here-documents that an instruction begins: whether tabs are stripped, and the last line."""
    if _WORD.sub("", value).strip():
        return []  # A quote without its end: BuildKit looks no further.
    matches = filter(None, map(_HEREDOC.fullmatch, _WORD.findall(value)))
    return [(bool(m[1]), _QUOTING.sub(lambda q: q[1] or "", m[2])) for m in matches]


def _heredoc(
    lines: list[str], start: int, terminator: str, strip_tabs: bool
) -> tuple[list[str], int]:
    body: list[str] = []
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
        base = words[0].strip("\"'") if words else ""
        stages.append(Stage(index, name, base, tuple(group)))
    return tuple(stages)


def _sources(stage: Stage) -> list[str]:
    return [image for instruction in stage.instructions for image in _sources_of(instruction)]


def _sources_of(instruction: Instruction) -> list[str]:
    """Images that COPY --from and RUN --mount=…,from= name."""
    found = []
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
    """Replace ``$NAME``, ``${NAME}``, ``${NAME:-word}`` and ``${NAME:+word}``, innermost first.

    A name that is not set is empty, as in BuildKit; those of the platform stay.
    """

    def replace(match: re.Match[str]) -> str:
        braced, operator, word, plain = match.groups()
        name = braced or plain
        value = arguments.get(name, "")
        if operator == "+":
            return word if value else ""
        if operator == "-" and not value:
            return str(word)
        return match[0] if _PLATFORM.fullmatch(name) and not value else value

    before = None
    for _ in range(MOST_NESTED):
        # Longer is no image's name, and what doubles with each variable would fill memory.
        before, text = text, _VARIABLE.sub(replace, text[:LONGEST_ARGUMENT])
        if text == before:
            break
    return text[:LONGEST_ARGUMENT]
