"""The registry lab: what a push and a pull move, whole and after an edit."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from layerlab.build.variant import Variant
from layerlab.engine import bases, fresh, relay
from layerlab.errors import LabError, RunLost
from layerlab.lab import Lab
from layerlab.labs.transferring import Measuring
from layerlab.run import registry
from layerlab.run.moves import FIRST, PULL, PUSHED_EDITS, PUSHES, UPDATE, Moves, judge
from layerlab.run.transfers import Push
from layerlab.show import registry as tables
from layerlab.show.section import Section
from layerlab.units import bytes_text

EXPERIMENT = "registry"
#: What an answer tells: the edit of the source.
_ASKED = next((e.scenario, e.path or "") for e in PUSHED_EDITS if e.scenario == "source-edit")
#: So much may the image lab's compressed size differ: it models gzip with another compressor than Docker's.
#: Measured: +2.2 % and +2.3 % on Engine 28.5 (Go 1.27).
TOLERANCE = 0.05


@dataclass(frozen=True)
class Transfers:
    """What the registry lab measured."""

    moves: dict[str, Moves]
    #: base -> its push, beside the builds
    bases: dict[str, Push]
    #: variant -> why it could not be measured
    problems: dict[str, LabError]
    #: Why nothing is pulled, as a clause; None where it is.
    lacking: str | None = field(default=None, kw_only=True)
    question: ClassVar[str] = tables.QUESTION

    def answer(self) -> str:
        """What a push sends after an edit of the source; see :class:`layerlab.result.Result`."""
        return tables.answer(self.moves, _ASKED, self.problems)

    def of(self, variant: Variant) -> Moves:
        """A variant's.

        Raises:
            LabError: it could not be built, pushed or pulled.
        """
        if problem := self.problems.get(variant.name):
            raise problem
        return self.moves[variant.name]

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.result.Result`."""
        if not self.moves:
            return
        told = [
            f"{name} ({len(push.manifest.layers)} layers, {bytes_text(push.manifest.bytes)})"
            for name, push in self.bases.items()
        ]
        yield Section(
            "registry: layers, bytes and seconds of a push",
            tables.pushes(self.moves, PUSHES, style),
            (
                f"Beyond the base: it was there before, as on Docker Hub: {', '.join(told)}.",
                "Bytes: compressed layers that the registry did not have of this image, by its manifests and "
                + "its access log. Seconds: wall clock of one `docker push`.",
            ),
        )
        yield Section(
            "registry: layers, bytes and seconds of a pull, and the size there",
            tables.pulls(self.moves, (PULL, UPDATE), style),
            tuple(self._notes()),
        )

    def _notes(self) -> Iterator[str]:
        if self.lacking:
            yield f"Nothing was pulled: {self.lacking}."
        else:
            yield (
                "Pull: of the first image by its digest, onto an engine that has only the base. "
                "Source edit: of the tag after that, with the first image there."
            )
        yield (
            "Size: all layers as the registry holds them. Model: the image lab's compressed size; up to "
            f"{TOLERANCE:.0%} apart is the compressor's doing, which Docker changes."
        )
        if plain := [one for one in self.moves.values() if one.plain]:
            yield (
                f"{plain[0].plain} layers of {plain[0].variant} are there as plain tar: the engine pushes them "
                "as it has them, and they were loaded so."
            )
        looked = [one for one in self.moves.values() if one.pulls]
        noticed = [one for one in looked if one.moved]
        if noticed:
            yield (
                f"A tag that moved was noticed in {len(noticed)} of {len(looked)}, such as "
                f"{noticed[-1].moved}; by its digest the first image came all the same."
            )

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """No pictures yet."""
        yield from ()


def measure(lab: Lab, variants: Sequence[Variant]) -> Transfers:
    """Push each variant's image whole and after each edit, and pull it onto an engine with only the base.

    Images are built and bases pushed before anything is timed. A variant that fails is left out.

    Raises:
        LabError: the engine can have no registry, or the registry or the second engine does not start.
    """
    endpoint, say = lab.endpoint, lab.screen.say
    if lack := registry.lacking(endpoint):
        raise LabError(f"the registry lab is not available: {lack}")
    (image,) = bases.ensure(
        endpoint, [registry.IMAGE], standins=lab.settings.standins, progress=say
    )
    lacking = (
        None if endpoint.private else "layerlab starts a second engine beside its own one only"
    )
    result = Transfers({}, {}, dict(lab.problems), lacking=lacking)
    lab.results[EXPERIMENT] = result
    with lab.screen.work("registry", len(variants) * 2), ExitStack() as stack:
        there = stack.enter_context(registry.serving(endpoint, lab.run, image.reference))
        second = None
        if lacking is None:
            engine = stack.enter_context(fresh.engine("pulls", endpoint.can.image_store, say))
            leads = relay.leading(engine, there.port, (endpoint.address, there.port))
            stack.enter_context(leads)
            second = engine.endpoint()
        measuring = Measuring(lab, there, second, result.bases, result.problems)
        built = measuring.prepare(variants)
        for position, variant in enumerate(variants, 1):
            if variant.name not in result.problems:
                lab.screen.doing(f"push and pull: {variant.name}")
                try:
                    images = built[variant.name]
                    result.moves[variant.name] = measuring.one(variant, position, images)
                except RunLost as problem:
                    result.problems.update({v.name: problem for v in variants})
                except LabError as problem:
                    result.problems[variant.name] = problem
            lab.screen.done()
    return result


def explain(variant: Variant, moves: Moves, scenario: str, expected: str) -> str:
    """Why a push after an edit is not as expected, for the Dockerfile's author."""
    whole, sent = moves.bytes(FIRST), moves.bytes(scenario)
    told = f"{bytes_text(sent)} in {len(moves.new[scenario])} layers, of {bytes_text(whole)} of the first push"
    got = judge(moves, scenario)
    advice = (
        "\nCopy only what the install needs first (COPY requirements.txt .), install, and copy the rest "
        "after it: then a push sends only the source."
        if got == "install"
        else "\nIs the header still right?"
    )
    return (
        f"{variant.path.name}: the push after the {scenario} sent {told}; expected: {expected}, "
        f"got: {got}.{advice}"
    )
