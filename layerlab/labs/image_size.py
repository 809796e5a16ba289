"""The image-size lab: every variant's image, taken apart, and the factors between them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from layerlab.build.header import GOALS
from layerlab.build.variant import Variant
from layerlab.engine.bases import Base
from layerlab.errors import LabError, RunLost
from layerlab.image.anatomy import PARTS, Anatomy, dissect
from layerlab.image.export import from_engine, layer_digests
from layerlab.image.layers import Image, from_dockerfile, on_base
from layerlab.image.memory import of_user
from layerlab.image.waste import grouped
from layerlab.lab import Lab
from layerlab.record.samples import image_values
from layerlab.show import bars, images
from layerlab.show.images import Factor
from layerlab.show.plots import Bar, first_rows, stacked_svg
from layerlab.show.section import Section
from layerlab.text import plain, shorten
from layerlab.units import megabytes

EXPERIMENT = "image-size"
#: What a Dockerfile alone decides; its effect is judged against another's.
SCENARIOS = tuple(scenario for scenario in GOALS[EXPERIMENT] if scenario != "effect")
#: Own layers that hide more than this part of all file bytes hide much.
MUCH_WASTE = 0.05
#: Two images that differ by less than this part of the larger one are the same size.
SAME_SIZE = 0.01


@dataclass(frozen=True)
class Sizes:
    """What the image-size lab measured."""

    variants: Sequence[Variant]
    #: variant -> its image
    anatomies: dict[str, Anatomy]
    #: variant -> why it could not be measured
    problems: dict[str, LabError]
    #: Sentences that experiments found.
    findings: list[str] = field(default_factory=list)
    question: ClassVar[str] = images.QUESTION

    def answer(self) -> str:
        """The smallest and the largest image; see :class:`layerlab.result.Result`."""
        failed = [one.name for one in self.variants if one.name in self.problems]
        return images.answer(self.anatomies, failed)

    def of(self, name: str) -> Anatomy:
        """A variant's image.

        Raises:
            LabError: it could not be built or analysed.
        """
        if problem := self.problems.get(name):
            raise problem
        return self.anatomies[name]

    def has(self, *names: str) -> bool:
        """Whether all of these variants take part."""
        return {variant.name for variant in self.variants}.issuperset(names)

    def factors(self) -> list[Factor]:
        """Chains of images, each differing from the one before in one factor."""
        after: dict[str, list[tuple[str, str]]] = {}
        for variant in self.variants:
            if variant.header.differs_from and variant.name in self.anatomies:
                before, factor = variant.header.differs_from
                after.setdefault(before, []).append((factor, variant.name))
        compared = {name for pairs in after.values() for _, name in pairs}
        starts = [name for name in after if name in self.anatomies and name not in compared]
        waiting = [(start, *pair) for start in reversed(starts) for pair in reversed(after[start])]
        rows: list[Factor] = []
        while waiting:
            before, factor, name = waiting.pop()
            then, now = self._file_bytes(before), self._file_bytes(name)
            if not rows or rows[-1].image != before:
                rows.append(Factor(None, before, then, None))
            rows.append(Factor(factor, name, now, now - then))
            waiting += [(name, *pair) for pair in reversed(after.get(name, []))]
        return rows

    def _file_bytes(self, name: str) -> int:
        return self.anatomies[name].image.totals.file_bytes

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.result.Result`."""
        if not self.anatomies:
            return
        ways = " or ".join(sorted({a.image.compression for a in self.anatomies.values()}))
        yield Section(
            "image size: what a disk holds, what a pull moves, what is of no use",
            images.sizes(self.anatomies, style, width),
            (
                "Unpacked: the layers' tar streams, each checked against its digest. Files: bytes of "
                + "regular files. Both are the same on every engine.",
                f"Compressed: {ways}. Pull: so many bytes at 100 Mbit/s, computed.",
                "Own: what lies on top of the base. Waste: what own layers hide. Layers: own+base.",
                *self.findings,
            ),
        )
        if rows := self.factors():
            yield Section(
                "image size: factor by factor",
                images.factors(rows, style),
                ("Each image differs from the one above it in this factor alone.",),
            )
        plot = bars.lines("file bytes", self.bars(), width)
        yield Section("image size: parts", "\n".join(plot), on_request="plot")
        for name, anatomy in self.anatomies.items():
            for section in details(anatomy, style, width):
                yield replace(section, title=f"{plain(name)}: {section.title}", on_request="layers")

    def bars(self) -> list[Bar]:
        """The parts of each image, for a plot."""
        return [bar(name, anatomy) for name, anatomy in self.anatomies.items()]

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """The parts of every image as a picture; see :class:`layerlab.result.Result`."""
        if self.anatomies:
            path = folder / "image-size.svg"
            bars_of = {bar.name: bar for bar in self.bars()}
            title, some = first_rows("Image size by parts (file bytes)", bars_of)
            stacked_svg(title, list(some.values()), path)
            yield title, path


def bar(name: str, anatomy: Anatomy) -> Bar:
    """An image's parts, for a plot."""
    return Bar(name, {part: anatomy.parts[part] for part in PARTS})


