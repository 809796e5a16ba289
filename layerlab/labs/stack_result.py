"""What the stack lab measured, ready to be shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from layerlab.errors import LabError
from layerlab.run import reach
from layerlab.run.absence import Away, Gap, Rebuilt
from layerlab.run.fate import Fate
from layerlab.run.reach import Matrix
from layerlab.run.start import Start
from layerlab.run.volumes import Kinds
from layerlab.show import stack as tables
from layerlab.show.section import Section


@dataclass(frozen=True)
class Reaching:
    """Who reaches whom, and the project that promises it."""

    config: Mapping[str, Any]
    found: Matrix
    #: The services with a port on the engine's machine.
    published: Sequence[str]
    #: As in :func:`layerlab.run.reach.promised`.
    leaky: bool

    @property
    def differences(self) -> list[str]:
        """Where the network is not as promised, for people."""
        return reach.differences(self.config, self.found, leaky=self.leaky)


@dataclass
class Stacks:
    """What the stack lab measured; what is None was not asked for."""

    starts: dict[str, Start] = field(default_factory=dict)
    reaching: Reaching | None = None
    away: dict[str, Away] = field(default_factory=dict)
    gap: Gap | None = None
    rebuilt: Rebuilt | None = None
    fates: list[Fate] = field(default_factory=list)
    kinds: Kinds | None = None
    #: Seconds until the stack was ready with a variant as its web image; or why it was not.
    variants: dict[str, float | LabError] = field(default_factory=dict)
    question: ClassVar[str] = tables.QUESTION

    def answer(self) -> str:
        """What a start, a kill and an absence cost; see :class:`layerlab.result.Result`."""
        return tables.answer(self.starts, self.away, self.gap, self.variants)

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.result.Result`."""
        yield from tables.start_sections(self.starts, style)
        if self.reaching:
            here = self.reaching
            yield tables.reach_section(
                here.config, here.found, here.published, style, leaky=here.leaky
            )
        if self.gap and self.rebuilt:
            yield tables.away_section(self.away, style)
            yield tables.gaps_section(self.gap, self.rebuilt, style)
        if self.kinds:
            yield tables.notes_section(self.fates, style)
            yield tables.kinds_section(self.kinds, style)
        if self.variants:
            yield tables.variants_section(self.variants, style)

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """The starts as timelines."""
        for name, start in self.starts.items():
            path = folder / f"stack-start-{name}.svg"
            tables.timeline_svg(name, start, path)
            yield f"How the stack starts with depends_on: {name}", path
