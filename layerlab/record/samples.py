"""A build's samples: which of its values are kept, and in which units."""

from layerlab.build.buildx import Build
from layerlab.build.variant import Variant
from layerlab.record.store import Sample


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
