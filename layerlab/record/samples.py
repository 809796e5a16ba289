"""Samples: which values of a build or an image are kept, and in which units."""

from layerlab.build.buildx import Build
from layerlab.build.variant import Variant
from layerlab.image.anatomy import Anatomy
from layerlab.record.store import Sample
from layerlab.run.agreement import Comparison


def build_samples(
    variant: Variant, scenario: str, number: int, position: int, built: Build, invalid: str | None
) -> list[Sample]:
    """A build's values, as the store keeps them; the first is the one that its steps belong to."""
    values = (
        ("wall", built.wall_seconds, "s"),
        ("engine", built.engine_seconds, "s"),
        ("context", built.context_bytes, "bytes"),
        ("reused", built.reused, "steps"),
    )
    return [
        Sample(
            experiment="layer-cache",
            variant=variant.name,
            digest=variant.digest,
            scenario=scenario,
            round=number,
            position=position,
            metric=metric,
            value=value,
            unit=unit,
            invalid=invalid,
        )
        for metric, value, unit in values
    ]


def image_samples(variant: Variant, position: int, anatomy: Anatomy) -> list[Sample]:
    """An image's values, as the store keeps them."""
    total, own = anatomy.image.totals, anatomy.image.own
    values = (
        ("unpacked", total.unpacked_bytes, "bytes"),
        ("files", total.file_bytes, "bytes"),
        ("compressed", total.compressed_bytes, "bytes"),
        ("own-unpacked", own.unpacked_bytes, "bytes"),
        ("own-files", own.file_bytes, "bytes"),
        ("own-compressed", own.compressed_bytes, "bytes"),
        ("waste", anatomy.waste_bytes, "bytes"),
        ("layers", total.layers, "layers"),
    )
    return [
        Sample(
            experiment="image-size",
            variant=variant.name,
            digest=variant.digest,
            scenario="image",
            round=1,
            position=position,
            metric=metric,
            value=value,
            unit=unit,
        )
        for metric, value, unit in values
        if value is not None
    ]


def health_samples(
    experiment: str,
    variant: Variant,
    scenario: str,
    comparison: Comparison,
    invalid: str | None = None,
) -> list[Sample]:
    """The changes of a container's health, each measured and predicted, as the store keeps them."""
    return [
        Sample(
            experiment=experiment,
            variant=variant.name,
            digest=variant.digest,
            scenario=scenario,
            round=1,
            position=number,
            metric=f"{change.state}, {kind}",
            value=change.seconds,
            unit="s",
            invalid=invalid,
        )
        for number, pair in enumerate(comparison.pairs(), 1)
        for kind, change in zip(("predicted", "measured"), pair, strict=True)
        if change is not None
    ]


def life_sample(
    variant: Variant, scenario: str, position: int, metric: str, value: float, unit: str
) -> Sample:
    """A value of a container from its start to its stop, as the store keeps it."""
    return Sample(
        experiment="shutdown",
        variant=variant.name,
        digest=variant.digest,
        scenario=scenario,
        round=1,
        position=position,
        metric=metric,
        value=value,
        unit=unit,
    )


def transfer_samples(
    variant: Variant, scenario: str, position: int, layers: int, bytes_: int, seconds: float
) -> list[Sample]:
    """The values of a push to a registry or a pull from it, as the store keeps them."""
    values = (
        ("wall", seconds, "s"),
        ("moved", bytes_, "bytes"),
        ("moved-layers", layers, "layers"),
    )
    return [
        Sample(
            experiment="registry",
            variant=variant.name,
            digest=variant.digest,
            scenario=scenario,
            round=1,
            position=position,
            metric=metric,
            value=value,
            unit=unit,
        )
        for metric, value, unit in values
    ]