def details(anatomy: Anatomy, style: str, width: int) -> Iterator[Section]:
    """All there is to say of one image."""
    if anatomy.image.layers:
        yield Section("layers", images.layers(anatomy.image, style, width))
    if anatomy.places:
        yield Section("where its bytes are", images.places(anatomy, style, width))
    if anatomy.distributions:
        yield Section("Python distributions", images.distributions(anatomy, style, width))
    if anatomy.clutter:
        advice = tuple(f"{one.kind}: {one.advice}." for one in anatomy.clutter if one.own_bytes)
        yield Section("of no use at run time", images.clutter(anatomy, style, width), advice)
    if anatomy.own_waste:
        yield Section("waste: hidden by own layers", images.waste(anatomy, style, width))


def measure(lab: Lab, variants: Sequence[Variant]) -> Sizes:
    """Build each variant's image from the app as it is, and take it apart.

    The build may come from the cache: what an image holds does not depend on when it was built.
    """
    sizes = Sizes(variants, {}, lab.problems)
    memory = of_user()
    context = lab.context(EXPERIMENT, None)
    with lab.screen.work("image size", len(variants)):
        for position, variant in enumerate(variants, 1):
            if variant.name not in sizes.problems:
                try:
                    lab.build(variant, context, "build")
                    lab.screen.doing(f"reading: {variant.name}")
                    image = from_engine(lab.endpoint, lab.tag(variant), memory, compress=True)
                    anatomy = dissect(understood(lab, variant, image))
                except RunLost as problem:
                    sizes.problems.update({v.name: problem for v in variants})
                except LabError as problem:
                    sizes.problems[variant.name] = problem
                else:
                    values = image_values(anatomy)
                    lab.keep(EXPERIMENT, variant, "image", *values, position=position)
                    sizes.anatomies[variant.name] = anatomy
            lab.screen.done()
    lab.results[EXPERIMENT] = sizes
    return sizes


def understood(lab: Lab, variant: Variant, image: Image) -> Image:
    """The image with what its Dockerfile tells: its base, and the line of each own layer."""
    name, _ = variant.dockerfile.lineage()
    if base := next((base for base in lab.bases if base.name == name), None):
        image = on_base(image, name, _digests(lab, base))
    return from_dockerfile(replace(image, name=variant.name), variant.dockerfile)


def _digests(lab: Lab, base: Base) -> list[str]:
    return layer_digests(lab.endpoint, base.reference)


def judge(anatomy: Anatomy, scenario: str) -> str:
    """What an image holds of a scenario's clutter ("none", "kept"), or of waste ("little", "much")."""
    if scenario == "waste":
        return "much" if anatomy.waste_share > MUCH_WASTE else "little"
    return (
        "kept"
        if any(one.goal == scenario and one.noticeable for one in anatomy.clutter)
        else "none"
    )


def explain(variant: Variant, anatomy: Anatomy, scenario: str, expected: str) -> str:
    """Why an image is not as expected, for the Dockerfile's author."""
    got = judge(anatomy, scenario)
    if got in ("none", "little"):
        return (
            f"{variant.path.name}: {scenario}: expected `{expected}`, and the image has {got}; "
            "is the header still right?"
        )
    if scenario == "waste":
        first = grouped(anatomy.own_waste)[0]
        layer = anatomy.image.layers[first.hidden_by - 1]
        written = anatomy.image.layers[first.written_by[0] - 1]
        return (
            f"{variant.where(layer.line)}: {megabytes(anatomy.waste_bytes)} "
            f"({anatomy.waste_share:.0%} of all files) are in the image and can't be seen: "
            f"{megabytes(first.bytes)} of them at /{shorten(first.root)} ({first.how} here, written by "
            f"`{shorten(written.instruction)}`); expected: {expected}.\n"
            "Write and remove in one RUN, or COPY with the right owner and mode at once."
        )
    found = next(one for one in anatomy.clutter if one.goal == scenario)
    return (
        f"{variant.path.name}: {megabytes(found.bytes)} of {found.kind} are in the image, "
        f"{megabytes(found.own_bytes)} of them on top of the base (such as {shorten(found.example)}); "
        f"expected: {expected}.\nTo do: {found.advice}."
    )


def effect(variant: Variant, sizes: Sizes) -> tuple[str, int]:
    """How a variant's size compares with that of the one it differs from, and by how many file bytes."""
    assert variant.header.differs_from
    before = sizes.of(variant.header.differs_from[0]).image.totals.file_bytes
    now = sizes.of(variant.name).image.totals.file_bytes
    if abs(now - before) <= SAME_SIZE * max(now, before):
        return "same", now - before
    return ("smaller" if now < before else "larger"), now - before


def compare(smaller: Anatomy, larger: Anatomy) -> str:
    """By how much one image is smaller than another, and how much of that is the base alone."""
    saved = larger.image.totals.file_bytes - smaller.image.totals.file_bytes
    base = _base_bytes(larger) - _base_bytes(smaller)
    if saved <= 0:
        return f"{smaller.image.name} is not smaller than {larger.image.name} ({megabytes(-saved)} more)."
    return (
        f"{smaller.image.name} is {megabytes(saved)} smaller than {larger.image.name}; "
        f"{megabytes(base)} of that ({base / saved:.0%}) is the base alone."
    )


def _base_bytes(anatomy: Anatomy) -> int:
    return anatomy.image.totals.file_bytes - anatomy.image.own.file_bytes
