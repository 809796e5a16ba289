"""Metrics: what a sample measures, by the name that tables, gates and exports give it."""

import re
from dataclasses import dataclass

#: Units of which every value is exact: any difference is real.
EXACT_UNITS = frozenset({"bytes", "steps", "layers", "files", "requests", "connections"})


@dataclass(frozen=True)
class Metric:
    """Something that is measured, and of which less is better."""

    #: As a gate names it: `rebuild.source-edit`, `image.unpacked`.
    name: str
    #: As a table names it.
    title: str
    #: "s", "bytes", "steps", "layers", …
    unit: str
    #: Whether two measurements of the same thing always agree.
    exact: bool
    #: A difference that is smaller matters to nobody, however sure it is; in ``unit``.
    negligible: float = 0.0


#: What is faster by less is not felt (Nielsen, Usability Engineering, 1993, ch. 5: 0.1 s).
_FELT_SECONDS = 0.1
_SECONDS = {
    ("layer-cache", "cold", "wall"): ("build.cold", "cold build"),
    ("layer-cache", "no-change", "wall"): ("rebuild.no-change", "rebuild, no change"),
    ("layer-cache", "source-edit", "wall"): ("rebuild.source-edit", "rebuild, source edit"),
    ("layer-cache", "requirements-edit", "wall"): (
        "rebuild.requirements-edit",
        "rebuild, dependencies edit",
    ),
    ("layer-cache", "unrelated-edit", "wall"): (
        "rebuild.unrelated-edit",
        "rebuild, unrelated edit",
    ),
    ("shutdown", "plain", "start"): ("run.start", "start to first answer"),
    ("shutdown", "plain", "stop"): ("run.stop", "docker stop"),
}
_COUNTS = {
    ("image-size", "image", "unpacked"): ("image.unpacked", "image, unpacked", "bytes"),
    ("image-size", "image", "files"): ("image.files", "image, files", "bytes"),
    ("image-size", "image", "compressed"): ("image.compressed", "image, compressed", "bytes"),
    ("image-size", "image", "waste"): ("image.waste", "image, waste", "bytes"),
    ("image-size", "image", "layers"): ("image.layers", "image, layers", "layers"),
    ("layer-cache", "cold", "ran"): ("steps.cold", "steps of a cold build", "steps"),
    ("layer-cache", "no-change", "ran"): ("steps.no-change", "steps run, no change", "steps"),
    ("layer-cache", "source-edit", "ran"): (
        "steps.source-edit",
        "steps run, source edit",
        "steps",
    ),
    ("layer-cache", "requirements-edit", "ran"): (
        "steps.requirements-edit",
        "steps run, dependencies edit",
        "steps",
    ),
    ("layer-cache", "unrelated-edit", "ran"): (
        "steps.unrelated-edit",
        "steps run, unrelated edit",
        "steps",
    ),
}
_MEMORY = ("shutdown", "plain", "memory")
#: Values of which less is not better, or that say how something was measured.
_NOT_COMPARED = frozenset({"reused", "context", "resolution"})
_NOT_IN_A_NAME = re.compile(r"[^\w.-]+")


def compared(name: str) -> bool:
    """Whether a sample's metric can be compared: whether less of it is better, and it was measured."""
    return name not in _NOT_COMPARED and not name.endswith(", predicted")


def known() -> tuple[Metric, ...]:
    """Every metric that has a short name."""
    return tuple(
        metric(*key, "s" if key in _SECONDS else "bytes") for key in (*_SECONDS, *_COUNTS, _MEMORY)
    )


def metric(experiment: str, scenario: str, name: str, unit: str) -> Metric:
    """The metric of a sample; one that has no short name is called by its three words."""
    key = (experiment, scenario, name)
    if key in _SECONDS:
        return Metric(*_SECONDS[key], "s", exact=False, negligible=_FELT_SECONDS)
    if key in _COUNTS:
        return Metric(*_COUNTS[key], exact=True)
    if key == _MEMORY:
        # What the kernel counts for a container wavers with who read a file first.
        return Metric("run.memory", "memory, idle", unit, exact=False, negligible=1e6)
    return Metric(
        # A gate has to be able to write it.
        _NOT_IN_A_NAME.sub("-", ".".join(key)),
        f"{experiment}: {scenario}, {name}",
        unit,
        exact=unit in EXACT_UNITS,
        negligible=_FELT_SECONDS if unit == "s" else 0.0,
    )
