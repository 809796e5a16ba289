"""The bench: variants of somebody's own project beside a baseline, round by round."""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress

from layerlab.build import cachemiss, snapshot
from layerlab.build.buildx import Build
from layerlab.build.context import Context, Edit
from layerlab.build.variant import Variant
from layerlab.compare.noise import Conditions, disturbances
from layerlab.compare.rounds import interleaved
from layerlab.compare.verdict import looks
from layerlab.errors import LabError, RunLost
from layerlab.image.anatomy import dissect
from layerlab.image.export import from_engine
from layerlab.image.memory import of_user
from layerlab.lab import Lab
from layerlab.labs import conditions, image_size, layer_cache, lives
from layerlab.labs.bench_plan import PLAIN, SERVED, Entrant, Plan
from layerlab.labs.bench_record import Keeper, Turn
from layerlab.labs.benched import Benched, told
from layerlab.labs.image_size import understood
from layerlab.labs.layer_cache import COLD, scenario_of
from layerlab.labs.serving import told_by
from layerlab.record.comparisons import comparisons
from layerlab.record.run import State
from layerlab.record.samples import Value, image_values
from layerlab.run.service import serve
from layerlab.text import counted

EXPERIMENT = "bench"
PRIMING = "priming"
BUILDS, SERVING = layer_cache.EXPERIMENT, lives.EXPERIMENT
#: Of a build that failed.
_NO_BUILD: Value = ("wall", None, "s")
#: More than anybody waits for.
_MOST_ROUNDS = 10_000
#: The baseline twice, and a variant.
_FEWEST = 3
#: A variant that fails in so many rounds one after another is left out from there on.
_MOST_FAILURES = 2


def measure(lab: Lab, plan: Plan) -> Benched:
    """Prime each variant, and measure it in rounds, in which the baseline has two turns.

    A variant that can't be built is a problem of the result; the others go on. Without a baseline, or without
    another variant, there are no rounds. Ctrl-C ends it after what has been measured, if that is a round or more.

    Raises:
        KeyboardInterrupt: before the end of the first round.
    """
    names = [variant.name for variant in plan.variants]
    builds: dict[str, dict[str, list[Build]]] = {
        name: {scenario: [] for scenario in plan.scenarios} for name in names
    }
    result = Benched(names, builds, problems=lab.problems)
    lab.results[EXPERIMENT] = result
    bench = _Bench(lab, plan, result)
    pieces = len(names) + (len(names) + 1) * bench.turns * lab.settings.rounds
    with lab.screen.work(EXPERIMENT, pieces):
        try:
            bench.prime()
            bench.rounds()
        except RunLost as problem:
            result.lost, lab.ending = problem, State.LOST
        except KeyboardInterrupt:
            if not result.rounds:
                raise
            result.interrupted, lab.ending = True, State.INTERRUPTED
            result.findings.append(f"Interrupted after {counted(result.rounds, 'round')}.")
    with suppress(RunLost):
        bench.conclude()
    bench.compare()
    return result


