"""The options of `lab run`, which are pytest's own beside them."""

from collections.abc import Sequence

import pytest

from layerlab.errors import LabError

#: Options that say where a run on several engines is measured, and not what.
_WHERE = ("--engines", "--numprocesses", "-n")
#: What xdist takes for a number of workers that it counts itself.
_COUNTED = ("auto", "logical")


def add(parser: pytest.Parser) -> None:
    """Add them to pytest's."""
    group = parser.getgroup("layerlab", "layerlab: experiments on a real Docker engine")
    group.addoption(
        "--engine",
        metavar="ENGINE",
        help="`private`, an address (unix://, tcp://, ssh://) or a docker context; "
        "default: DOCKER_HOST, the current context, the default socket, a private engine; "
        "`private:RELEASE` is a private engine of one release (docs/engine.md)",
    )
    group.addoption(
        "--engines",
        metavar="A,B",
        help="spread the experiments over several engines, each named as for --engine, with a pytest-xdist "
        "worker on each",
    )
    group.addoption(
        "--variant",
        action="append",
        default=[],
        metavar="NAME|PATH",
        help="measure only this variant: a name, or the path of any Dockerfile; repeatable",
    )
    group.addoption("--rounds", type=int, default=2, metavar="N", help="rounds (default: 2)")
    group.addoption(
        "--baseline",
        metavar="NAME",
        help="the variant that the others are compared with, metric by metric",
    )
    group.addoption(
        "--fail-if",
        action="append",
        default=[],
        metavar="GATE",
        help="exit code 1 where a variant breaks it, e.g. 'image.unpacked > +5%%' (docs/numbers.md); "
        "needs --baseline; repeatable",
    )
    group.addoption(
        "--steps",
        action="store_true",
        help="show each variant's steps in every scenario, too (of the last round)",
    )
    group.addoption(
        "--layers",
        action="store_true",
        help="show each image's layers, where its bytes are, and what of them is of no use, too",
    )
    group.addoption(
        "--plot", action="store_true", help="show bars of the images' parts in the terminal, too"
    )
    group.addoption(
        "--timelines",
        action="store_true",
        help="show every change of a container's health, and every timeline, too",
    )
    group.addoption(
        "--resume",
        nargs="?",
        const="last",
        metavar="RUN",
        help="go on where a killed or interrupted run stopped (the last, or that of this id), with the "
        "words that it was given",
    )
    group.addoption(
        "--untrusted",
        action="store_true",
        help="hold builds and containers to limits (docs/untrusted.md): for Dockerfiles that nobody vouches "
        "for",
    )
    group.addoption(
        "--standins",
        action="store_true",
        help="where no registry answers, build base images from Debian packages on your engine too",
    )
    group.addoption(
        "--build-limit", type=float, default=900, metavar="S", help="seconds that a build may take"
    )
    group.addoption(
        "--start-limit",
        type=float,
        default=30,
        metavar="S",
        help="seconds that an app may take until it answers",
    )


def check(config: pytest.Config) -> None:
    """Refuse values that mean nothing.

    Raises:
        LabError: one of them, with what to give.
    """
    if config.getoption("rounds") < 1:
        raise LabError(f"--rounds {config.getoption('rounds')}: give 1 or more")
    for limit in ("build", "start"):
        if not config.getoption(f"{limit}_limit") > 0:
            raise LabError(f"--{limit}-limit: give more than 0 seconds")
    if config.getoption("fail_if") and not config.getoption("baseline"):
        raise LabError("--fail-if compares with a variant: name it with --baseline")
    names = engines(config)
    if not names:
        return
    if config.getoption("engine"):
        raise LabError("--engine and --engines: give one of them")
    if twice := [name for name in names if names.count(name) > 1]:
        raise LabError(f"--engines: {twice[0]} is named twice")
    if not config.pluginmanager.hasplugin("xdist"):
        raise LabError("--engines needs pytest-xdist: leave out `-p no:xdist`")
    workers = config.getoption("numprocesses")
    leads = len(names) > 1 and not (config.getoption("resume") or hasattr(config, "workerinput"))
    if leads and workers != len(names):
        raise LabError(
            f"--engines names {len(names)} engines: `-n` is as many, one worker on each (it can be left out)"
        )


def engines(config: pytest.Config) -> tuple[str, ...]:
    """The engines of a run on several, as they were named; () where one is used."""
    given = config.getoption("engines") or ""
    return tuple(name.strip() for name in given.split(",") if name.strip())


def spread(config: pytest.Config) -> None:
    """Have pytest-xdist start a worker for each engine, where several are named."""
    names = engines(config)
    if len(names) == 1 and not config.getoption("engine"):
        config.option.engine, config.option.engines = names[0], None
    if len(names) < 2 or hasattr(config, "workerinput"):
        return
    if config.getoption("resume"):
        # What is left goes on one of them.
        config.option.numprocesses = 0
    elif config.getoption("numprocesses", None) is None:
        config.option.numprocesses = len(names)


def without_engines(words: Sequence[str]) -> list[str]:
    """A command line without the options that only say on which engines several workers measure."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in _WHERE:
            next(rest, None)
        elif not word.startswith(("--engines=", "--numprocesses=")) and not (
            word.startswith("-n")
            and (word[2:].lstrip("=").isdigit() or word[2:].lstrip("=") in _COUNTED)
        ):
            kept.append(word)
    return kept
