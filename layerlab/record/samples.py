"""Samples: which values of a measurement are kept, and in which units."""

from collections.abc import Iterable

from layerlab.build.buildx import Build
from layerlab.build.variant import Variant
from layerlab.image.anatomy import Anatomy
from layerlab.record.rows import Sample
from layerlab.run.health import HealthChange

#: A value by its metric's name, with its unit; None where it was not measured.
Value = tuple[str, float | None, str]


#: What is known of an image: metric and unit.
IMAGE_METRICS = (
    ("unpacked", "bytes"),
    ("files", "bytes"),
    ("compressed", "bytes"),
    ("own-unpacked", "bytes"),
    ("own-files", "bytes"),
    ("own-compressed", "bytes"),
    ("waste", "bytes"),
    ("layers", "layers"),
)


def samples(
    experiment: str,
    variant: Variant,
    scenario: str,
    values: Iterable[Value],
    *,
    number: int = 1,
    position: int = 1,
    invalid: str | None = None,
    control: bool = False,
    context: str = "",
) -> list[Sample]:
    """The values of one measurement, in round ``number``, as the store keeps them.

    One that is None was not measured, and is left out; of an invalid measurement it is kept.
    """
    return [
        Sample(
            experiment=experiment,
            variant=variant.name,
            digest=variant.digest,
            scenario=scenario,
            round=number,
            position=position,
            metric=metric,
            value=value,
            unit=unit,
            invalid=invalid,
            control=control,
            context=context,
        )
        for metric, value, unit in values
        if value is not None or invalid
    ]


def build_samples(
    variant: Variant,
    scenario: str,
    number: int,
    position: int,
    built: Build,
    invalid: str | None,
    context: str = "",
    *,
    control: bool = False,
) -> list[Sample]:
    """A build's values, as the store keeps them; the first is the one that its steps belong to."""
    values = (
        ("wall", built.wall_seconds, "s"),
        ("engine", built.engine_seconds, "s"),
        ("context", built.context_bytes, "bytes"),
        ("ran", len(built.ran), "steps"),
        # The last: a build that has it was kept as a whole.
        ("reused", built.reused, "steps"),
    )
    return samples(
        "layer-cache",
        variant,
        scenario,
        values,
        number=number,
        position=position,
        invalid=invalid,
        control=control,
        context=context,
    )


def image_values(anatomy: Anatomy) -> list[Value]:
    """An image's values."""
    total, own = anatomy.image.totals, anatomy.image.own
    values = (
        total.unpacked_bytes,
        total.file_bytes,
        total.compressed_bytes,
        own.unpacked_bytes,
        own.file_bytes,
        own.compressed_bytes,
        anatomy.waste_bytes,
        total.layers,
    )
    return [
        (metric, value, unit) for (metric, unit), value in zip(IMAGE_METRICS, values, strict=True)
    ]


def change_values(predicted: HealthChange | None, measured: HealthChange | None) -> list[Value]:
    """A change of a container's health, as it was predicted and as it was measured."""
    both = (("predicted", predicted), ("measured", measured))
    return [(f"{one.state}, {kind}", one.seconds, "s") for kind, one in both if one is not None]
