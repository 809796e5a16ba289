"""The bench: variants of somebody's own project beside a baseline, round by round."""

import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from layerlab.build import cachemiss, snapshot
from layerlab.build.buildx import Build
from layerlab.build.context import Context, Edit
from layerlab.build.edited import Edited
from layerlab.build.snapshot import Snapshot, Tree
from layerlab.build.variant import Variant
from layerlab.compare.metric import metric
from layerlab.compare.noise import Conditions, disturbances
from layerlab.compare.rounds import interleaved
from layerlab.errors import LabError, RunLost
from layerlab.image.anatomy import dissect
from layerlab.image.export import from_engine
from layerlab.image.memory import of_user
from layerlab.lab import Lab, slug
from layerlab.labs import conditions, image_size, layer_cache, lives
from layerlab.labs.benched import Benched, told
from layerlab.labs.image_size import understood
from layerlab.labs.layer_cache import COLD, scenario_of
from layerlab.labs.serving import told_by
from layerlab.record.samples import IMAGE_METRICS, Value, build_samples, image_values, samples
from layerlab.record.store import Sample
from layerlab.run.service import Served, Service, serve

EXPERIMENT = "bench"
PRIMING = "priming"
#: The scenario of a container that is started, left alone and stopped.
PLAIN = "plain"
#: More than anybody waits for.
_MOST_ROUNDS = 10_000
#: The baseline twice, and a variant.
_FEWEST = 3
#: A variant that fails in so many rounds one after another is left out from there on.
_MOST_FAILURES = 2


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    #: The baseline is the first.
    variants: Sequence[Variant]
    tree: Tree
    source: Edited
    #: None where the project has no such file.
    dependencies: Edited | None
    service: Service | None = None
    #: Go on until every verdict stands, for so many seconds; None: as many rounds as were asked for.
    until_decided_seconds: float | None = None

    @property
    def edits(self) -> list[Edit]:
        """The rebuilds, each on top of the one before."""
        edits = [Edit("no-change", None), Edit("source-edit", self.source.path)]
        if self.dependencies:
            edits.append(Edit("requirements-edit", self.dependencies.path))
        return edits


@dataclass(frozen=True, eq=False)
class Entrant:
    """Who takes turns in a round: a variant, or the baseline a second time."""

    variant: Variant
    control: bool = False

    @property
    def slug(self) -> str:
        return f"{slug(self.variant)}-{'again' if self.control else 'first'}"


def planned(plan: Plan) -> set[str]:
    """The names of the metrics that a bench measures."""
    scenarios = [COLD, *(edit.scenario for edit in plan.edits)]
    values = [("wall", "s"), ("engine", "s"), ("ran", "steps")]
    names = {
        metric(layer_cache.EXPERIMENT, scenario, *value).name
        for scenario in scenarios
        for value in values
    }
    names |= {metric(image_size.EXPERIMENT, "image", *one).name for one in IMAGE_METRICS}
    if plan.service:
        served = [("start", "s"), ("memory", "bytes"), ("stop", "s")]
        names |= {metric(lives.EXPERIMENT, PLAIN, *value).name for value in served}
    return names


def measure(lab: Lab, plan: Plan) -> Benched:
    """Prime each variant, and measure it in rounds, in which the baseline has two turns.

    A variant that can't be built is a problem of the result; the others go on. Without a baseline, or without
    another variant, there are no rounds.
    """
    names = [variant.name for variant in plan.variants]
    scenarios = [COLD, *(edit.scenario for edit in plan.edits)]
    builds: dict[str, dict[str, list[Build]]] = {
        name: {scenario: [] for scenario in scenarios} for name in names
    }
    result = Benched(names, lab.settings.margin, builds, problems=lab.problems)
    lab.results[EXPERIMENT] = result
    bench = _Bench(lab, plan, result)
    turns = len(scenarios) + bool(plan.service)
    pieces = len(names) + (len(names) + 1) * turns * lab.settings.rounds
    with lab.screen.work(EXPERIMENT, pieces):
        try:
            bench.prime()
            bench.rounds()
        except RunLost as problem:
            result.lost = problem
    return result


