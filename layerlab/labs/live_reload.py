"""The live reload lab: from saving a source file to the first answer that shows it."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from layerlab.build.buildx import Build
from layerlab.build.variant import Variant
from layerlab.engine import leftovers
from layerlab.errors import LabError, RunLost
from layerlab.lab import Lab
from layerlab.labs.reloads import Packaged, Reloads
from layerlab.run import delivery, diagnosis, marks, reload
from layerlab.run.container import Container
from layerlab.run.delivery import NoMount, Replaced
from layerlab.run.marks import ROUTE, Marked, Save
from layerlab.run.reload import EVENTLESS, ORDERED, OVERRIDE, SINGLE, STAT, SYNC, WAYS, Way
from layerlab.run.saving import NoEvents, Outcome, Saving
from layerlab.run.together import together
from layerlab.run.watching import watching

EXPERIMENT = "live-reload"
_WATCHFILES = "watchfiles"
#: Lines of `docker compose watch` that are kept.
_HEARD = 100


def measure(lab: Lab, packaged: Packaged) -> Reloads:
    """Save files in each way, one after another, and watch the app meanwhile.

    A way that fails is a problem of its own; the others go on.

    Raises:
        LabError: an image can't be built.
    """
    begun = time.monotonic()
    measuring = _Measuring(lab, packaged)
    with lab.screen.work("live reload", sum(len(way.saves) for way in WAYS)):
        measuring.all()
    result = measuring.result
    result.wall_seconds = time.monotonic() - begun
    result.waited_seconds += result.wall_seconds
    lab.results[EXPERIMENT] = result
    return result


class _Measuring:
    """One measurement."""

    def __init__(self, lab: Lab, packaged: Packaged) -> None:
        self._lab = lab
        self._endpoint = lab.endpoint
        self._packaged = packaged
        self._copies: dict[Way, Marked] = {}
        #: What `docker compose watch` says.
        self._heard: dict[Way, deque[str]] = {}
        self.result = Reloads()

    def all(self) -> None:
        for way in WAYS:
            if why := self._packaged.lacking(way) or reload.lacking(way, self._endpoint):
                self.result.lacking[way] = why
                continue
            self._copies[way] = self._copy(way, str(way.number))
        self._build_first()
        ways = list(self._copies)
        with together([self._begun(way) for way in ways], interrupt=self._interrupt) as begun:
            for way, app in zip(ways, begun.values, strict=True):
                with self._problem_of(way):
                    if isinstance(app, LabError):
                        raise app
                    if isinstance(app, Replaced):
                        self._rebuilt(way, app)
                    else:
                        self._live(way, app)
        self.result.waited_seconds += begun.saved_seconds

    def _begun(self, way: Way) -> AbstractContextManager[Container | Replaced]:
        if not way.builds:
            return self._started(way, polling=False)
        first, limit = self._tag(self._first(way)), self._lab.settings.start_limit_seconds
        return delivery.replaced(self._endpoint, self._lab.run, first, limit_seconds=limit)

    def _copy(self, way: Way, called: str) -> Marked:
        context = self._lab.context(f"{EXPERIMENT}-{called}/app", None)
        run = self._lab.run.nonce
        return marks.mark(context, run, f"{run}-{called}")

    def _interrupt(self) -> None:
        """End what is starting: an app without its container does not come up."""
        with suppress(LabError):
            leftovers.remove_containers(self._endpoint, self._lab.run)

    @contextmanager
    def _problem_of(self, way: Way) -> Iterator[None]:
        try:
            yield
        except RunLost:
            raise
        except NoMount as error:
            self.result.lacking[way] = str(error)
        except LabError as error:
            problem = LabError(f"live reload, {way.name}: {error}")
            problem.__cause__ = error
            self.result.problems[way] = problem

    def _build_first(self) -> None:
        """The images that containers have before anything is saved; the files of all ways are the same."""
        built: set[str] = set()
        for way in list(self._copies):
            if way not in self._copies or (variant := self._first(way)).name in built:
                continue
            try:
                if problem := self._lab.problems.get(variant.name):
                    raise problem
                copy = self._copies[way].context
                self._lab.build(variant, copy, "build", tag=self._tag(variant))
                built.add(variant.name)
            except RunLost:
                raise
            except LabError as problem:
                for one in [w for w in self._copies if self._first(w).name == variant.name]:
                    self.result.problems[one] = problem
                    del self._copies[one]

    def _first(self, way: Way) -> Variant:
        """The variant of a way's first image; what single-stage replaces need not be its own."""
        found = self._packaged.of(way)
        if way == SINGLE and self._packaged.ordered:
            found = self._packaged.ordered
        assert found is not None  # else the way would be lacking
        return found

    def _tag(self, variant: Variant) -> str:
        return f"layerlab/{EXPERIMENT}-{variant.digest[:8]}:{self._lab.run.id}"

    @contextmanager
    def _started(self, way: Way, *, polling: bool) -> Iterator[Container]:
        """A way's container, whose app restarts by itself."""
        endpoint, run, folder = self._endpoint, self._lab.run, self._copies[way].folder
        image = self._tag(self._first(way))
        limit = self._lab.settings.start_limit_seconds
        if way == OVERRIDE:
            base = self._tag(self._first(ORDERED))
            place = folder.parent
            starting = delivery.overridden(
                endpoint, run, place, base, image, polling=polling, limit_seconds=limit
            )
        elif way == SYNC:
            said = self._heard[way] = deque(maxlen=_HEARD)
            starting = delivery.synced(
                endpoint, run, folder.parent, image, polling=polling, limit_seconds=limit, said=said
            )
        elif way == EVENTLESS:
            starting = delivery.eventless(
                endpoint, run, image, folder, polling=polling, limit_seconds=limit
            )
        else:
            starting = delivery.mounted(
                endpoint, run, image, str(folder), polling=polling, limit_seconds=limit
            )
        with starting as app:
            yield app

    def _live(self, way: Way, app: Container) -> None:
        """Measure a way whose container stays."""
        try:
            self._saved(way, app, polling=False)
            if not way.events:
                self._has_watchfiles(way, app, "the app looked at its files by itself")
        except NoEvents as error:
            self._has_watchfiles(way, app, str(error))
            self.result.polled.add(way)
            # What was saved until here is in no other container, or is gone.
            self._copies[way] = self._copy(way, f"{way.number}-polling")
            again = [self._started(way, polling=True)]
            with together(again, interrupt=self._interrupt) as started:
                (other,) = started.values
                if isinstance(other, LabError):
                    raise other from None
                self._saved(way, other, polling=True)

    def _has_watchfiles(self, way: Way, app: Container, seen: str) -> None:
        """Blame no mount for what the image lacks.

        Raises:
            LabError: it has no watchfiles.
        """
        variant = self._packaged.of(way)
        if variant is None or way == STAT:
            return
        if reload.without(self._endpoint, app.name, _WATCHFILES):
            installs = [
                one.line
                for one in variant.dockerfile.instructions
                if one.keyword == "RUN" and "install" in one.value
            ]
            raise LabError(
                f"{variant.where(installs[-1] if installs else 0)}: {seen}: the image has no {_WATCHFILES}, "
                "without which uvicorn --reload only looks at the files that it knows: install it there"
            )

    def _saved(self, way: Way, app: Container, *, polling: bool) -> None:
        before = self._life(app)
        self._saves(way, app.url, lambda: app.name, lambda: None, polling=polling)
        if self._life(app) == before:
            self.result.kept.add(way)

    def _life(self, app: Container) -> tuple[str, str]:
        found = diagnosis.inspect(self._endpoint, app.name)
        return found["Id"], found["State"]["StartedAt"]

    def _rebuilt(self, way: Way, old: Replaced) -> None:
        """Measure a way that builds an image and replaces the container, one after the other."""
        variant = self._packaged.of(way)
        assert variant is not None

        def deliver() -> Build:
            # Not the first image's name: another way may still begin with that.
            context, tag = self._copies[way].context, f"{self._tag(variant)}-rebuilt"
            built = self._lab.build(variant, context, "rebuild", tag=tag)
            old.replace(tag)
            return built

        self._saves(way, old.container.url, lambda: old.container.name, deliver)

    def _saves(
        self,
        way: Way,
        url: str,
        name: Callable[[], str],
        deliver: Callable[[], Build | None],
        *,
        polling: bool = False,
    ) -> None:
        limit = self._lab.settings.start_limit_seconds
        outcomes = self.result.outcomes[way] = {}
        with watching(url + ROUTE) as watch:
            saving = Saving(
                self._endpoint,
                way,
                self._copies[way],
                watch,
                name,
                deliver,
                limit,
                self._heard.get(way, ()),
                polling,
            )
            saving.begin()
            for save in way.saves:
                self._lab.screen.doing(f"{way.name}: {save.name}")
                outcomes[save] = saving.save(save)
                self._keep(way, save, outcomes[save])
                self._lab.screen.done()

    def _keep(self, way: Way, save: Save, outcome: Outcome) -> None:
        variant = self._packaged.of(way)
        assert variant is not None
        change = outcome.change
        self._lab.keep(
            EXPERIMENT,
            variant,
            f"{way.name}: {save.name}",
            ("answer", change.seconds, "s"),
            ("failed", change.failed, "requests"),
            ("asked", change.asked, "requests"),
            ("silent", change.silent_seconds, "s"),
            ("resolution", change.resolution_seconds, "s"),
            position=way.number,
            invalid=outcome.invalid,
        )
