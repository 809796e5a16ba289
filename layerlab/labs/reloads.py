"""What the live reload lab measured, and with which variants."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from layerlab.build.variant import Variant
from layerlab.errors import LabError
from layerlab.run.marks import Save
from layerlab.run.reload import ORDERED, OVERRIDE, SINGLE, STAT, Way
from layerlab.run.saving import Outcome
from layerlab.show import reload as tables
from layerlab.show.section import Section


@dataclass(frozen=True)
class Packaged:
    """The variants that the ways use; None for one that takes no part in this run."""

    development: Variant | None
    ordered: Variant | None
    single: Variant | None

    def of(self, way: Way) -> Variant | None:
        """The variant whose image a way's container has."""
        if way in (ORDERED, STAT):
            return self.ordered
        return self.single if way == SINGLE else self.development

    def lacking(self, way: Way) -> str | None:
        """That a way misses a variant, as a clause; None where it misses none."""
        if self.of(way) is None or (way == OVERRIDE and self.ordered is None):
            return "its variant is not among those of this run"
        return None


@dataclass
class Reloads:
    """What the lab measured."""

    outcomes: dict[Way, dict[Save, Outcome]] = field(default_factory=dict)
    #: Ways that this engine, its client or this run does not have, and why.
    lacking: dict[Way, str] = field(default_factory=dict)
    #: Ways that were not measured to their end.
    problems: dict[Way, LabError] = field(default_factory=dict)
    #: Ways in which a save was in the container and nobody told the app: measured with polling.
    polled: set[Way] = field(default_factory=set)
    #: Ways whose container is the same one at the end, and was never started again.
    kept: set[Way] = field(default_factory=set)
    #: What all took, and what it would have taken one after another.
    wall_seconds: float = 0
    waited_seconds: float = 0
    question: ClassVar[str] = tables.QUESTION

    def answer(self) -> str:
        """What a save of one file takes in each way; see :class:`layerlab.result.Result`."""
        return tables.answer(self.outcomes, [way.name for way in self.problems])

    def of(self, way: Way) -> dict[Save, Outcome]:
        """A way's outcomes.

        Raises:
            LabError: it was not measured to its end.
        """
        if problem := self.problems.get(way):
            raise problem
        return self.outcomes[way]

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.result.Result`."""
        told = dict.fromkeys(self.problems, "it was not measured to its end, see above")
        shown = tables.Shown(self.outcomes, {**self.lacking, **told}, self.polled)
        waited = (
            f"Waits add up to {self.waited_seconds:.0f} s and took {self.wall_seconds:.0f} s: containers "
            "start together and end together. One save is timed at a time; the apps of the other ways are "
            "up meanwhile, and idle."
        )
        yield Section(
            "live reload: seconds from a save to the answer, failed requests",
            tables.answers(shown, style),
            (*tables.answers_notes(shown), waited),
        )
        yield Section(
            "live reload: longest time without an answer, in seconds",
            tables.silences(shown, style),
            tables.SILENCES_NOTES,
        )

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """No pictures: the tables have it all."""
        yield from ()