class _Bench:
    """One measurement."""

    def __init__(self, lab: Lab, plan: Plan, result: Benched) -> None:
        self._lab = lab
        self._plan = plan
        self._result = result
        lab.screen.doing("copying the build context")
        self._snapshot = _snapshot(lab, plan)
        #: How often each entrant failed one after another.
        self._failures: dict[Entrant, int] = {}

    def prime(self) -> None:
        """Build each variant of the project as it is, and take its image apart."""
        context = self._snapshot.linked(self._lab.run.folder / "contexts" / PRIMING)
        for position, variant in enumerate(self._plan.variants, 1):
            if variant.name not in self._result.problems:
                try:
                    self._prime(variant, position, context)
                except RunLost:
                    raise
                except LabError as problem:
                    self._result.problems[variant.name] = _named(variant, problem)
            self._lab.screen.done()
        shutil.rmtree(context.folder)

    def _prime(self, variant: Variant, position: int, context: Context) -> None:
        lab = self._lab
        built = lab.build(variant, context, PRIMING)
        self._keep_build(variant, PRIMING, (0, position), built, None, control=False)
        lab.screen.doing(f"reading: {variant.name}")
        image = from_engine(lab.endpoint, lab.tag(variant), of_user(), compress=True)
        anatomy = dissect(understood(lab, variant, image))
        # They are exact, and so count as of the first round.
        self._keep(
            samples(
                image_size.EXPERIMENT,
                variant,
                "image",
                image_values(anatomy),
                position=position,
                context=self._snapshot.digest,
            )
        )
        if self._plan.service:
            self._serve(Entrant(variant), 0, position)

    def rounds(self) -> None:
        """All rounds: as many as were asked for, or until every verdict stands."""
        result, limit = self._result, self._plan.until_decided_seconds
        entrants = self._entrants()
        if len(entrants) < _FEWEST:
            return
        count = self._lab.settings.rounds
        found: list[Conditions] = []
        begun, longest = time.monotonic(), 0.0
        for number, order in interleaved(entrants, count if limit is None else _MOST_ROUNDS):
            round_begun = time.monotonic()
            with conditions.looked_at(self._lab.run, found):
                self._round(number, order)
            result.rounds = number
            longest = max(longest, time.monotonic() - round_begun)
            if len(self._entrants()) < _FEWEST:
                break
            if limit is not None and number >= count and result.decided():
                result.findings.append(f"Every verdict stood after {_rounds(number)}.")
                break
            if limit is not None and time.monotonic() - begun + longest > limit:
                result.findings.append(
                    f"Stopped at the time limit after {_rounds(number)}: not every verdict stands "
                    "(--time-limit)."
                    if not result.decided()
                    else f"Every verdict stood after {_rounds(number)}, at the time limit."
                )
                break
            if number >= count and limit is not None:
                self._lab.screen.more(len(entrants) * self._turns)
        result.findings += [f"Noise: {one}." for one in disturbances(conditions.typical(found))]
        result.findings += self._silent_edits()

    @property
    def _turns(self) -> int:
        return 1 + len(self._plan.edits) + bool(self._plan.service)

    def _entrants(self) -> list[Entrant]:
        """The variants that could be primed, and the baseline a second time."""
        if self._result.baseline in self._result.problems:
            return []
        left = [one for one in self._plan.variants if one.name not in self._result.problems]
        return [*map(Entrant, left), Entrant(self._plan.variants[0], control=True)]

    def _round(self, number: int, order: Sequence[Entrant]) -> None:
        contexts = {entrant: self._context(entrant, number) for entrant in order}
        failed: dict[Entrant, str] = {}
        for edit in (None, *self._plan.edits):
            for position, entrant in enumerate(order, 1):
                if entrant.variant.name not in self._result.problems:
                    self._turn(entrant, edit, (number, position), contexts[entrant], failed)
                self._lab.screen.done()
        for entrant in order:
            self._failures[entrant] = self._failures.get(entrant, 0) + 1 if entrant in failed else 0
            if self._failures[entrant] >= _MOST_FAILURES:
                problem = _named(entrant.variant, LabError(failed[entrant]))
                self._result.problems.setdefault(entrant.variant.name, problem)
        for context in contexts.values():
            shutil.rmtree(context.folder)
        if self._plan.service:
            for position, entrant in enumerate(order, 1):
                self._serve(entrant, number, position)
                self._lab.screen.done()

    def _context(self, entrant: Entrant, number: int) -> Context:
        """A context whose edited files differ from those of all other contexts."""
        folder = self._lab.run.folder / "contexts" / f"{entrant.slug}-{number}"
        context = self._snapshot.linked(folder)
        for edit in self._plan.edits:
            context.apply(edit, self._nonce(entrant, number, COLD))
        return context

    def _nonce(self, entrant: Entrant, number: int, scenario: str) -> str:
        return f"{scenario} {self._lab.run.nonce}-{entrant.slug}-{number}"

    def _turn(
        self,
        entrant: Entrant,
        edit: Edit | None,
        turn: tuple[int, int],
        context: Context,
        failed: dict[Entrant, str],
    ) -> None:
        lab, variant, scenario = self._lab, entrant.variant, scenario_of(edit)
        if entrant not in failed:
            if edit:
                context.apply(edit, self._nonce(entrant, turn[0], scenario))
            what = f"{scenario}, round {turn[0]}"
            tag = f"{lab.tag(variant)}-{'again' if entrant.control else 'first'}"
            try:
                built = lab.build(variant, context, what, cold=edit is None, tag=tag)
            except RunLost:
                raise
            except LabError as problem:
                # What a rebuild would reuse is not there.
                failed[entrant] = told(problem)
            else:
                invalid = cachemiss.invalid_cold(built) if edit is None else None
                self._keep_build(variant, scenario, turn, built, invalid, control=entrant.control)
                if not invalid and not entrant.control:
                    self._result.builds[variant.name][scenario].append(built)
                return
        self._keep_none(
            layer_cache.EXPERIMENT, entrant, scenario, turn, failed[entrant], ("wall", None, "s")
        )

    def _serve(self, entrant: Entrant, number: int, position: int) -> None:
        """Start the variant's image as it was primed, and stop it; what fails is void."""
        lab, variant, service = self._lab, entrant.variant, self._plan.service
        if service is None or {variant.name} & {*self._result.problems, *self._result.unserved}:
            return
        lab.screen.doing(f"serving: {variant.name}")
        nothing = [("start", None, "s"), ("memory", None, "bytes"), ("stop", None, "s")]
        try:
            with told_by(variant) as called:
                served = serve(
                    lab.endpoint,
                    lab.run,
                    lab.image(variant),
                    service,
                    called=called,
                    limit_seconds=lab.settings.start_limit_seconds,
                )
        except RunLost:
            raise
        except LabError as problem:
            problem = LabError(lab.options.masked(str(problem)))
            self._keep_none(
                lives.EXPERIMENT, entrant, PLAIN, (number, position), told(problem), *nothing
            )
            if number == 0:
                self._result.unserved[variant.name] = problem
            return
        self._keep(
            samples(
                lives.EXPERIMENT,
                variant,
                PLAIN,
                _served(served),
                number=number,
                position=position,
                control=entrant.control,
                context=self._snapshot.digest,
            )
        )

    def _keep_build(
        self,
        variant: Variant,
        scenario: str,
        turn: tuple[int, int],
        built: Build,
        invalid: str | None,
        *,
        control: bool,
    ) -> None:
        for sample in build_samples(
            variant, scenario, *turn, built, invalid, self._snapshot.digest, control=control
        ):
            self._result.samples.append(sample)
            steps = built.steps if sample.metric == "wall" else ()
            self._lab.store.add(self._lab.run.id, sample, steps)

    def _keep_none(
        self,
        experiment: str,
        entrant: Entrant,
        scenario: str,
        turn: tuple[int, int],
        reason: str,
        *values: Value,
    ) -> None:
        """Record that a turn gave no values, and why."""
        self._keep(
            samples(
                experiment,
                entrant.variant,
                scenario,
                values,
                number=turn[0],
                position=turn[1],
                invalid=reason,
                control=entrant.control,
                context=self._snapshot.digest,
            )
        )

    def _keep(self, found: Iterable[Sample]) -> None:
        for sample in found:
            self._result.samples.append(sample)
            self._lab.store.add(self._lab.run.id, sample)

    def _silent_edits(self) -> list[str]:
        """That an edit ran no step: what was edited is not in the image."""
        found = []
        for edit in self._plan.edits:
            for variant in self._plan.variants:
                builds = self._result.builds[variant.name][edit.scenario]
                if edit.path and builds and not any(build.ran for build in builds):
                    option = "--edit" if edit.path == self._plan.source.path else "--deps"
                    found.append(
                        f"{variant.path.name}: an edit of {edit.path} ran no step at all: it does not come "
                        f"into the image; name another file with {option}."
                    )
        return found


def _named(variant: Variant, problem: LabError) -> LabError:
    """A problem that begins with the variant's name, which tells it from others in other folders."""
    text, file = str(problem), variant.path.name
    return (
        LabError(f"{variant.name}{text.removeprefix(file)}") if text.startswith(file) else problem
    )


def _snapshot(lab: Lab, plan: Plan) -> Snapshot:
    """A copy of what the variants' builds see of the context."""
    return snapshot.take(plan.tree, lab.run.folder / "contexts" / "pristine")


def _served(served: Served) -> list[Value]:
    return [
        ("start", served.start_seconds, "s"),
        ("memory", served.memory_bytes, "bytes"),
        ("stop", served.stop_seconds, "s"),
    ]


def _rounds(count: int) -> str:
    return f"{count} round{'s' * (count != 1)}"
