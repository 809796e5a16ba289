"""The samples of a bench: kept in the store at once, and at hand for the verdicts."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from layerlab.build.buildx import Build
from layerlab.build.variant import Variant
from layerlab.lab import Lab
from layerlab.labs.bench_plan import Entrant
from layerlab.record.rows import Sample
from layerlab.record.samples import Value

_UNENDED = "its round did not come to its end"


@dataclass(frozen=True)
class Turn:
    """Where a sample belongs: who, in which round (0 is priming), as which one in it."""

    entrant: Entrant
    round: int
    position: int

    @property
    def variant(self) -> Variant:
        return self.entrant.variant


@dataclass
class Keeper:
    """Keeps a bench's samples. Each method raises RunLost where the store can't be written."""

    lab: Lab
    #: Of the context that all builds are made from.
    digest: str
    #: All that was kept, in its order.
    kept: list[Sample] = field(default_factory=list)

    def drop_after(self, number: int, experiments: Iterable[str]) -> None:
        """Make the samples of rounds after that of this number invalid."""
        self.kept = [one for one in self.kept if one.round <= number]
        for experiment in experiments:
            self.lab.store.supersede(self.lab.run.id, experiment, number, _UNENDED)

    def build(self, turn: Turn, scenario: str, built: Build, invalid: str | None = None) -> None:
        """Keep a build and its steps; ``invalid`` is why it is no measurement."""
        self.kept += self.lab.keep_build(
            turn.variant,
            scenario,
            built,
            number=turn.round,
            position=turn.position,
            invalid=invalid,
            control=turn.entrant.control,
        )

    def values(
        self,
        turn: Turn,
        experiment: str,
        scenario: str,
        *values: Value,
        invalid: str | None = None,
    ) -> None:
        """Keep values; of a turn that failed they are None, and ``invalid`` says why."""
        self.kept += self.lab.keep(
            experiment,
            turn.variant,
            scenario,
            *values,
            number=turn.round,
            position=turn.position,
            invalid=invalid,
            control=turn.entrant.control,
            context=self.digest,
        )
