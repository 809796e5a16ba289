"""The lab: the one object that experiments hold."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from layerlab.build import frontend, untrusted
from layerlab.build.buildx import Build, Request, build
from layerlab.build.context import Context, copy_context
from layerlab.build.variant import Variant
from layerlab.engine import bases, confining, fresh, leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.limits import Profile
from layerlab.engine.processors import Spent, spending
from layerlab.errors import LabError, RunLost
from layerlab.folders import record_folder
from layerlab.record.samples import Value, samples
from layerlab.record.store import Store
from layerlab.run import confined
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
    margin: float = 0.05
    #: What Dockerfiles are held to that nobody vouches for.
    profile: Profile | None = None


class Result(Protocol):
    """What a lab measured, ready to be shown."""

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
        #: What each part of the run took.
        self.took: dict[str, Spent] = {}
        #: What a reader of the tables must know.
        self.notes: list[str] = []
        #: What each lab measured, by its experiment's name.
        self.results: dict[str, Result] = {}

    def prepare(self, variants: Sequence[Variant]) -> None:
        """Have every base image and frontend present before anything is timed.

        A variant whose base can't be had is a problem of that variant; the others go on.
        """
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
        self.store.begin_run(
            self.run.id,
            {"host": self.endpoint.host, **asdict(self.endpoint.can)},
            [asdict(base) for base in self.bases],
        )

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
            confinement=self.run.confinement,
        )
        title = f"{what}: {variant.name}"
        self.screen.doing(title)
        built = build(self.endpoint, request, lambda step: self.screen.doing(title, step))
        if built.failure and built.failure.kind == "engine":
            raise RunLost(built.failure.sentence)
        if built.failure:
            raise LabError(built.failure.sentence)
        if tag is None:
            self._built.add(variant.name)
        return built

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
    ) -> None:
        """Record the values of one measurement, in round ``number``: metric, value, unit.

        ``control`` is the baseline's second turn in a round; ``context`` is the digest of what was built.

        Raises:
            RunLost: the store can't be written.
        """
        for sample in samples(
            experiment,
            variant,
            scenario,
            values,
            number=number,
            position=position,
            invalid=invalid,
            control=control,
            context=context,
        ):
            self.store.add(self.run.id, sample)

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
) -> Iterator[Lab]:
    """A lab on an engine, ready to build ``variants``; ``took`` is what was done before.

    Removes what dead runs left before it begins, and all that this run made when it ends.
    """
    removed = [*leftovers.remove_dead(endpoint), *fresh.remove_dead()]
    if removed:
        screen.say(f"removed what an earlier run left: {', '.join(removed)}")
    folder = record_folder(settings.project)
    limits: list[str] = []
    with (
        leftovers.running() as plain,
        Store(folder / "store.sqlite") as store,
        confining.confined(endpoint, plain, settings.profile, limits.append) as run,
        confined.watching(endpoint, run),
    ):
        lab = Lab(endpoint, run, store, screen, settings)
        lab.notes += limits
        try:
            lab.took.update(took)
            with lab.spending("base images"):
                lab.prepare(variants)
            yield lab
            store.end_run(run.id)
        finally:
            try:
                leftovers.remove_run(endpoint, run)
            except LabError as error:
                # The engine is gone; what the run left there goes when the next run starts.
                screen.say(f"nothing could be removed from the engine: {error}")
