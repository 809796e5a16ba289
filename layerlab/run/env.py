"""Which of two ways of setting an environment variable wins, by Docker's documented rules.

The rules are data, each with the page that states it; :func:`predict` only looks them up, so that a rule
that is taken away leaves its pairs unpredicted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from layerlab.engine.endpoint import Capabilities, version_tuple

_DOCS = "https://docs.docker.com"
_PRECEDENCE = f"{_DOCS}/compose/how-tos/environment-variables/envvars-precedence/"
_INTERPOLATION = f"{_DOCS}/compose/how-tos/environment-variables/variable-interpolation/"
_SERVICES = f"{_DOCS}/reference/compose-file/services/"
_RUN = f"{_DOCS}/reference/cli/docker/container/run/"
_DOCKERFILE = f"{_DOCS}/reference/dockerfile/"
#: Between these versions compose left out a bare name, and the image's value stayed
#: (docker/compose issue 11962, mended by pull request 11965).
_BARE_IGNORED = ((2, 24, 7), (2, 29))


@dataclass(frozen=True)
class Way:
    """A way of setting an environment variable."""

    number: int
    name: str
    #: "image" (what the image brings along), "run" (docker run) or "compose".
    tool: str
    #: Takes the variable away instead of giving it a value.
    removes: bool = False


IMAGE_ENV = Way(1, "image ENV", "image")
BUILD_ARG = Way(2, "build ARG in ENV", "image")
RUN_FILE = Way(3, "docker run --env-file", "run")
RUN_VALUE = Way(4, "docker run -e K=V", "run")
RUN_BARE = Way(5, "docker run -e K", "run")
RUN_UNSET = Way(6, "-e K, host has none", "run", removes=True)
ENV_FILE = Way(7, "compose env_file", "compose")
LAST_FILE = Way(8, "the last of 2 files", "compose")
LITERAL = Way(9, "environment K: V", "compose")
DOT_ENV = Way(10, "${K} from .env", "compose")
SHELL = Way(11, "${K} from the shell", "compose")
CLI_FILE = Way(12, "${K} from --env-file", "compose")
UNRESOLVED = Way(13, "environment K, bare", "compose", removes=True)
COMPOSE_RUN = Way(14, "compose run -e K=V", "compose")

WAYS: tuple[Way, ...] = (IMAGE_ENV, BUILD_ARG, RUN_FILE, RUN_VALUE, RUN_BARE, RUN_UNSET)
WAYS += (ENV_FILE, LAST_FILE, LITERAL, DOT_ENV, SHELL, CLI_FILE, UNRESOLVED, COMPOSE_RUN)
IMAGE = (IMAGE_ENV, BUILD_ARG)
FLAGS = (RUN_VALUE, RUN_BARE, RUN_UNSET)
FILES = (ENV_FILE, LAST_FILE)
#: Where `${K}` and a bare `K` may get their value from.
SOURCES = (DOT_ENV, SHELL, CLI_FILE)
ATTRIBUTE = (LITERAL, *SOURCES, UNRESOLVED)


@dataclass(frozen=True)
class Rule:
    """Any of ``winners`` beats any of ``losers``."""

    winners: tuple[Way, ...]
    losers: tuple[Way, ...]
    sentence: str
    #: Where it is stated: a page of the documentation, or the engine's source where no page does.
    page: str
    #: What the documentation says instead, where engines do not do it.
    contrary: str = ""


RULES = (
    Rule((IMAGE_ENV,), (BUILD_ARG,), "ENV overrides an ARG of the same name", _DOCKERFILE + "#arg"),
    Rule((RUN_FILE,), IMAGE, "docker run overrides what the image defines", _RUN + "#env"),
    Rule(FLAGS, IMAGE, "docker run -e overrides, or removes, the image's variable", _RUN + "#env"),
    Rule(
        (RUN_VALUE, RUN_BARE),
        (RUN_FILE,),
        "--env-file is read first, and then -e, in any order",
        _RUN + "#env",
    ),
    # Config.Env is then [K=V, K], and a bare entry only takes away what came before the list.
    Rule(
        (RUN_FILE,),
        (RUN_UNSET,),
        "a bare -e takes away the image's value alone",
        "moby container/env.go, ReplaceOrAppendEnvVars",
        contrary="the page says that any -e overrides --env-file, and removes K where the host has none",
    ),
    # The client makes a map of its -e flags, by name.
    Rule(
        (RUN_BARE, RUN_UNSET),
        (RUN_VALUE,),
        "of two -e the later one counts",
        "docker/cli command/container/run.go",
    ),
    Rule(FILES, IMAGE, "env_file overrides the image's ENV", _PRECEDENCE),
    Rule(
        (LAST_FILE,), (ENV_FILE,), "of several env_file the last one wins", _SERVICES + "#env_file"
    ),
    Rule((LITERAL,), IMAGE, "environment overrides the image's ENV", _PRECEDENCE),
    Rule((LITERAL,), FILES, "environment overrides env_file", _SERVICES + "#environment"),
    Rule(SOURCES, (*IMAGE, *FILES), "an interpolated value stands above both", _PRECEDENCE),
    Rule(SOURCES, (LITERAL,), "${K:-V} is V only where K has no value", _INTERPOLATION),
    Rule((SHELL,), (DOT_ENV, CLI_FILE), "the shell stands above any env file", _INTERPOLATION),
    Rule((CLI_FILE,), (DOT_ENV,), "--env-file replaces .env", _INTERPOLATION),
    Rule(SOURCES, (UNRESOLVED,), "a bare name takes the value that a source has", _SERVICES),
    Rule((UNRESOLVED,), IMAGE, "a bare name without a value removes the image's", _SERVICES),
    Rule((UNRESOLVED,), FILES, "environment overrides env_file, even when empty", _SERVICES),
    Rule((COMPOSE_RUN,), (*IMAGE, *FILES, *ATTRIBUTE), "compose run -e overrides all", _PRECEDENCE),
)


@dataclass(frozen=True)
class Pair:
    """Two ways that set one variable; a way with itself is that way alone."""

    one: Way
    other: Way

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways, each once."""
        return (self.one,) if self.one == self.other else (self.one, self.other)

    @property
    def alone(self) -> bool:
        return self.one == self.other

    @property
    def variable(self) -> str:
        """The name of the variable that this pair has for itself."""
        return f"LAB_P_{self.one.number:02}_{self.other.number:02}"

    def __str__(self) -> str:
        return " and ".join(f"`{way.name}`" for way in self.ways)


