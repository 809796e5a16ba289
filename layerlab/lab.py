"""The lab: the one object that experiments hold."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from layerlab.build import frontend, untrusted
from layerlab.build.buildx import Build, Request, build
from layerlab.build.context import Context, copy_context
from layerlab.build.options import Options
from layerlab.build.progress import Step
from layerlab.build.variant import Variant
from layerlab.compare.comparison import Comparison
from layerlab.compare.verdict import DEFAULT_MARGIN
from layerlab.engine import bases, confining, fresh, leftovers, life, standins
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.limits import Profile
from layerlab.engine.processors import Spent, spending
from layerlab.errors import LabError, RunLost
from layerlab.folders import record_folder, store_file
from layerlab.record import host, resume, rounds
from layerlab.record.comparisons import comparisons
from layerlab.record.rounds import Earlier
from layerlab.record.run import RunRecord, State
from layerlab.record.samples import Value, build_samples, samples
from layerlab.record.store import Sample, Store
from layerlab.run import confined
from layerlab.show import chapter
from layerlab.show.chapter import Chapter
from layerlab.show.live import Screen
from layerlab.show.section import Section


@dataclass(frozen=True)
class Settings:
    """What the user chose for a run."""

    project: Path
    rounds: int = 2
    standins: bool = False
    build_limit_seconds: float = 900
    #: How long an app may take until it answers.
    start_limit_seconds: float = 30
    #: "run" or "bench".
    kind: str = "run"
    #: The command line that began it, as words, without the values of secrets and build arguments.
    words: tuple[str, ...] = ()
    #: The variant that others are compared with; None where none was named.
    baseline: str | None = None
    #: The share of the baseline that a difference must exceed to matter.
    margin: float = DEFAULT_MARGIN
    #: The variants that were asked for, as they were named; () for all.
    asked: tuple[str, ...] = ()
    #: The folder that paths in ``words`` are relative to.
    called_from: str = ""
    #: What Dockerfiles are held to that nobody vouches for.
    profile: Profile | None = None
    #: The engines of a run on several, as they were named; () of a run on one.
    engines: tuple[str, ...] = ()

    def recorded(self) -> dict[str, Any]:
        """The same for the record, which knows the project and the kind of run by itself."""
        left_out = ("project", "kind")
        return {name: value for name, value in asdict(self).items() if name not in left_out}


class Result(Protocol):
    """What a lab measured, ready to be shown."""

    @property
    def question(self) -> str:
        """What the experiment asks, in one line."""
        ...

    def answer(self) -> str:
        """The answer in one sentence, of what was measured; also where that is little or nothing.

        It may quote names from outside, which have no control character and no line break.
        """
        ...

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """Tables in a tabulate format, for ``width`` columns of a terminal."""
        ...

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Pictures, written into a folder as they are asked for: title and file."""
        ...


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
        #: Whether a frontend can be fetched.
        self._frontends: dict[str, bool] = {}
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
        had: dict[str, bases.Base] = {}
        for variant in variants:
            try:
                if self.run.confinement:
                    untrusted.check(variant)
                self._have_bases(variant, had)
                text = None if self._have_frontend(variant) else frontend.built_in(variant)
                folder = self.run.folder / "dockerfiles" / slug(variant)
                self._dockerfiles[variant.name] = variant.copy_to(folder, text)
            except LabError as problem:
                self.problems[variant.name] = problem
        self.bases = list(had.values())

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

    def _have_bases(self, variant: Variant, had: dict[str, bases.Base]) -> None:
        for image in variant.dockerfile.images():
            if image in had:
                continue
            try:
                (had[image],) = bases.ensure(
                    self.endpoint,
                    [image],
                    standins=self.settings.standins,
                    progress=self.screen.say,
                )
            except LabError as error:
                line = variant.dockerfile.line_naming(image)
                raise LabError(f"{variant.where(line)}: {error}") from error

    def _have_frontend(self, variant: Variant) -> bool:
        syntax = variant.dockerfile.syntax
        if syntax is None:
            return True
        if syntax not in self._frontends:
            self.screen.say(f"fetching the frontend {syntax}")
            self._frontends[syntax] = frontend.fetched(self.endpoint, syntax, self.run.folder)
        if not self._frontends[syntax]:
            self.notes.append(
                f"{variant.path.name}: its frontend {syntax} can't be fetched; "
                "the engine's own read it instead."
            )
        return self._frontends[syntax]

    def context(self, name: str, nonce: str | None) -> Context:
        """A private copy of the app; a nonce tells its files from those of all other copies."""
        folder = self.run.folder / "contexts" / name
        return copy_context(self.settings.project / "app", folder, nonce)

    def tag(self, variant: Variant) -> str:
        """The name of a variant's image, the one that was built last."""
        return f"layerlab/{slug(variant)}:{self.run.id}"

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
            context = self.context(f"image-{slug(variant)}", None)
            try:
                self.build(variant, context, "build")
            except LabError as problem:
                self.problems[variant.name] = problem
                raise
        return self.tag(variant)


def recorded_engine(endpoint: Endpoint) -> dict[str, Any]:
    """An engine as the record has it: its address and what it can do."""
    return {"host": endpoint.host, **asdict(endpoint.can)}


def slug(variant: Variant) -> str:
    """A variant as a part of an image's name: its name's ASCII letters, and what tells it from all others."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in variant.name.lower())
    unique = hashlib.sha256(variant.name.encode() + variant.digest.encode()).hexdigest()[:8]
    return "-".join([*filter(None, kept.split("-")), unique])


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
        except KeyboardInterrupt:
            lab.store.end_run(run.id, State.INTERRUPTED)
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
