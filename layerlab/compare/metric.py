"""Metrics: what a sample measures, by the name that tables, gates and exports give it."""

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


#: A rebuild that is faster by less is not felt (Nielsen, Usability Engineering, 1993, ch. 5: 0.1 s).
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
    ("image-size", "image", "unpacked"): ("image.unpacked", "image, unpacked"),
    ("image-size", "image", "files"): ("image.files", "image, files"),
    ("image-size", "image", "compressed"): ("image.compressed", "image, compressed"),
    ("image-size", "image", "waste"): ("image.waste", "image, waste"),
    ("image-size", "image", "layers"): ("image.layers", "image, layers"),
    ("layer-cache", "cold", "ran"): ("steps.cold", "steps of a cold build"),
    ("layer-cache", "source-edit", "ran"): ("steps.source-edit", "steps run, source edit"),
    ("layer-cache", "requirements-edit", "ran"): (
        "steps.requirements-edit",
        "steps run, dependencies edit",
    ),
    ("layer-cache", "unrelated-edit", "ran"): ("steps.unrelated-edit", "steps run, unrelated edit"),
}
#: Values of which less is not better, or that say how something was measured.
_NOT_COMPARED = frozenset({"reused", "context", "resolution"})


def compared(name: str) -> bool:
    """Whether a sample's metric can be compared: whether less of it is better, and it was measured."""
    return name not in _NOT_COMPARED and not name.endswith(", predicted")


def metric(experiment: str, scenario: str, name: str, unit: str) -> Metric:
    """The metric of a sample; one that has no short name is called by its three words."""
    key = (experiment, scenario, name)
    if key in _SECONDS:
        return Metric(*_SECONDS[key], "s", exact=False, negligible=_FELT_SECONDS)
    if key in _COUNTS:
        return Metric(*_COUNTS[key], unit, exact=True)
    if key == ("shutdown", "plain", "memory"):
        # What the kernel counts for a container wavers with who read a file first.
        return Metric("run.memory", "memory, idle", unit, exact=False, negligible=1e6)
    return Metric(
        ".".join(key), f"{experiment}: {scenario}, {name}", unit, exact=unit in EXACT_UNITS
    )
