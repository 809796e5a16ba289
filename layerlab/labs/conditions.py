"""The conditions under which rounds are measured: what others do on this machine meanwhile."""

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from layerlab.build.buildx import going_on
from layerlab.compare.noise import Conditions
from layerlab.engine import leftovers, processors
from layerlab.lab import Lab

#: For so long layerlab does nothing before each round, to see what others do.
_LOOK_SECONDS = 0.3


@contextmanager
def looked_at(lab: Lab, found: list[Conditions]) -> Iterator[None]:
    """Add the conditions of a round, which is the body, to those that were ``found``."""
    load, builds = os.getloadavg()[0], going_on(lab.endpoint)
    runs = len(leftovers.alive() - {lab.run.id})
    before = processors.read()
    time.sleep(_LOOK_SECONDS)
    begun = processors.read()
    did = begun - before if before and begun else None
    yield
    ended = processors.read()
    whole = ended - begun if begun and ended else None
    found.append(
        Conditions(
            processors=os.cpu_count() or 1,
            load=load,
            others=did.busy / did.total if did and did.total else None,
            steal=whole.steal / whole.total if whole and whole.total else None,
            runs=runs,
            builds=builds,
        )
    )


def typical(found: Sequence[Conditions]) -> Conditions:
    """What the rounds had in common: medians, and the most of other runs and builds.

    Of the load only what was there before the first round is others'.
    """
    others = [one.others for one in found if one.others is not None]
    steal = [one.steal for one in found if one.steal is not None]
    return Conditions(
        processors=found[0].processors,
        load=found[0].load,
        others=statistics.median(others) if others else None,
        steal=statistics.median(steal) if steal else None,
        runs=max(one.runs for one in found),
        builds=max(one.builds for one in found),
    )