class _Bench:
    """One measurement."""

    def __init__(self, lab: Lab, plan: Plan, result: Benched) -> None:
        self._lab = lab
        self._plan = plan
        self._result = result
        lab.screen.doing("copying the build context")
        self._snapshot = snapshot.take(plan.tree, lab.run.folder / "contexts" / "pristine")
        self._keeper = Keeper(lab, self._snapshot.digest)
        #: How often each entrant failed one after another.
        self._failures: dict[Entrant, int] = {}
        #: A round each.
        self._conditions: list[Conditions] = []

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
        lab, turn = self._lab, Turn(Entrant(variant), 0, position)
        try:
            built = lab.build(variant, context, PRIMING)
        except LabError as problem:
            self._keeper.values(turn, BUILDS, PRIMING, _NO_BUILD, invalid=told(problem))
            raise
        self._keeper.build(turn, PRIMING, built)
        lab.screen.doing(f"reading: {variant.name}")
        image = from_engine(lab.endpoint, lab.tag(variant), of_user(), compress=True)
        anatomy = dissect(understood(lab, variant, image))
        # What it holds is exact, and so counts as of the first round.
        of_image = Turn(turn.entrant, 1, position)
        self._keeper.values(of_image, image_size.EXPERIMENT, "image", *image_values(anatomy))
        self._serve(turn)

    def rounds(self) -> None:
        """All rounds: as many as were asked for, or until every verdict stands."""
        result, limit = self._result, self._plan.until_decided_seconds
        entrants = self._entrants()
        if len(entrants) < _FEWEST:
            return
        count = self._lab.settings.rounds
        begun, longest = time.monotonic(), 0.0
        for number, order in interleaved(entrants, count if limit is None else _MOST_ROUNDS):
            round_begun = time.monotonic()
            with conditions.looked_at(self._lab, self._conditions):
                self._round(number, order)
            result.rounds = number
            longest = max(longest, time.monotonic() - round_begun)
            if len(self._entrants()) < _FEWEST:
                break
            if limit is None:
                continue
            over = time.monotonic() - begun + longest > limit
            decided = (over or looks(number, count)) and self._decided()
            if decided or over:
                result.findings.append(_ending(number, decided=decided))
                break
            if number >= count:
                self._lab.screen.more(len(entrants) * self.turns)

    def conclude(self) -> None:
        """Leave out a round that did not come to its end, and say what a reader of the others must know.

        Raises:
            RunLost: the store can't be written.
        """
        if self._conditions:
            noise = disturbances(conditions.typical(self._conditions))
            self._result.findings += [f"Noise: {one}." for one in noise]
        self._result.findings += self._silent_edits()
        if self._result.lost or self._result.interrupted:
            self._keeper.drop_after(self._result.rounds, (BUILDS, SERVING))

    def compare(self) -> None:
        """Judge each variant by what was measured until now."""
        baseline, margin = self._result.baseline, self._lab.settings.margin
        self._result.comparisons = comparisons(self._keeper.kept, baseline, margin)

    def _decided(self) -> bool:
        self.compare()
        return self._result.decided()

    @property
    def turns(self) -> int:
        """How many turns each entrant has in a round."""
        return len(self._plan.scenarios) + bool(self._plan.service)

    def _entrants(self) -> list[Entrant]:
        """The variants that could be primed, and the baseline a second time."""
        if self._result.baseline in self._result.problems:
            return []
        left = [one for one in self._plan.variants if one.name not in self._result.problems]
        return [*map(Entrant, left), Entrant(self._plan.variants[0], control=True)]

    def _round(self, number: int, order: Sequence[Entrant]) -> None:
        turns = [Turn(entrant, number, position) for position, entrant in enumerate(order, 1)]
        turns = [turn for turn in turns if turn.variant.name not in self._result.problems]
        contexts = {turn.entrant: self._context(turn.entrant, number) for turn in turns}
        failed: dict[Entrant, LabError] = {}
        for edit in (None, *self._plan.edits):
            for turn in turns:
                self._turn(turn, edit, contexts[turn.entrant], failed)
                self._lab.screen.done()
        for entrant, context in contexts.items():
            self._failures[entrant] = self._failures.get(entrant, 0) + 1 if entrant in failed else 0
            if self._failures[entrant] >= _MOST_FAILURES:
                problem = _named(entrant.variant, failed[entrant])
                self._result.problems.setdefault(entrant.variant.name, problem)
            shutil.rmtree(context.folder)
        for turn in turns if self._plan.service else ():
            self._serve(turn)
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
        self, turn: Turn, edit: Edit | None, context: Context, failed: dict[Entrant, LabError]
    ) -> None:
        """One build; an entrant that ``failed`` in this round has nothing that a rebuild could reuse."""
        lab, entrant, scenario = self._lab, turn.entrant, scenario_of(edit)
        if entrant not in failed:
            if edit:
                context.apply(edit, self._nonce(entrant, turn.round, scenario))
            what = f"{scenario}, round {turn.round}"
            tag = f"{lab.tag(turn.variant)}-{'again' if entrant.control else 'first'}"
            try:
                built = lab.build(turn.variant, context, what, cold=edit is None, tag=tag)
            except RunLost:
                raise
            except LabError as problem:
                failed[entrant] = problem
            else:
                invalid = cachemiss.invalid_cold(built) if edit is None else None
                self._keeper.build(turn, scenario, built, invalid)
                if not invalid and not entrant.control:
                    self._result.builds[turn.variant.name][scenario].append(built)
                return
        self._keeper.values(turn, BUILDS, scenario, _NO_BUILD, invalid=told(failed[entrant]))

    def _serve(self, turn: Turn) -> None:
        """Start the variant's image as it was primed, and stop it; what fails is void."""
        lab, variant, service = self._lab, turn.variant, self._plan.service
        if service is None or variant.name in {*self._result.problems, *self._result.unserved}:
            return
        lab.screen.doing(f"serving: {variant.name}")
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
        except LabError as error:
            problem = LabError(lab.options.masked(str(error)))
            nothing = [(name, None, unit) for name, unit in SERVED]
            self._keeper.values(turn, SERVING, PLAIN, *nothing, invalid=told(problem))
            if turn.round == 0:
                self._result.unserved[variant.name] = _named(variant, problem)
            return
        seconds_and_bytes = (served.start_seconds, served.memory_bytes, served.stop_seconds)
        values = [
            (name, value, unit)
            for (name, unit), value in zip(SERVED, seconds_and_bytes, strict=True)
        ]
        self._keeper.values(turn, SERVING, PLAIN, *values)

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


def _ending(number: int, *, decided: bool) -> str:
    """Why a bench that was to go on until all is decided ended."""
    rounds = counted(number, "round")
    if decided:
        return f"Every verdict stood after {rounds}."
    return f"Stopped at the time limit (--time-limit) after {rounds}: not every verdict stands."
