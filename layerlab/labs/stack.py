"""The stack lab: order, volumes, networks, rebuilds and failures of web, PostgreSQL and Redis."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from pytest_docker.plugin import Services

from layerlab.build.variant import Variant, load
from layerlab.engine import bases
from layerlab.errors import LabError, RunLost
from layerlab.lab import Lab
from layerlab.labs.stack_result import Reaching, Stacks
from layerlab.run import absence, events, fate, prepare, reach, volumes, watcher
from layerlab.run import start as start_of
from layerlab.run.absence import CACHE, DATABASE
from layerlab.run.events import Listener
from layerlab.run.fate import Written
from layerlab.run.stack import Executor, Stack
from layerlab.run.start import Start
from layerlab.run.startup import WEB

EXPERIMENT = "stack"
#: The variant that compose.yaml builds.
BUILT = "dockerfiles/production.Dockerfile"
GATED, UNGATED = "service_healthy", "service_started"
#: What looks and asks is of this image, whatever the variant is built on.
HELPER = "python:3.11-slim"
UNGATED_FILE = "ungated.yaml"


@dataclass(frozen=True)
class Ready:
    """A stack that can be started: its files are written, its images are there."""

    stack: Stack
    #: The variant that compose.yaml builds.
    built: Variant
    listener: Listener
    #: An image with a Python, for containers that look and ask.
    helper: str


@contextmanager
def prepared(lab: Lab) -> Iterator[Ready]:
    """The stack with all that its start needs, and nothing of it running; taken down at the end.

    Raises:
        LabError: a base can't be had, a compose file is broken, or the web image can't be built.
    """
    built = load(lab.settings.project / BUILT)
    wanted = [*built.dockerfile.images(), HELPER, "postgres:15", "redis:7"]
    had = bases.ensure(
        lab.endpoint, wanted, standins=lab.settings.standins, progress=lab.screen.say
    )
    images = {base.name: base.reference for base in had}
    helper = images[HELPER]
    lab.bases += [base for base in had if base.name not in {known.name for known in lab.bases}]
    with (
        events.listening(lab.endpoint, lab.run) as listener,
        prepare.prepared(
            lab.endpoint,
            lab.run,
            lab.settings.project,
            images=images,
            build_contexts=bases.build_contexts(had),
            more={watcher.SERVICE: watcher.service(helper)},
        ) as this,
    ):
        this.with_files(UNGATED_FILE).check_isolation()
        this.compose("build", timeout=lab.settings.build_limit_seconds)
        yield Ready(this, built, listener, helper)


@contextmanager
def running(
    lab: Lab, ready: Ready, setup: Sequence[str], cleanup: Sequence[str]
) -> Iterator[tuple[Services, Start]]:
    """The stack as pytest-docker's services, started for the first time, and how that went.

    ``setup`` and ``cleanup`` are pytest-docker's: the commands of `docker compose` that start it and
    take it down. A failed start is cleaned up by :func:`prepared`.

    Raises:
        NotUp: it does not come up, or can't be taken down, in one sentence.
    """
    executor = Executor(ready.stack)

    def start() -> None:
        for command in setup:
            executor.execute(command)

    lab.screen.doing("docker compose up")
    ready.stack.check_sources()
    first = start_of.observed(lab.endpoint, ready.listener, ready.stack, start, gated=True)
    _keep_start(lab, ready.built, GATED, first)
    try:
        yield Services(executor), first
    finally:
        for command in cleanup:
            executor.execute(command)


def measure(
    lab: Lab, ready: Ready, first: Start, variants: Sequence[Variant], *, whole: bool
) -> Stacks:
    """Measure everything on a stack that is up: what is not timed goes on beside something else.

    ``whole`` is false where only the variants are wanted as its web image.

    Raises:
        LabError: the stack does not do what it must for a measurement to make sense.
    """
    result = Stacks()
    result.starts[GATED] = first
    lab.results[EXPERIMENT] = result
    with lab.screen.work("stack", 8 * whole + len(variants)):
        if whole:
            _whole(lab, ready, result)
        _variants(lab, ready.stack, variants, result)
    return result


def _whole(lab: Lab, ready: Ready, result: Stacks) -> None:
    this = ready.stack
    keep = partial(lab.keep, EXPERIMENT, ready.built)

    def doing(what: str) -> None:
        lab.screen.done()
        lab.screen.doing(what)

    lab.screen.doing("networks and volumes")
    folder = lab.run.folder / EXPERIMENT
    config = this.config()
    with ThreadPoolExecutor(1) as beside:
        web = config["services"][WEB]["image"]
        comparing = beside.submit(volumes.compared, lab.endpoint, lab.run, web, folder)
        found = reach.measured(this, lab.run, ready.helper)
        result.reaching = Reaching(
            config, found, reach.published(this), reach.leaky(lab.endpoint.can.engine)
        )
        result.kinds = comparing.result()
    for service in (DATABASE, CACHE):
        doing(f"{service} away")
        away = result.away[service] = absence.away(this, service)
        keep(
            f"{service}-away",
            ("noticed", away.noticed_seconds, "s"),
            ("recovered", away.recovered_seconds, "s"),
            ("lost", away.accepted - away.kept, "count"),
        )
    doing("web killed")
    run, listener = lab.run, ready.listener
    result.gap = absence.anew(this, lambda: absence.killed(this, listener, run, ready.helper))
    gap = result.gap
    keep("web-killed", ("away", gap.seconds, "s"), ("restart", gap.restart_seconds, "s"))
    doing("up --build")
    result.rebuilt = absence.anew(this, lambda: absence.rebuilt(this))
    again = result.rebuilt
    keep("rebuild", ("away", again.gap_seconds, "s"), ("command", again.command_seconds, "s"))
    doing("a new database")
    note = Written(this)
    fate.recreate_database(this)
    result.fates.append(note.after(fate.RECREATED, expected=True))
    doing("down, up")
    this.down()
    this.up_again("--no-build")
    result.fates.append(note.after(fate.DOWN, expected=True))
    doing("down -v, up without waiting")
    this.down("--volumes")
    ungated = this.with_files(UNGATED_FILE)
    second = start_of.observed(
        lab.endpoint,
        ready.listener,
        ungated,
        lambda: bare_up(ungated),
        gated=False,
    )
    result.starts[UNGATED] = second
    _keep_start(lab, ready.built, UNGATED, second)
    result.fates.append(note.after(fate.REMOVED, expected=False))
    lab.screen.done()


def bare_up(this: Stack) -> None:
    """`docker compose up` and nothing else, as it is timed."""
    this.compose("up", "--detach", "--no-build")


def _variants(lab: Lab, this: Stack, variants: Sequence[Variant], result: Stacks) -> None:
    """The stack with each variant as its web image, one after another; all else stays up."""
    for variant in variants:
        lab.screen.doing(f"up with {variant.name}")
        try:
            image = lab.image(variant)
            begun = time.monotonic()
            other = this.with_variables(WEB_IMAGE=image)
            # Not asked to end in peace: a shell-form CMD would take ten seconds to say no.
            other.up_again("--no-build", "--no-deps", "--timeout", "1", WEB)
            other.await_ready(lab.settings.start_limit_seconds)
            text = f"written by {variant.name}"
            other.write(text)
            if text not in other.notes():
                raise LabError(f"{variant.path.name}: a note that it wrote is not in the database")
            seconds = result.variants[variant.name] = time.monotonic() - begun
            lab.keep(EXPERIMENT, variant, "replaced", ("ready", seconds, "s"))
        except RunLost:
            raise
        except LabError as problem:
            result.variants[variant.name] = problem
        lab.screen.done()


def _keep_start(lab: Lab, built: Variant, scenario: str, one: Start) -> None:
    moments = [
        (f"{life.service}-{what}", getattr(life, what), "s")
        for life in one.lives.values()
        for what in ("created", "started", "answered", "healthy")
    ]
    lab.keep(
        EXPERIMENT,
        built,
        scenario,
        ("up", one.up_seconds, "s"),
        ("ready", one.ready_seconds, "s"),
        ("asked", len(one.asked), "count"),
        ("without-database", one.missed, "count"),
        *moments,
    )
