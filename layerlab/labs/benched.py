"""What a bench measured, as it is held and shown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from layerlab.build.buildx import Build
from layerlab.compare.comparison import Comparison, Verdict
from layerlab.errors import LabError
from layerlab.labs.layer_cache import COLD
from layerlab.show import tables, verdicts
from layerlab.show.buildtimes import timeline_svg
from layerlab.show.section import Section
from layerlab.text import plain, shorten

#: The scenarios whose builds are drawn.
_PICTURED = (COLD, "source-edit")


@dataclass
class Benched:
    """What a bench measured."""

    #: The variants' names; the first is what the others are compared with.
    variants: Sequence[str]
    #: variant -> scenario -> its valid builds, without the baseline's second turns
    builds: dict[str, dict[str, list[Build]]]
    #: Each variant beside the baseline, metric by metric, as far as it was measured.
    comparisons: Sequence[Comparison] = ()
    #: variant -> why it could not be measured
    problems: dict[str, LabError] = field(default_factory=dict)
    #: variant -> why its container could not be measured
    unserved: dict[str, LabError] = field(default_factory=dict)
    #: What ended the bench before its time.
    lost: LabError | None = None
    #: Whether the user ended it after some of its rounds.
    interrupted: bool = False
    #: How many rounds there were.
    rounds: int = 0
    #: What a reader must know: which files are edited, a noisy machine.
    findings: list[str] = field(default_factory=list)

    @property
    def baseline(self) -> str:
        return self.variants[0]

    @property
    def question(self) -> str:
        """See :class:`layerlab.result.Result`."""
        others = " and ".join(map(plain, self.variants[1:]))
        return f"What do {others} cost, beside {plain(self.baseline)}?"

    def decided(self) -> bool:
        """Whether there is a verdict on all that is shown."""
        return all(
            one.verdict is not Verdict.UNDECIDED for one in verdicts.ordered(self.comparisons)
        )

    def of(self, variant: str) -> list[Comparison]:
        """What is shown of a variant."""
        found = [one for one in self.comparisons if one.variant == variant]
        return verdicts.ordered(found)

    def answer(self) -> str:
        """A sentence for each variant; see :class:`layerlab.result.Result`."""
        measured = [name for name in self.variants[1:] if name not in self.problems]
        told = [verdicts.sentence(self.of(name)) for name in measured]
        told += [f"{plain(name)} could not be measured." for name in self.problems]
        return " ".join(filter(None, told)) or "Nothing was measured."

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The noise and the steps as tables, beside the verdicts; see :class:`layerlab.result.Result`."""
        first = next((found for v in self.variants[1:] if (found := self.of(v))), [])
        if noise := verdicts.noise(first, style):
            title = f"noise: {plain(self.baseline)} beside itself"
            yield Section(title, noise, tuple(self.findings))
        elif self.findings:
            yield Section("this bench", "", tuple(self.findings))
        for variant, by_scenario in self.builds.items():
            for scenario, builds in by_scenario.items():
                if builds:
                    title = f"{plain(variant)}: steps, {scenario}"
                    table = tables.steps(builds[-1], style, width)
                    yield Section(title, table, on_request="steps")

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """The steps of each variant's cold build beside those of its rebuilds."""
        last = {
            name: {one: its[one][-1] for one in _PICTURED if its.get(one)}
            for name, its in self.builds.items()
        }
        if any(last.values()):
            title = "A cold build beside the rebuild after an edit of a source file"
            path = folder / "builds.svg"
            timeline_svg(title, {name: its for name, its in last.items() if its}, path)
            yield title, path


def told(problem: LabError) -> str:
    """A problem in one line, for a sample's reason."""
    return shorten(str(problem), 300)
