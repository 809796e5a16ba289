"""What containers did from their start to their stop, as the shutdown lab holds and shows it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from layerlab.build.header import ANY, GOALS
from layerlab.build.variant import Variant
from layerlab.errors import LabError
from layerlab.run import shutdown
from layerlab.run.shutdown import ABRUPT, ANSWERED, CLEAN, KILLED, LOST, Stop
from layerlab.show import shutdown as tables
from layerlab.show.section import Section

EXPERIMENT = "shutdown"
SCENARIOS = tuple(GOALS[EXPERIMENT])
#: How a stop is told.
_STOP = {
    CLEAN: "ended it, with its shutdown hook,",
    ABRUPT: "ended it, without its shutdown hook,",
    KILLED: "killed it",
}
_REQUEST = {ANSWERED: "each was answered", LOST: "one was lost"}


@dataclass(frozen=True, eq=False)
class Case:
    """A way to start a variant."""

    variant: Variant
    init: bool = False

    @property
    def name(self) -> str:
        return f"{self.variant.name} --init" if self.init else self.variant.name

    @property
    def called(self) -> str:
        """What an error begins with: the line that says how the app is started."""
        line = shutdown.culprit(self.variant.dockerfile.launching())
        called = self.variant.where(line)
        return f"{called} with --init" if self.init else called


@dataclass(frozen=True)
class Life:
    """A container from `docker run` to its end."""

    #: From the beginning of `docker run` to the first answer.
    start_seconds: float
    #: Of the app that has answered one request.
    memory_bytes: int
    #: The program that is PID 1.
    first: str
    #: Of the idle app.
    stop: Stop
    #: What became of requests: ANSWERED or LOST; None where none could be in flight.
    request: str | None
    #: The last lines of its log, each indented.
    log: str


@dataclass
class Lives:
    """What the shutdown lab measured."""

    #: The ways in which variants were started, by their names, in that order.
    cases: dict[str, Case] = field(default_factory=dict)
    lives: dict[str, Life] = field(default_factory=dict)
    #: case -> why it was not measured to the end
    problems: dict[str, LabError] = field(default_factory=dict)
    #: What a reader must know of a variant.
    findings: list[str] = field(default_factory=list)
    wall_seconds: float = 0.0
    #: What all would take one after another.
    serial_seconds: float = 0.0
    question: ClassVar[str] = tables.QUESTION

    def answer(self) -> str:
        """How many end cleanly, and which do not; see :class:`layerlab.result.Result`."""
        return tables.answer(self.lives, self.problems)

    def of(self, name: str) -> Life:
        """What a case did.

        Raises:
            LabError: it does not serve, or could not be measured.
        """
        if problem := self.problems.get(name):
            raise problem
        return self.lives[name]

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """The results as tables; see :class:`layerlab.result.Result`."""
        if not self.lives:
            return
        yield Section(
            "start: from docker run to the first answer, and the memory of the idle app",
            tables.starts(self.lives, style, width),
            tables.START_NOTES,
        )
        yield Section(
            "stop: what docker stop does",
            tables.stops(self.lives, style, width),
            (
                *tables.STOP_NOTES,
                *self.findings,
                self._took(),
            ),
        )

    def _took(self) -> str:
        serial = f"one after another it would have been {self.serial_seconds:.0f} s"
        return f"All of this took {self.wall_seconds:.0f} s; {serial}."

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """No pictures: what matters here is a word."""
        yield from ()


def judge(life: Life, scenario: str) -> str | None:
    """What a container did in a scenario; None where nothing can be said."""
    return life.stop.kind if scenario == "stop" else life.request


def explain(case: Case, life: Life, scenario: str, expected: str) -> str | None:
    """How a stop differs from what is expected, with what to do; None where it does not."""
    got = judge(life, scenario)
    if got is None or expected in (ANY, got):
        return None
    stop = life.stop
    if scenario == "request":
        what = f"docker stop, and of the requests that the app had taken {_REQUEST[got]}"
    else:
        what = f"docker stop {_STOP[got]} after {stop.seconds:.1f} s (exit code {stop.exit_code})"
    sentence = f"{case.called}: {what}; expected: {expected}, got: {got}. PID 1 was {life.first}."
    if expected != GOALS[EXPERIMENT][scenario].value:
        return sentence
    return (
        f"{sentence}\n{shutdown.remedy(case.variant.dockerfile.launching(), life.first)}.{life.log}"
    )