def pairs(ways: Sequence[Way] = WAYS) -> list[Pair]:
    """Every way alone, and every two ways that can set one variable of one container."""
    every = [Pair(one, other) for one in ways for other in ways if one.number <= other.number]
    return [pair for pair in every if apart(pair) is None]


def apart(pair: Pair) -> str | None:
    """Why two ways can't meet in one container; None where they can."""
    if {"run", "compose"} == {way.tool for way in pair.ways}:
        return "a container is started by docker run or by compose, not by both"
    if set(pair.ways) == {RUN_BARE, RUN_UNSET}:
        return "the host has a value or has none"
    if set(pair.ways) == {LITERAL, UNRESOLVED}:
        return "a name is in environment once, with a value or bare"
    return None


def lacking(way: Way, can: Capabilities) -> str | None:
    """Why an engine and its client do not have a way; None where they do."""
    if way.tool != "compose":
        return None
    if can.compose is None:
        return "this client has no docker compose"
    first, mended = _BARE_IGNORED
    if way == UNRESOLVED and first <= version_tuple(can.compose) < mended:
        return f"compose {can.compose} ignores it (2.24.7 to 2.28 do)"
    return None


def predict(pair: Pair, rules: Sequence[Rule] = RULES) -> tuple[Way, Rule | None] | None:
    """Who wins, and by which rule; a way alone needs none. None where no rule says it."""
    if pair.alone:
        return pair.one, None
    for rule in rules:
        for winner, loser in ((pair.one, pair.other), (pair.other, pair.one)):
            if winner in rule.winners and loser in rule.losers:
                return winner, rule
    return None


def value(way: Way) -> str:
    """What a way gives a variable: told from what all other ways give."""
    return f"from-{way.number:02}"


def winner(pair: Pair, answer: str | None) -> Way | None:
    """Whose value the app answered with; None for a value that neither gave, or a lack of one."""
    for way in pair.ways:
        if answer == (None if way.removes else value(way)):
            return way
    return None
