"""Rows of the store: a value of each kind that it keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layerlab.build.progress import Step

#: The columns of a step, as :func:`step_row` fills them.
STEP = (
    "sample, ordinal, stage, position, total, instruction, line, cached, seconds, offset_seconds,"
    " error, end_line"
)


@dataclass(frozen=True)
class Sample:
    """One measured value."""

    experiment: str
    variant: str
    digest: str
    scenario: str
    #: From 1; 0 is the priming, which is never counted.
    round: int
    position: int
    metric: str
    #: None where the turn failed or timed out: ``invalid`` says why.
    value: float | None
    #: "s", "bytes", "steps", "layers" or "requests".
    unit: str
    #: Why the value must not be used; None when it may.
    invalid: str | None = None
    #: The baseline's second turn in a round.
    control: bool = False
    #: sha256 of the build context's files; "" where none was built.
    context: str = ""
    #: Of a run on several engines: the name of that which it was measured on; else "".
    place: str = ""


@dataclass(frozen=True)
class Kept:
    """A sample in the store."""

    #: Tells it from all others of this store.
    id: int
    #: When it was kept, in UTC (ISO 8601).
    measured: str
    sample: Sample


@dataclass(frozen=True)
class Outcome:
    """What became of a part of a test."""

    experiment: str
    nodeid: str
    #: "setup", "call" or "teardown"
    stage: str
    #: "passed", "failed" or "skipped"
    outcome: str
    #: What pytest said of it.
    told: str | None
    #: Whether what was given is wrong, rather than not as expected.
    fault: bool
    seconds: float
    #: In UTC (ISO 8601).
    ended: str
    #: As of a :class:`Sample`.
    place: str = ""


@dataclass(frozen=True)
class Place:
    """One of the engines of a run that has several."""

    #: As the user named it.
    name: str
    #: As :class:`layerlab.record.run.RunRecord` has them; no base until a worker has begun there.
    engine: Mapping[str, Any]
    bases: Sequence[Mapping[str, Any]]
    #: How often it, or the worker on it, went away in mid-run.
    ends: int = 0


def step_row(sample: int | None, ordinal: int, step: Step) -> tuple[Any, ...]:
    """A step of the build that a sample is of, as the store has it."""
    return (
        sample,
        ordinal,
        step.stage,
        step.position,
        step.total,
        step.instruction,
        step.line,
        step.cached,
        step.seconds,
        step.offset_seconds,
        step.error,
        step.end_line,
    )


def read_step(row: tuple[Any, ...]) -> Step:
    """The step of a row; of an older layerlab's, which knows no last line, that is the first."""
    return Step(
        stage=row[2],
        position=row[3],
        total=row[4],
        instruction=row[5],
        line=row[6],
        end_line=row[11] or row[6],
        cached=bool(row[7]),
        seconds=row[8],
        offset_seconds=row[9],
        error=row[10],
    )
