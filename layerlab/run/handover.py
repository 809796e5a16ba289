"""How a container is handed its variables: the Dockerfile, flags, files and shells that say them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layerlab.run import env, spelling
from layerlab.run.env import Way

#: What the first of two env files says, which the last one is to overrule.
OVERRULED = "from-the-first-of-two"


@dataclass(frozen=True)
class Setting:
    """One variable, and the text that each of one or two ways gives it."""

    variable: str
    given: Mapping[Way, str]

    @property
    def start(self) -> "Start":
        """How the container that shows it has to be started."""
        if not any(way.tool == "compose" for way in self.given):
            return DOCKER_RUN
        return Start("compose", env.CLI_FILE in self.given, env.COMPOSE_RUN in self.given)


@dataclass(frozen=True)
class Start:
    """A way to start a container, which shows all settings that need this one."""

    tool: str
    #: Whether `docker compose` gets `--env-file`, which puts it in place of `.env`.
    env_file: bool = False
    #: `docker compose run` instead of `docker compose up`.
    one_off: bool = False


DOCKER_RUN = Start("run")


def dockerfile(base: str, settings: Sequence[Setting]) -> str:
    """An image on top of ``base`` with the variables of the image's ways.

    A variable of both has its value in ENV, and the ARG of its name gets another.
    """
    lines = [f"FROM {base}"]
    if args := [one.variable for one in settings if env.BUILD_ARG in one.given]:
        lines.append("ARG " + " ".join(args))
    variables = [
        f"{one.variable}={spelling.dockerfile(one.given[env.IMAGE_ENV])}"
        if env.IMAGE_ENV in one.given
        else f"{one.variable}=${{{one.variable}}}"
        for one in settings
        if set(one.given) & set(env.IMAGE)
    ]
    lines.append("ENV " + " \\\n    ".join(variables))
    return "\n".join(lines) + "\n"


def pick(settings: Iterable[Setting], way: Way) -> dict[str, str]:
    """The variables that a way gives, each with its text."""
    return {one.variable: one.given[way] for one in settings if way in one.given}


def run_flags(settings: Iterable[Setting]) -> list[str]:
    """The words after each `-e` of `docker run`; of two for one variable the bare one is last."""
    flags = []
    for one in settings:
        for way in sorted(one.given, key=lambda way: way.number):
            if way == env.RUN_VALUE:
                flags.append(f"{one.variable}={one.given[way]}")
            elif way in env.FLAGS:
                flags.append(one.variable)
    return flags


def compose_flags(settings: Iterable[Setting]) -> list[str]:
    """The words after each `-e` of `docker compose run`."""
    return [f"{name}={text}" for name, text in pick(settings, env.COMPOSE_RUN).items()]


def raw_file(settings: Iterable[Setting]) -> str:
    """The file for `docker run --env-file`."""
    return _lines(pick(settings, env.RUN_FILE))


def compose_files(settings: Sequence[Setting]) -> dict[str, str]:
    """The env files of a compose project, by name; the service reads :data:`SERVICE_FILES` of them."""
    last = pick(settings, env.LAST_FILE)
    ways = {"one.env": env.ENV_FILE, "last.env": env.LAST_FILE}
    ways |= {".env": env.DOT_ENV, "cli.env": env.CLI_FILE}
    texts = {name: _lines(_quoted(pick(settings, way))) for name, way in ways.items()}
    return {**texts, "first.env": _lines(dict.fromkeys(last, OVERRULED))}


#: In the order in which compose is told of them.
SERVICE_FILES = ("one.env", "first.env", "last.env")


def service(image: str, port: str, settings: Sequence[Setting]) -> dict[str, Any]:
    """The compose service that is handed the settings."""
    attribute = {
        one.variable: _attribute(one) for one in settings if set(one.given) & set(env.ATTRIBUTE)
    }
    return {
        "image": image,
        "ports": [port],
        "env_file": list(SERVICE_FILES),
        # A name without a value is what a bare `- NAME` is in a list.
        "environment": attribute,
    }


def _attribute(setting: Setting) -> str | None:
    """The value of a variable in `environment`: a text, an expression, or nothing (bare)."""
    if env.UNRESOLVED in setting.given:
        return None
    literal = setting.given.get(env.LITERAL)
    if not set(setting.given) & set(env.SOURCES):
        return literal
    default = "" if literal is None else f":-{literal}"
    return f"${{{setting.variable}{default}}}"


def _quoted(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: spelling.dotenv(text) for name, text in variables.items()}


def _lines(variables: Mapping[str, str]) -> str:
    return "".join(f"{name}={text}\n" for name, text in variables.items())
