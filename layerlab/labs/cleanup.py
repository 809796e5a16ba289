"""The clean-up lab: what Docker's prune commands take, computed, and then done where it hurts nobody."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from layerlab.build.variant import Variant
from layerlab.engine import fresh
from layerlab.engine.bases import Base
from layerlab.engine.endpoint import Endpoint, probe
from layerlab.engine.transfer import bring
from layerlab.errors import LabError
from layerlab.lab import Lab
from layerlab.run import inventory, litter, prune, triage
from layerlab.run.inventory import Inventory
from layerlab.run.prune import (
    COMMANDS,
    SYSTEM,
    SYSTEM_ALL,
    SYSTEM_VOLUMES,
    VOLUME_ALL,
    Command,
    Taken,
)
from layerlab.show import cleanup as tables
from layerlab.show.section import Section

EXPERIMENT = "cleanup"
#: What is done on the engine of our own, one after another.
DONE = (SYSTEM, SYSTEM_VOLUMES, SYSTEM_ALL, VOLUME_ALL)
PRUNE_SECONDS = 300


@dataclass(frozen=True)
class Step:
    """A command that was predicted and then really run."""

    command: Command
    predicted: Taken
    real: Taken
    #: `docker system df` after it.
    df: str

    @property
    def differences(self) -> list[str]:
        return prune.differences(self.predicted, self.real)


@dataclass(frozen=True)
class Lesson:
    """What the clean-up lab measured."""

    #: The engine in use, of which nothing was removed.
    used: Inventory
    #: The littered engine of our own, before anything was removed; None where there can be none.
    littered: Inventory | None
    #: `docker system df` of it then.
    df: str = ""
    steps: Sequence[Step] = field(default=())
    #: Why nothing was done, as a clause.
    lacking: str | None = None
    question: ClassVar[str] = tables.QUESTION

    def answer(self) -> str:
        """How right the predictions were, and what the engine in use would lose."""
        right = sum(not step.differences for step in self.steps)
        return tables.answer(right, len(self.steps), would(self.used))

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.result.Result`."""
        if self.littered is not None:
            right = sum(not step.differences for step in self.steps)
            yield Section(
                "clean-up: what piles up, and the mildest prune that takes it",
                tables.lesson(triage.rows(self.littered), style),
                (
                    "On an engine of its own that was littered for this and is gone. Bytes of images: what no "
                    + "other image shares; of the cache: what no image has. *: once its container is gone.",
                    f"Predicted, then run: {', '.join(s.command.words for s in self.steps)}. In {right} of "
                    + f"{len(self.steps)} exactly what was predicted was gone.",
                ),
            )
            yield Section(
                "clean-up: docker system df, before and after", _fenced(self._df(), style)
            )
        yield Section(
            "clean-up: what a prune would take of the engine in use",
            tables.commands(would(self.used), style),
            (
                "Computed from the engine's lists; nothing was removed. Cache: records; with a +, also those that "
                + "only images have that go. Bytes: at least so many.",
                *([f"No command was run: {self.lacking}."] if self.lacking else ()),
            ),
        )

    def _df(self) -> str:
        parts = [self.df, *(f"docker {s.command.words}\n{s.df}" for s in self.steps)]
        return "\n\n".join(part.strip() for part in parts)

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """No pictures."""
        yield from ()


def _fenced(text: str, style: str) -> str:
    return f"```\n{text}\n```" if style == "github" else text


def measure(lab: Lab, variant: Variant) -> Lesson:
    """Compute what each prune would take of the engine; litter one of our own, and prune that.

    The engine in use is only looked at. ``variant`` gives the image that the litter stands on: its base.

    Raises:
        LabError: an engine does not answer, or the variant can't be measured.
    """
    if problem := lab.problems.get(variant.name):
        raise problem
    with lab.screen.work(EXPERIMENT, 2 + len(DONE)):
        lab.screen.doing("looking at the engine")
        used = inventory.take(lab.endpoint)
        lab.screen.done()
        for words, (taken, count) in would(used).items():
            _keep(lab, variant, f"docker {words}", taken, count)
        if lab.endpoint.private:
            base = base_of(variant, lab.bases)
            with fresh.engine("prune", lab.endpoint.can.image_store, lab.screen.say) as engine:
                result = _done(lab, probe(engine.endpoint()), used, base)
        else:
            why = "layerlab prunes engines of its own only, and starts one beside its own one only"
            result = Lesson(used, None, lacking=why)
    lab.results[EXPERIMENT] = result
    return result


def base_of(variant: Variant, bases: Sequence[Base]) -> str:
    """The image that the litter stands on.

    Raises:
        LabError: the variant stands on none.
    """
    name = variant.dockerfile.lineage()[0]
    for base in bases:
        if base.name == name:
            return base.reference
    raise LabError(
        f"{variant.path.name}: its last stage stands on no image (FROM {name}), and the litter needs one with a shell: "
        "measure with another variant"
    )


def _done(lab: Lab, own: Endpoint, used: Inventory, base: str) -> Lesson:
    lab.screen.doing("littering an engine of our own")
    bring(base, lab.endpoint, own)
    litter.make(own, lab.run, base)
    littered, df = inventory.take(own), system_df(own)
    lab.screen.done()
    steps = []
    for command in DONE:
        lab.screen.doing(f"docker {command.words}")
        steps.append(step(own, command))
        lab.screen.done()
    return Lesson(used, littered, df, tuple(steps))


def step(own: Endpoint, command: Command) -> Step:
    """Predict a command on a private engine that is there for this, then run it.

    Raises:
        LabError: the engine is not ours, does not answer, or refuses.
    """
    if not own.private:
        raise LabError(f"the engine at {own.host} is not layerlab's own: nothing is pruned there")
    before = inventory.take(own)
    predicted = prune.predict(before, command)
    words = (*command.words.split(), "--force")
    own.run(*words, doing=f"docker {command.words}", timeout=PRUNE_SECONDS)
    after = inventory.take(own)
    return Step(command, predicted, prune.gone(before, after), system_df(own))


def system_df(endpoint: Endpoint) -> str:
    """What `docker system df` prints."""
    return endpoint.run("system", "df", doing="docker system df", timeout=PRUNE_SECONDS)


def would(found: Inventory) -> dict[str, tuple[Taken, int]]:
    """What each command that the engine knows would take, and at least how many bytes."""
    known = [command for command in COMMANDS if prune.exists(command, found)]
    taken = {command.words: prune.predict(found, command) for command in known}
    return {words: (one, size(found, one)) for words, one in taken.items()}


def size(found: Inventory, taken: Taken) -> int:
    """At least how many bytes go: what images share among themselves is left out."""
    return (
        sum(c.bytes for c in found.containers if c.id in taken.containers)
        + sum(v.bytes for v in found.volumes if v.name in taken.volumes)
        + sum(i.own_bytes for i in found.images if i.id in taken.images)
        + sum(r.bytes for r in found.cache if r.id in taken.cache and not r.shared)
    )


def _keep(lab: Lab, variant: Variant, scenario: str, taken: Taken, count: int) -> None:
    kinds = ("containers", "networks", "volumes", "images", "cache")
    counts = [(kind, len(getattr(taken, kind)), "count") for kind in kinds]
    lab.keep(EXPERIMENT, variant, scenario, ("bytes", count, "bytes"), *counts)


def told(one: Step) -> str:
    """How a command took something else than was predicted, for people."""
    return f"docker {one.command.words}: " + "; ".join(one.differences)
