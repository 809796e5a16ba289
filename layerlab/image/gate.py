"""Limits for an image, as a gate for CI."""

from dataclasses import dataclass

from layerlab.image.anatomy import Anatomy


@dataclass(frozen=True)
class Limits:
    """What an image may be at most; None is no limit."""

    #: Of the layers' tar streams together.
    unpacked_bytes: int | None = None
    #: Bytes that own layers hide, as a part of all file bytes.
    waste_share: float | None = None


@dataclass(frozen=True)
class Excess:
    """A limit that an image breaks."""

    #: "unpacked" or "waste"
    limit: str
    value: float
    allowed: float


def broken(anatomy: Anatomy, limits: Limits) -> list[Excess]:
    """The limits that an image breaks; one that it just reaches is kept."""
    found = []
    unpacked = anatomy.image.totals.unpacked_bytes
    if limits.unpacked_bytes is not None and unpacked > limits.unpacked_bytes:
        found.append(Excess("unpacked", unpacked, limits.unpacked_bytes))
    if limits.waste_share is not None and anatomy.waste_share > limits.waste_share:
        found.append(Excess("waste", anatomy.waste_share, limits.waste_share))
    return found
