"""A run on several engines: the lab that leads it, and those that measure, one on each engine."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from layerlab import opening
from layerlab.build.variant import Variant
from layerlab.engine import fresh, leftovers, standins
from layerlab.engine.bases import Base
from layerlab.engine.endpoint import Capabilities, Endpoint
from layerlab.engine.processors import Spent
from layerlab.errors import LabError
from layerlab.folders import record_folder, store_file
from layerlab.lab import Lab, recorded_engine
from layerlab.record.rows import Place
from layerlab.record.run import RunRecord, State
from layerlab.record.store import Store, begun_by, reading
from layerlab.settings import Settings
from layerlab.show.live import Screen

SHARED = (
    "{} engines worked side by side on this machine: seconds are those of a busy one, and what the parts "
    "took is more than what went by."
)


@dataclass(frozen=True)
class Member:
    """What a process is told that measures on one of the engines."""

    run: str
    #: The engine, as the user named it.
    engine: str
    #: Columns of the terminal that the run is shown on.
    width: int
    #: Tells the process from others of the run.
    part: str


def check_apart(endpoints: Mapping[str, Endpoint]) -> None:
    """Refuse two names of one engine.

    Raises:
        LabError: with both names.
    """
    seen: dict[str, str] = {}
    for name, endpoint in endpoints.items():
        identity = endpoint.can.id or endpoint.host
        if identity in seen:
            raise LabError(f"--engines: {seen[identity]} and {name} are one engine: name it once")
        seen[identity] = name


@contextmanager
def led(
    endpoints: Mapping[str, Endpoint],
    screen: Screen,
    settings: Settings,
    variants: Sequence[Variant],
    took: Mapping[str, Spent],
) -> Iterator[Lab]:
    """The lab of a run on several engines, by their names; it measures nothing itself.

    Removes what dead runs left before it begins, and all that this run made when it ends.
    """
    opening.remove_dead(list(endpoints.values()), screen)
    record_folder(settings.project)
    first = next(iter(endpoints.values()))
    with (
        leftovers.running(shared=True) as run,
        Store(store_file(settings.project)) as store,
    ):
        lab = Lab(first, run, store, screen, settings)
        lab.took.update(took)
        # Until its end is known.
        lab.ending = State.INTERRUPTED
        here = sum(not endpoint.remote for endpoint in endpoints.values())
        if here > 1:
            lab.notes.append(SHARED.format(here))
        try:
            lab.begin(variants)
            for name, endpoint in endpoints.items():
                store.keep_place(run.id, Place(name, recorded_engine(endpoint), ()))
            yield lab
            store.end_run(run.id, lab.ending)
        finally:
            for endpoint in endpoints.values():
                opening.remove_run(endpoint, run, screen)
            # Of workers that were given no time to end.
            fresh.remove_dead()
            standins.remove_dead()


@contextmanager
def joined(
    endpoint: Endpoint,
    member: Member,
    screen: Screen,
    settings: Settings,
    variants: Sequence[Variant],
    took: Mapping[str, Spent],
) -> Iterator[Lab]:
    """The lab that measures on one of the engines of a run that another process leads.

    Raises:
        LabError: that run has ended.
    """
    with leftovers.joined(member.run, member.part) as run:
        # An earlier worker on this engine may have died.
        leftovers.remove_run(endpoint, run)
        with opening.on_engine(endpoint, run, screen, settings, variants, took) as lab:
            lab.place = member.engine
            lab.store.keep_place(
                run.id,
                Place(
                    member.engine, recorded_engine(endpoint), [asdict(base) for base in lab.bases]
                ),
                {variant.name: variant.digest for variant in variants},
            )
            yield lab


def gather(lab: Lab) -> None:
    """Have the lab of a run on several engines say which of them measured what, and on which bases.

    Raises:
        LabError: the store can't be read.
    """
    where = {one.experiment: one.place for one in lab.store.outcomes(lab.run.id)}
    lab.engines = []
    releases: list[str] = []
    for place in lab.store.places(lab.run.id):
        its = ", ".join(experiment for experiment, name in where.items() if name == place.name)
        can = Capabilities(**{key: value for key, value in place.engine.items() if key != "host"})
        lab.engines.append(f"{place.name} ({its or 'no experiment'}): {can.described()}")
        releases.append(can.engine)
        # A stand-in need not be the same image everywhere.
        bases = [Base(**base) for base in place.bases]
        had = {(base.name, base.image_id) for base in lab.bases}
        lab.bases += [base for base in bases if (base.name, base.image_id) not in had]
    lab.releases = list(dict.fromkeys(releases))


def lost(project: Path, command: str) -> RunRecord | None:
    """The run on several engines that a command began, if it lost one of them or a worker, be it for a time."""
    for run in begun_by(project, command):
        if run.ending == State.LOST:
            with reading(project) as store:
                if any(place.ends for place in store.places(run.id)):
                    return run
    return None


def order(store: Store, run: RunRecord) -> list[str]:
    """The engines of a run, those that stayed first: where it is gone on with."""
    return [place.name for place in sorted(store.places(run.id), key=lambda place: place.ends)]
