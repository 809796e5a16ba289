"""A variant's header: the comments ``# layerlab.KEY: VALUE`` above its first instruction."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from layerlab.errors import LabError
from layerlab.text import near, plain, shorten

#: What a rebuild may cost, from least to most: every step reused; steps ran, but none that installs
#: dependencies; a dependency install ran.
COSTS = ("nothing", "copy", "install")
#: Declared where it is not the Dockerfile's to say what happens.
ANY = "any"
_HEADER = re.compile(r"^#\s*layerlab\.([^\s:]*)\s*(?::(.*)|.*)$")
_WORDS = ("title", "teaches", "labs", "differs-from")


@dataclass(frozen=True)
class Goal:
    """What should happen in a scenario of an experiment."""

    value: str
    #: What a header may declare instead.
    allowed: tuple[str, ...]


def _rebuild(value: str) -> Goal:
    return Goal(value, COSTS)


_CLEAN = Goal("none", ("none", "kept", ANY))
#: The goals that each experiment holds a variant to, unless its header says otherwise.
GOALS: Mapping[str, Mapping[str, Goal]] = {
    "layer-cache": {
        "no-change": _rebuild("nothing"),
        "source-edit": _rebuild("copy"),
        "requirements-edit": _rebuild("install"),
        "unrelated-edit": _rebuild("nothing"),
    },
    "image-size": {
        "package-cache": _CLEAN,
        "apt-lists": _CLEAN,
        "compilers": _CLEAN,
        "version-control": _CLEAN,
        "waste": Goal("little", ("little", "much", ANY)),
        # Against the variant that it differs from.
        "effect": Goal("smaller", ("smaller", "same", "larger", ANY)),
    },
    "healthcheck": {
        # The first state after `starting`.
        "start": Goal("healthy", ("healthy", "unhealthy", ANY)),
        # What becomes of it when /health answers 503.
        "fault": Goal("unhealthy", ("unhealthy", "unseen", ANY)),
    },
    "live-reload": {},
    "shutdown": {
        # The app's shutdown hook ran; it ended at once without it; it was killed after the grace.
        "stop": Goal("clean", ("clean", "abrupt", "killed", ANY)),
        # A request that was in flight.
        "request": Goal("answered", ("answered", "lost", ANY)),
    },
    # What a push after an edit sends follows from what the layer cache's lab expects.
    "registry": {},
    # As the web service of the stack.
    "stack": {"web": Goal("serves", ("serves", "fails", ANY))},
}


@dataclass(frozen=True)
class Header:
    """What a Dockerfile says of itself."""

    title: str = ""
    teaches: str = ""
    #: The experiments that it is made for; None means all.
    labs: tuple[str, ...] | None = None
    #: The variant from which it differs in one factor, and that factor.
    differs_from: tuple[str, str] | None = None
    #: What differs from the goal: (experiment, scenario) -> what should happen.
    declared: Mapping[tuple[str, str], str] = field(default_factory=dict)


def read(text: str, path: Path) -> Header:
    """The header of a Dockerfile.

    Raises:
        LabError: a key, scenario or value that does not exist, or one given twice (with its line).
    """
    words: dict[str, str] = {}
    declared: dict[tuple[str, str], str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            break
        match = _HEADER.match(stripped)
        if not match:
            continue
        if problem := _enter(match[1], (match[2] or "").strip(), words, declared):
            raise LabError(f"{path}:{number}: {plain(problem)}")
    return Header(
        title=words.get("title", ""),
        teaches=words.get("teaches", ""),
        labs=tuple(_listed(words["labs"])) if "labs" in words else None,
        differs_from=_pair(words["differs-from"]) if "differs-from" in words else None,
        declared=declared,
    )


def _enter(
    key: str, value: str, words: dict[str, str], declared: dict[tuple[str, str], str]
) -> str | None:
    """Take in one line; returns what is wrong with it."""
    if not value:
        name = shorten(key)
        return f"the header `layerlab.{name}` has no value: write `# layerlab.{name}: …`"
    twice = f"the header `layerlab.{key}` is given twice: keep one"
    if key in _WORDS:
        if key in words:
            return twice
        words[key] = value
        return _wrong_word(key, value)
    expectations = [f"expect.{e}.{s}" for e, scenarios in GOALS.items() for s in scenarios]
    if key not in expectations:
        return f"there is no header `layerlab.{shorten(key)}`{near(key, [*_WORDS, *expectations])}"
    _, experiment, scenario = key.split(".")
    allowed = GOALS[experiment][scenario].allowed
    if value not in allowed:
        return f"`{shorten(value)}` can't be expected{near(value, allowed)}: write one of {', '.join(allowed)}"
    if (experiment, scenario) in declared:
        return twice
    declared[experiment, scenario] = value
    return None


def _wrong_word(key: str, value: str) -> str | None:
    if key == "labs":
        unknown = next((lab for lab in _listed(value) if lab not in GOALS), None)
        if unknown:
            return (
                f"there is no lab `{shorten(unknown)}`{near(unknown, list(GOALS))}: there are "
                f"{', '.join(GOALS)}"
            )
    if key == "differs-from" and not all(_pair(value)):
        return "write `# layerlab.differs-from: NAME: the one factor in which it differs`"
    return None


def _listed(value: str) -> list[str]:
    return value.replace(",", " ").split()


def _pair(value: str) -> tuple[str, str]:
    name, _, factor = value.partition(":")
    return name.strip(), factor.strip()
