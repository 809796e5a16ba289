"""What a bench is to measure, and who takes turns in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from layerlab.build.context import Edit
from layerlab.build.edited import Edited
from layerlab.build.snapshot import Tree
from layerlab.build.variant import Variant
from layerlab.compare.metric import metric
from layerlab.labs import image_size, layer_cache, lives
from layerlab.record.samples import IMAGE_METRICS
from layerlab.run.service import Service

#: The scenario of a container that is started, left alone and stopped.
PLAIN = "plain"
#: What is known of a container: metric and unit.
SERVED = (("start", "s"), ("memory", "bytes"), ("stop", "s"))
_BUILT = (("wall", "s"), ("engine", "s"), ("ran", "steps"))


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

    @property
    def scenarios(self) -> list[str]:
        """The cold build, and what follows it."""
        return [layer_cache.COLD, *(edit.scenario for edit in self.edits)]


@dataclass(frozen=True, eq=False)
class Entrant:
    """Who takes turns in a round: a variant, or the baseline a second time."""

    variant: Variant
    control: bool = False

    @property
    def slug(self) -> str:
        return f"{self.variant.slug}-{'again' if self.control else 'first'}"


def planned(plan: Plan) -> set[str]:
    """The names of the metrics that a bench measures."""
    names = {
        metric(layer_cache.EXPERIMENT, scenario, *value).name
        for scenario in plan.scenarios
        for value in _BUILT
    }
    names |= {metric(image_size.EXPERIMENT, "image", *one).name for one in IMAGE_METRICS}
    if plan.service:
        names |= {metric(lives.EXPERIMENT, PLAIN, *value).name for value in SERVED}
    return names
