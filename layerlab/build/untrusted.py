"""What a Dockerfile that nobody vouches for may not ask for: said before anything of it is built."""

import json
import re
from collections.abc import Iterator

from layerlab.build.dockerfile import Instruction
from layerlab.build.frontend import is_official
from layerlab.build.variant import Variant
from layerlab.errors import LabError

#: The other forms of a frontend's line that BuildKit knows (moby/buildkit, frontend/dockerfile/parser,
#: DetectSyntax): behind a shebang, after `//`, in JSON.
_DIRECTIVE = re.compile(r"^\s*(?:#|//)\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S+)")
#: Options of RUN that BuildKit grants only who asks for them on the command line, too, which layerlab never
#: does (https://docs.docker.com/reference/dockerfile/#run---security).
_OPTIONS = {
    "--security=insecure": "rights over the engine's machine",
    "--network=host": "the network of the engine's machine",
    "--device": "a device of the engine's machine",
    "--mount=type=ssh": "an SSH key",
    "--mount=type=secret": "a secret",
}


def check(variant: Variant) -> None:
    """See to it that a Dockerfile asks for nothing that an untrusted build is not given.

    Raises:
        LabError: it does, with the line.
    """
    text = variant.path.read_bytes().decode("utf-8-sig")
    if found := frontend(text):
        line, name = found
        if not is_official(name):
            raise LabError(
                f"{variant.where(line)}: the frontend {name} is a program that would run on the engine, and "
                "--untrusted takes none but docker/dockerfile: remove the line"
            )
    for instruction in variant.dockerfile.instructions:
        for option, what in _OPTIONS.items():
            if any(_asks(word, option) for word in _options(instruction)):
                raise LabError(
                    f"{variant.where(instruction.line)}: `RUN {option}` asks for {what}, and an untrusted "
                    "build is given none: remove it"
                )


def frontend(text: str) -> tuple[int, str] | None:
    """The line from 1 and the image of a frontend that a Dockerfile asks for, in whatever form."""
    lines = text.removeprefix("\ufeff").split("\n")
    first = 1 if lines[0].startswith("#!") else 0
    for comment in ("#", "//"):
        for number, line in enumerate(lines[first:], first + 1):
            match = _DIRECTIVE.match(line)
            if not match or not line.lstrip().startswith(comment):
                break
            if match[1].lower() == "syntax":
                return number, match[2]
    try:
        found = json.loads("\n".join(lines[first:]))
    except (ValueError, RecursionError):
        return None
    named = found.get("syntax") if isinstance(found, dict) else None
    return (first + 1, named.split(" ")[0]) if isinstance(named, str) else None


def _options(instruction: Instruction) -> Iterator[str]:
    """The options of a RUN, also of one that ONBUILD keeps for later; a mount's type comes first."""
    words = instruction.value.split()
    if instruction.keyword == "ONBUILD" and words and words[0].upper() == "RUN":
        words = words[1:]
    elif instruction.keyword != "RUN":
        return
    for word in words:
        if not word.startswith("--"):
            return
        name, _, value = word.lower().partition("=")
        parts = value.split(",")
        parts.sort(key=lambda part: not part.startswith("type="))
        yield f"{name}={','.join(parts)}"


def _asks(word: str, option: str) -> bool:
    return word == option or word.startswith((f"{option}=", f"{option},"))
