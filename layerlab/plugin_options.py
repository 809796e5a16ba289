"""The options of `lab run`, which are pytest's own beside them."""

import pytest

from layerlab.errors import LabError


def add(parser: pytest.Parser) -> None:
    """Add them to pytest's."""
    group = parser.getgroup("layerlab", "layerlab: experiments on a real Docker engine")
    group.addoption(
        "--engine",
        metavar="ENGINE",
        help="`private`, an address (unix://, tcp://, ssh://) or a docker context; "
        "default: DOCKER_HOST, the current context, the default socket, a private engine",
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
