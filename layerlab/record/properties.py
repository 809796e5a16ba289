"""Properties: what was measured of a variant, as a test's properties in a JUnit XML file."""

import statistics
from collections.abc import Iterable

from layerlab.record.rows import Sample


def medians(samples: Iterable[Sample], experiment: str, variant: str) -> list[tuple[str, str]]:
    """ "scenario.metric" -> the median of an experiment's valid samples of a variant, with its unit."""
    values: dict[tuple[str, str], list[float]] = {}
    for one in samples:
        if one.control or one.invalid is not None or one.value is None:
            continue  # A baseline's second turn measures the noise.
        if (one.experiment, one.variant) == (experiment, variant):
            values.setdefault((f"{one.scenario}.{one.metric}", one.unit), []).append(one.value)
    return [
        (name, f"{statistics.median(found):.10g} {unit}") for (name, unit), found in values.items()
    ]
