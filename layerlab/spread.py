"""Spreads a run over several engines with pytest-xdist: a worker on each engine, an experiment at a time."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from layerlab import several
from layerlab.build.variant import Variant
from layerlab.engine.choice import choose
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.process import end_with_parent
from layerlab.engine.processors import Spent, spending
from layerlab.errors import LabError
from layerlab.lab import Lab
from layerlab.record.run import State
from layerlab.settings import Settings
from layerlab.several import Member
from layerlab.show.live import Screen

#: In what xdist carries to a worker and back.
_KEY = "layerlab"


def member(config: pytest.Config) -> Member | None:
    """What this process was told as a worker; None where it is none."""
    given: Mapping[str, Any] = getattr(config, "workerinput", {})
    if _KEY in given:
        # Else it would go on to the end of its test, on an engine that the next run clears.
        end_with_parent()
    return Member(**given[_KEY], part=str(given["workerid"])) if _KEY in given else None


def tell(config: pytest.Config, lab: Lab, *, faulty: bool) -> None:
    """Tell the leader what only this worker knows; ``faulty``: what the user gave was wrong."""
    output: dict[str, Any] = config.workeroutput  # type: ignore[attr-defined]
    output[_KEY] = {
        "took": {part: (spent.wall, spent.waiting) for part, spent in lab.took.items()},
        "notes": lab.notes,
        "problems": {variant: str(problem) for variant, problem in lab.problems.items()},
        "lost": lab.ending == State.LOST,
        "faulty": faulty,
    }


class ByExperiment(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a worker an experiment as a whole.

    What a worker had not ended when it went away is lost here: half of an experiment would be measured
    on one engine and half on another.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        #: What workers had begun that died.
        self.lost: list[str] = []
        #: What nobody was left to do.
        self.undone: list[str] = []
        #: Whether another worker takes the place of the one that goes now.
        self.replacing = False

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0]

    def remove_node(self, node: WorkerController) -> None:
        """Forget a worker that ended or died."""
        work = self.assigned_work.pop(node)
        lost = self.lost if self.replacing else self.undone
        lost += _unended(work)
        if self.collection is None:
            self.registered_collections.pop(node, None)
            if not self.replacing:
                # It never began: the others do not wait for it.
                self.numnodes -= 1
                if self.nodes and self.collection_is_completed:
                    self.schedule()

    def give_up(self) -> None:
        """Nobody is left to do what is left."""
        self.undone += self.workqueue
        self.workqueue.clear()
        for work in self.assigned_work.values():
            self.undone += _unended(work)


def _unended(work: Mapping[str, Mapping[str, bool]]) -> list[str]:
    """The experiments of a worker of which a test has not come to its end."""
    return [scope for scope, tests in work.items() if not all(tests.values())]


class Leader:
    """The process that begins a run, hands out its experiments, and shows what came of them."""

    def __init__(
        self, engines: Sequence[str], settings: Settings, screen: Screen, width: int
    ) -> None:
        self.settings = settings
        self.screen = screen
        self.width = width
        #: The engines that have no worker now.
        self._free = list(engines)
        self._engine_of: dict[WorkerController, str] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.lab: Lab | None = None
        self._scheduler: ByExperiment | None = None
        #: Whether a worker said that what the user gave was wrong, or something was lost.
        self.faulty = False
        #: Whether the store could not be written.
        self._unwritten = False

    def begin(self, stack: ExitStack, variants: Sequence[Variant], took: dict[str, Spent]) -> Lab:
        """Have all engines running and begin the run on them, for as long as ``stack`` is open.

        ``variants`` are those that were asked for, ``took`` is what was done before.

        Raises:
            LabError: one of them can't be used.
        """
        with spending() as took["engine"]:
            for name in self._free:
                self.endpoints[name] = choose(name, self.screen.say)
        several.check_apart(self.endpoints)
        led = several.led(self.endpoints, self.screen, self.settings, variants, took)
        self.lab = stack.enter_context(led)
        return self.lab

    def finish(self, *, interrupted: bool, enough: bool) -> None:
        """Gather what the workers left, and say how the run ended.

        ``enough``: as many tests failed as the user wanted to see (``-x``), and the others were not wanted.

        Raises:
            LabError: the store can't be read.
        """
        if self.lab is None:
            return
        self.lab.recorded.update(self.lab.chapters())
        if interrupted:
            return
        assert self._scheduler is not None
        self._scheduler.give_up()
        undone = () if enough else self._scheduler.undone
        names = ", ".join(dict.fromkeys([*self._scheduler.lost, *undone]))
        if names:
            self.lab.notes.append(f"An engine or the worker on it went away; lost: {names}.")
        elif self.faulty and not self.lab.store.outcomes(self.lab.run.id):
            return  # No worker could begin.
        lost = (bool(names) and not enough) or self._unwritten
        self.lab.ending = State.LOST if lost else State.DONE
        self.faulty = self.faulty or lost

    def pytest_configure_node(self, node: WorkerController) -> None:
        assert self.lab is not None
        self._engine_of[node] = self._free.pop(0)
        node.workerinput[_KEY] = {
            "run": self.lab.run.id,
            "engine": self._engine_of[node],
            "width": self.width,
        }

    def pytest_testnodedown(self, node: WorkerController, error: object) -> None:
        assert self.lab is not None
        engine = self._engine_of.pop(node, None)
        if engine is None:
            return  # Of one that was interrupted xdist tells twice.
        # One that died is replaced: by a worker on the same engine, which may have come back.
        self._free.insert(0, engine)
        if self._scheduler:
            self._scheduler.replacing = error is not None
        output = getattr(node, "workeroutput", {})
        stuck = output.get("exitstatus") == pytest.ExitCode.USAGE_ERROR
        if stuck:
            self.faulty = True
            self.lab.notes.append(
                f"{engine}: nothing could be measured there, for the reason above."
            )
        told = output.get(_KEY)
        if told:
            for part, (wall, waiting) in told["took"].items():
                self.lab.took[part] = self.lab.took.get(part, Spent()) + Spent(wall, waiting)
            self.lab.notes += [note for note in told["notes"] if note not in self.lab.notes]
            self.faulty = self.faulty or told["faulty"]
            self._unwritten = self._unwritten or told["lost"]
            for variant, problem in told["problems"].items():
                self.lab.problems.setdefault(variant, LabError(problem))
        elif error is not None or stuck:
            with suppress(LabError):  # Where it can't be written, the run is lost anyway.
                self.lab.store.count_end(self.lab.run.id, engine)
        if error is None and not self._engine_of and self._scheduler:
            self._scheduler.give_up()

    @pytest.hookimpl(tryfirst=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> ByExperiment:
        self._scheduler = ByExperiment(config, log)
        return self._scheduler
