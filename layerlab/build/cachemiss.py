"""A rebuild's cost: which steps ran again, and what came before them."""

import re
from collections.abc import Sequence

from layerlab.build.buildx import Build
from layerlab.build.context import Edit
from layerlab.build.progress import Step
from layerlab.build.variant import Variant
from layerlab.text import shorten

#: Options between a program and its verb, each perhaps with a value: ``pip --proxy http://x install``.
_OPTIONS = r"(?:\s+-\S+(?:\s+[^\s-]\S*)??)*\s+"
#: Commands that install an application's dependencies, by package manager.
_INSTALL = re.compile(
    r"(?<![\w.-])(?:"
    rf"pip[\d.]*{_OPTIONS}(?:install|wheel|download)"
    rf"|pip-sync|uv{_OPTIONS}(?:sync|pip{_OPTIONS}(?:install|sync))"
    rf"|(?:poetry|pdm|rye|pipenv|conda|mamba|micromamba){_OPTIONS}(?:env\s+)?(?:install|sync|create)"
    rf"|(?:npm|pnpm|yarn|bun){_OPTIONS}(?:ci|install|i)"
    r"|yarn(?:\s+-\S+)*\s*$"
    r"|bundle\s+install|composer\s+install|go\s+mod\s+download|cargo\s+fetch"
    r")(?![\w.-])"
)
_FLAG = r"\s+-(?!r|e|-req|-edit)\S+"
_TOOL = r"\s+(?:pip|setuptools|wheel|uv|poetry|pipenv|pdm|npm|pnpm|yarn)(?:[=<>~!@]\S*)?(?!\S)"
#: An install of nothing but tools, before there are requirements: pip itself, poetry, …
_TOOLING = re.compile(rf"install(?:{_FLAG})*{_TOOL}(?:{_FLAG}|{_TOOL})*\s*$")
#: Words that only print what follows them.
_PRINTS = re.compile(r"^\s*(?:#|echo\b|printf\b)")
#: What stands around the words of ``RUN ["pip", "install"]`` and of ``sh -c "pip install"``.
_PUNCTUATION = str.maketrans(dict.fromkeys("[]\"',(){}", " "))


def installs_dependencies(variant: Variant, step: Step) -> bool:
    """Whether a step is a dependency install, by the words of its instruction."""
    if step.keyword != "RUN":
        return False
    found = variant.dockerfile.at(step.line)
    text = found.value if found else step.instruction
    return any(map(_installs, re.split(r"&&|[|;&\n]", text)))


def _installs(command: str) -> bool:
    if _PRINTS.match(command):
        return False
    # An extra such as uvicorn[standard] and a condition such as 'uv<1' only get spaces.
    words = command.translate(_PUNCTUATION)
    return bool(_INSTALL.search(words)) and not _TOOLING.search(words)


def cost(variant: Variant, build: Build) -> str:
    """What a rebuild cost: "nothing", "copy" (steps ran, no dependency install) or "install"."""
    if any(installs_dependencies(variant, step) for step in build.ran):
        return "install"
    return "copy" if build.ran else "nothing"


def invalid_cold(build: Build) -> str | None:
    """Why a cold build is no measurement of one: a step came from the cache."""
    return _blame("was cached in a cold build", [s for s in build.counted if s.cached])


def invalid_no_change(build: Build) -> str | None:
    """Why a rebuild without a change is no measurement of one: a step was run."""
    return _blame("ran although nothing was changed", build.ran)


def _blame(what: str, steps: Sequence[Step]) -> str | None:
    return f"{steps[0].label} {shorten(steps[0].instruction)} {what}" if steps else None


def explain(variant: Variant, build: Build, edit: Edit, expected: str) -> str:
    """Why a rebuild did not cost what was expected, for the Dockerfile's author."""
    got = cost(variant, build)
    changed = f"the edit of {edit.path}" if edit.path else "a rebuild without a change"
    if not build.ran:
        return (
            f"{variant.path.name}: {changed} ran no step at all, so the image is not the new one; "
            f"expected: {_meaning(expected)}. Does a COPY take {edit.path} into the image?"
        )
    first = build.ran[0]
    sentence = (
        f"{_place(variant, first)}: after {changed}, {first.label} {shorten(first.instruction)} "
        f"was the first step to run again; expected: {_meaning(expected)}, got: {_meaning(got)}."
    )
    lines = [sentence]
    install = next((step for step in build.ran if installs_dependencies(variant, step)), None)
    if install and install != first:
        lines.append(
            f"{_place(variant, install)}: {install.label} {shorten(install.instruction)} had to run "
            f"again ({install.seconds:.2f} s) because that step stands before it."
        )
    if expected == "nothing" and edit.path:
        lines.append(
            f"List {edit.path} in {variant.ignore_file.name}, or name what to copy: "
            "what is not sent can't change a step."
        )
    elif install and install != first and expected == "copy":
        lines.append(
            "Copy only what the install needs first (COPY requirements.txt .), install, and copy "
            "the rest after it."
        )
    return "\n".join(lines)


def _place(variant: Variant, step: Step) -> str:
    return variant.where(step.line)


def _meaning(value: str) -> str:
    return {
        "nothing": "every step reused",
        "copy": "steps run, but no dependency install",
        "install": "the dependencies installed again",
    }[value]
