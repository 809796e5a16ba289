"""The lab: the one object that experiments hold."""

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from layerlab.build import cachemiss, frontend
from layerlab.build.buildx import Build, Request, build
from layerlab.build.context import EDITS, Context, Edit, copy_context
from layerlab.build.variant import Variant
from layerlab.compare.rounds import interleaved
from layerlab.engine import bases, leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError, RunLost
from layerlab.folders import record_folder
from layerlab.record.samples import build_samples
from layerlab.record.store import Store
from layerlab.show.live import Screen

COLD = "cold"
SCENARIOS = (COLD, *(edit.scenario for edit in EDITS))


@dataclass(frozen=True)
class Settings:
    """What the user chose for a run."""

    project: Path
    rounds: int = 2
    standins: bool = False
    build_limit_seconds: float = 900


@dataclass(frozen=True)
class Rebuilds:
    """What the layer-cache lab measured."""

    #: variant -> scenario -> the rounds' builds that are valid
    builds: dict[str, dict[str, list[Build]]]
    #: variant -> why it was not measured to the end
    problems: dict[str, LabError]

    def rounds(self, variant: Variant, scenario: str) -> list[Build]:
        """A scenario's builds.

        Raises:
            LabError: the variant's build failed, or a measurement was invalid.
        """
        if problem := self.problems.get(variant.name):
            raise problem
        return self.builds[variant.name][scenario]


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
        #: Why a variant can't be measured, by variant.
        self.problems: dict[str, LabError] = {}
        #: Seconds that each part of the run took.
        self.took: dict[str, float] = {}
        #: What a reader of the tables must know.
        self.notes: list[str] = []
        #: Results by experiment, for the tables at the end.
        self.rebuilt: Rebuilds | None = None

    def prepare(self, variants: Sequence[Variant]) -> None:
        """Have every base image and frontend present before anything is timed.

        A variant whose base can't be had is a problem of that variant; the others go on.
        """
        begun = time.monotonic()
        had: dict[str, bases.Base] = {}
        for variant in variants:
            try:
                self._have_bases(variant, had)
                text = None if self._have_frontend(variant) else frontend.built_in(variant)
                folder = self.run.folder / "dockerfiles" / slug(variant)
                self._dockerfiles[variant.name] = variant.copy_to(folder, text)
            except LabError as problem:
                self.problems[variant.name] = problem
        self.bases = list(had.values())
        self.took["base images"] = time.monotonic() - begun
        self.store.begin_run(
            self.run.id,
            {"host": self.endpoint.host, **asdict(self.endpoint.can)},
            [asdict(base) for base in self.bases],
        )

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

    def context(self, variant: Variant, nonce: str) -> Context:
        """A private copy of the app for a variant, told from all others by the nonce."""
        folder = self.run.folder / "contexts" / nonce
        return copy_context(self.settings.project / "app", folder, nonce)

    def build(self, variant: Variant, context: Context, what: str, *, cold: bool = False) -> Build:
        """Build a variant from a context and measure it.

        Raises:
            LabError: the build failed.
        """
        request = Request(
            dockerfile=self._dockerfiles[variant.name],
            context=context.folder,
            parsed=variant.dockerfile,
            tag=f"layerlab/{slug(variant)}:{self.run.id}",
            labels=self.run.labels,
            no_cache=cold,
            build_contexts=bases.build_contexts(self.bases),
            time_limit_seconds=self.settings.build_limit_seconds,
        )
        title = f"{what}: {variant.name}"
        self.screen.doing(title)
        built = build(self.endpoint, request, lambda step: self.screen.doing(title, step))
        if built.failure and built.failure.kind == "engine":
            raise RunLost(built.failure.sentence)
        if built.failure:
            raise LabError(built.failure.sentence)
        return built

    def rebuilds(self, variants: Sequence[Variant]) -> Rebuilds:
        """Measure a cold build and each rebuild of each variant, round by round.

        Within a round the variants take turns at every scenario. A variant whose build fails is left
        out from there on; the others go on.
        """
        begun = time.monotonic()
        builds: dict[str, dict[str, list[Build]]] = {
            variant.name: {scenario: [] for scenario in SCENARIOS} for variant in variants
        }
        result = Rebuilds(builds, self.problems)
        total = len(variants) * len(SCENARIOS) * self.settings.rounds
        with self.screen.work("layer cache", total):
            for number, order in interleaved(variants, self.settings.rounds):
                contexts: dict[str, Context] = {}
                for edit in (None, *EDITS):
                    for position, variant in enumerate(order, 1):
                        if variant.name in result.problems:
                            self.screen.done()
                            continue
                        try:
                            built = self._rebuild(variant, edit, number, position, contexts)
                        except RunLost as problem:
                            result.problems.update({v.name: problem for v in variants})
                        except LabError as problem:
                            result.problems[variant.name] = problem
                        else:
                            result.builds[variant.name][scenario_of(edit)].append(built)
                        self.screen.done()
                for context in contexts.values():
                    shutil.rmtree(context.folder)
        self.rebuilt = result
        self.took["layer cache"] = time.monotonic() - begun
        return result

    def _rebuild(
        self,
        variant: Variant,
        edit: Edit | None,
        number: int,
        position: int,
        contexts: dict[str, Context],
    ) -> Build:
        nonce = f"{self.run.id}-{slug(variant)}-{number}"
        if edit is None:
            contexts[variant.name] = self.context(variant, nonce)
        else:
            contexts[variant.name].apply(edit, nonce)
        scenario = scenario_of(edit)
        what = f"{scenario}, round {number}/{self.settings.rounds}"
        built = self.build(variant, contexts[variant.name], what, cold=edit is None)
        invalid = None
        if edit is None:
            invalid = cachemiss.invalid_cold(built)
        elif edit.path is None:
            invalid = cachemiss.invalid_no_change(built)
        for sample in build_samples(variant, scenario, number, position, built, invalid):
            self.store.add(self.run.id, sample, built.steps if sample.metric == "wall" else ())
        if invalid:
            raise LabError(
                f"{variant.path.name}: the measurement is void: {invalid}; is another program using "
                "or pruning this engine's build cache?"
            )
        return built


def scenario_of(edit: Edit | None) -> str:
    """The name of the scenario that an edit makes; None is the cold build."""
    return edit.scenario if edit else COLD


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
    took: Mapping[str, float],
) -> Iterator[Lab]:
    """A lab on an engine, ready to build ``variants``; ``took`` is what was done before, in seconds.

    Removes what dead runs left before it begins, and all that this run made when it ends.
    """
    removed = leftovers.remove_dead(endpoint)
    if removed:
        screen.say(f"removed what an earlier run left: {', '.join(removed)}")
    folder = record_folder(settings.project)
    with leftovers.running() as run, Store(folder / "store.sqlite") as store:
        lab = Lab(endpoint, run, store, screen, settings)
        try:
            lab.took.update(took)
            lab.prepare(variants)
            yield lab
            store.end_run(run.id)
        finally:
            try:
                leftovers.remove_run(endpoint, run)
            except LabError as error:
                # The engine is gone; what the run left there goes when the next run starts.
                screen.say(f"nothing could be removed from the engine: {error}")
