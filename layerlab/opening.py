"""The opening of a lab: what dead runs left is removed before, and what this one made after."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from layerlab.build.variant import Variant
from layerlab.engine import confining, fresh, leftovers, standins
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.processors import Spent
from layerlab.errors import LabError, RunLost
from layerlab.folders import record_folder, store_file
from layerlab.lab import Lab
from layerlab.record.run import RunRecord, State
from layerlab.record.store import Store
from layerlab.run import confined
from layerlab.settings import Settings
from layerlab.show.live import Screen


@contextmanager
def opened(
    endpoint: Endpoint,
    screen: Screen,
    settings: Settings,
    variants: Sequence[Variant],
    took: Mapping[str, Spent],
    resumed: RunRecord | None = None,
) -> Iterator[Lab]:
    """A lab on an engine, ready to build ``variants``; ``took`` is what was done before.

    Removes what dead runs left before it begins, and all that this run made when it ends. ``resumed`` is
    the run to go on with, in place of a new one.
    """
    remove_dead([endpoint], screen)
    record_folder(settings.project)
    with (
        leftovers.running(resumed.id if resumed else None) as run,
        on_engine(endpoint, run, screen, settings, variants, took) as lab,
    ):
        if resumed:
            lab.go_on(resumed)
        else:
            lab.begin(variants)
        try:
            yield lab
        except BaseException as error:
            with suppress(RunLost):  # There is something worse to tell.
                lost = isinstance(error, RunLost)
                lab.store.end_run(run.id, State.LOST if lost else State.INTERRUPTED)
            raise
        lab.store.end_run(run.id, lab.ending)


@contextmanager
def on_engine(
    endpoint: Endpoint,
    run: Run,
    screen: Screen,
    settings: Settings,
    variants: Sequence[Variant],
    took: Mapping[str, Spent],
) -> Iterator[Lab]:
    """A run's lab on an engine, ready to build ``variants``, of which nothing is recorded yet.

    Removes all that the run made there when it ends.
    """
    limits: list[str] = []
    with (
        Store(store_file(settings.project)) as store,
        confining.confined(endpoint, run, settings.profile, limits.append) as held,
        confined.watching(endpoint, held),
    ):
        lab = Lab(endpoint, held, store, screen, settings)
        lab.notes += limits
        try:
            lab.took.update(took)
            with lab.spending("base images"):
                lab.prepare(variants)
            yield lab
        finally:
            remove_run(endpoint, held, screen)


def remove_dead(endpoints: Sequence[Endpoint], screen: Screen) -> None:
    """Remove what dead runs left on these engines and here."""
    removed = [
        *(one for endpoint in endpoints for one in leftovers.remove_dead(endpoint)),
        *fresh.remove_dead(),
        *standins.remove_dead(),
    ]
    if removed:
        screen.say(f"removed what an earlier run left: {', '.join(removed)}")


def remove_run(endpoint: Endpoint, run: Run, screen: Screen) -> None:
    """Remove all that a run made on an engine, if it still answers."""
    try:
        leftovers.remove_run(endpoint, run)
    except LabError as error:
        # The engine is gone; what the run left there goes when the next run starts.
        screen.say(f"nothing could be removed from the engine: {error}")
