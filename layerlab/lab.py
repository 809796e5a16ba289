"""The lab: the one object that experiments hold."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from layerlab.build.buildx import Build, Request, build
from layerlab.build.context import Context, copy_context
from layerlab.build.options import Options
from layerlab.build.progress import Step
from layerlab.build.variant import Variant
from layerlab.compare.comparison import Comparison
from layerlab.engine import bases, leftovers, life
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.processors import Spent, spending
from layerlab.errors import LabError, RunLost
from layerlab.preparation import Preparation
from layerlab.record import host, resume, rounds
from layerlab.record.comparisons import comparisons
from layerlab.record.rounds import Earlier
from layerlab.record.rows import Sample
from layerlab.record.run import RunRecord, State
from layerlab.record.samples import Value, build_samples, samples
from layerlab.record.store import Store
from layerlab.result import Result
from layerlab.settings import Settings
from layerlab.show import chapter
from layerlab.show.chapter import Chapter
from layerlab.show.live import Screen


class Lab:
    """An engine, a run on it, and where its samples go."""

    def __init__(
        self, endpoint: Endpoint, run: Run, store: Store, screen: Screen, settings: Settings
    ) -> None:
        self.endpoint = endpoint
        self.run = run
        self.store = store
        self.screen = screen
        self.settings = settings
        self.bases: list[bases.Base] = []
        #: The copies that are built, by variant.
        self._dockerfiles: dict[str, Path] = {}
        #: The variants whose image is on the engine.
        self._built: set[str] = set()
        #: Why a variant can't be measured, by variant.
        self.problems: dict[str, LabError] = {}
        #: Tells whether the engine is still the one that the run began on.
        self._life = ""
        self._lost: RunLost | None = None
        #: What every build is told beyond its Dockerfile and context.
        self.options = Options()
        #: What each part of the run took.
        self.took: dict[str, Spent] = {}
        #: What a reader of the tables must know.
        self.notes: list[str] = []
        #: The engine's name in a run on several; "" in a run on one.
        self.place = ""
        #: The engines of the run, for people.
        self.engines = [endpoint.described()]
        #: Their releases, each once.
        self.releases = [endpoint.can.engine]
        #: What each lab measured, by its experiment's name.
        self.results: dict[str, Result] = {}
        #: What experiments showed that another process of this run measured, by their names.
        self.recorded: dict[str, Chapter] = {}
        #: How the run ends, as far as is known.
        self.ending = State.DONE
        #: The digest of the context that a variant was last built from, by variant.
        self._contexts: dict[str, str] = {}

    def prepare(self, variants: Sequence[Variant]) -> None:
        """Have every base image and frontend present before anything is timed.

        A variant whose base can't be had is a problem of that variant; the others go on.
        """
        self._life = life.of(self.endpoint)
        preparation = Preparation(
            self.endpoint, self.run, self.screen.say, standins=self.settings.standins
        )
        for variant in variants:
            try:
                self._dockerfiles[variant.name] = preparation.of(variant)
            except LabError as problem:
                self.problems[variant.name] = problem
        self.bases = list(preparation.bases.values())
        self.notes += preparation.notes

    def begin(self, variants: Sequence[Variant]) -> None:
        """Record the run, before its first sample.

        Raises:
            RunLost: the store can't be written.
        """
        self.store.begin_run(
            self.run.id,
            recorded_engine(self.endpoint),
            [asdict(base) for base in self.bases],
            kind=self.settings.kind,
            host=asdict(host.here()),
            home=leftovers.home(),
            settings=self.settings.recorded(),
            variants={variant.name: variant.digest for variant in variants},
        )

    def go_on(self, record: RunRecord) -> None:
        """Take up a recorded run where it stopped; what it had measured to its end is kept.

        Raises:
            LabError: its base images are others now.
            RunLost: the store can't be written.
        """
        resume.check_bases(record, self.bases)
        now = self.context("resumed", None).digest
        resume.check_context(record, {one.context for one in self.store.samples(record.id)}, now)
        self.store.resume_run(record.id)
        self.recorded = self.chapters()

    def chapters(self) -> dict[str, Chapter]:
        """What the experiments of this run show that have come to their end, as far as it is recorded."""
        found = self.store.chapters(self.run.id)
        return {name: chapter.unpacked(content) for name, content in found.items()}

    def earlier(
        self, experiment: str, variants: Sequence[Variant], scenarios: Sequence[str]
    ) -> Earlier:
        """The rounds of an experiment that this run had measured before it was interrupted.

        Samples of a round that was not complete are invalid from here on.
        """
        kept = [one for one in self.store.kept(self.run.id) if one.sample.experiment == experiment]
        if not kept:
            return Earlier()
        names = [variant.name for variant in variants]
        found = rounds.earlier(kept, self.store.steps(self.run.id), names, scenarios)
        self.store.supersede(self.run.id, experiment, after_round=found.complete)
        return found

    def cause(self, problem: LabError) -> LabError:
        """What a problem comes from: an engine that went away, else the problem itself.

        Without its engine a run fails in as many ways as it has steps; the user is told the one cause.
        """
        if problem is self._lost:
            return problem
        ended = life.ended(self.endpoint, self._life)
        if ended is None:
            return problem
        then = "go on with `./lab run --resume`" if self.settings.kind == "run" else "begin anew"
        self._lost = RunLost(
            f"{ended}: what was in flight is lost, what was measured before is kept; see that it runs, "
            f"then {then}; the first that was noticed:\n    {problem}"
        )
        return self._lost

    @property
    def lost(self) -> bool:
        """Whether the engine is known to have gone away."""
        return self._lost is not None

    @contextmanager
    def spending(self, part: str) -> Iterator[None]:
        """Count what the body takes to a part of the run; to what it took before, if it goes on."""
        before = self.took.get(part, Spent())
        try:
            with spending() as spent:
                yield
        finally:
            self.took[part] = before + spent

    def context(self, name: str, nonce: str | None) -> Context:
        """A private copy of the app; a nonce tells its files from those of all other copies."""
        folder = self.run.folder / "contexts" / name
        return copy_context(self.settings.project / "app", folder, nonce)

    def tag(self, variant: Variant) -> str:
        """The name of a variant's image, the one that was built last."""
        return f"layerlab/{variant.slug}:{self.run.id}"

    def build(
        self,
        variant: Variant,
        context: Context,
        what: str,
        *,
        cold: bool = False,
        tag: str | None = None,
    ) -> Build:
        """Build a variant from a context and measure it; ``tag`` is for one that is not the app's own.

        Raises:
            LabError: the build failed.
        """
        request = Request(
            dockerfile=self._dockerfiles[variant.name],
            context=context.folder,
            parsed=variant.dockerfile,
            tag=tag or self.tag(variant),
            labels=self.run.labels,
            no_cache=cold,
            build_contexts=bases.build_contexts(self.bases),
            time_limit_seconds=self.settings.build_limit_seconds,
            options=self.options.words,
            masked=self.options.masked,
            confinement=self.run.confinement,
        )
        title = f"{what}: {variant.name}"
        self.screen.doing(title)
        masked = request.masked
        built = build(self.endpoint, request, lambda step: self.screen.doing(title, masked(step)))
        if built.failure:
            kind = RunLost if built.failure.kind == "engine" else LabError
            # A step can fail, too, because its engine is on its way down.
            raise self.cause(kind(built.failure.sentence))
        self._contexts[variant.name] = context.digest
        if tag is None:
            self._built.add(variant.name)
        return built

    def comparisons(self) -> list[Comparison]:
        """Each variant beside the baseline; none where no variant was named as one."""
        baseline = self.settings.baseline
        if baseline is None:
            return []
        return comparisons(self.store.samples(self.run.id), baseline, self.settings.margin)

    def keep(
        self,
        experiment: str,
        variant: Variant,
        scenario: str,
        *values: Value,
        number: int = 1,
        position: int = 1,
        invalid: str | None = None,
        control: bool = False,
        context: str = "",
    ) -> list[Sample]:
        """Record the values of one measurement, in round ``number``: metric, value, unit.

        ``control`` is the baseline's second turn in a round; ``context`` is the digest of what was built,
        by default that of the variant's last build. Returns what was recorded.

        Raises:
            RunLost: the store can't be written.
        """
        found = samples(
            experiment,
            variant,
            scenario,
            values,
            number=number,
            position=position,
            invalid=invalid,
            control=control,
            context=context or self._contexts.get(variant.name, ""),
        )
        return [self._add(sample) for sample in found]

    def keep_build(
        self,
        variant: Variant,
        scenario: str,
        built: Build,
        *,
        number: int,
        position: int,
        invalid: str | None,
        control: bool = False,
    ) -> list[Sample]:
        """Record the variant's last build and its steps; otherwise as :meth:`keep`."""
        context = self._contexts.get(variant.name, "")
        found = build_samples(
            variant, scenario, number, position, built, invalid, context, control=control
        )
        return [self._add(sample, built.steps if sample is found[0] else ()) for sample in found]

    def _add(self, sample: Sample, steps: Sequence[Step] = ()) -> Sample:
        sample = replace(sample, place=self.place)
        self.store.add(self.run.id, sample, steps)
        return sample

    def image(self, variant: Variant) -> str:
        """The name of a variant's image, which is built where this run has not built it yet.

        Raises:
            LabError: the variant can't be measured, or its build failed.
        """
        if problem := self.problems.get(variant.name):
            raise problem
        if variant.name not in self._built:
            context = self.context(f"image-{variant.slug}", None)
            try:
                self.build(variant, context, "build")
            except LabError as problem:
                self.problems[variant.name] = problem
                raise
        return self.tag(variant)


def recorded_engine(endpoint: Endpoint) -> dict[str, Any]:
    """An engine as the record has it: its address and what it can do."""
    return {"host": endpoint.host, **asdict(endpoint.can)}
