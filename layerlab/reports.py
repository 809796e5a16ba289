"""What becomes of each part of a test: told in one sentence where the user can mend it, and recorded."""

import os
from collections.abc import Generator
from typing import Never

import pytest

from layerlab import replay
from layerlab.asked import selected
from layerlab.errors import LabError, RunLost, Unmet, os_sentence
from layerlab.record.properties import medians
from layerlab.record.rows import Outcome
from layerlab.record.run import State
from layerlab.record.store import now
from layerlab.session import Session
from layerlab.text import plain


class Reports:
    """The reports of a session's tests."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        own, lab = self.session, self.session.lab
        if call.when == "call" and own.config.getoption("xmlpath", None):
            item.user_properties += self._properties(item)
        report = yield
        problem: object = call.excinfo.value if call.excinfo else None
        if isinstance(problem, OSError) and problem.filename is not None:
            problem = LabError(os_sentence(problem))
        if isinstance(problem, Unmet):
            report.longrepr = plain(str(problem))
        if isinstance(problem, LabError) and lab and problem not in own.reported:
            problem = lab.cause(problem)
            if lab.lost and own.member:
                self._leave(problem)
            if lab.lost:  # of which every test that follows would fail, too
                item.session.shouldstop = "the engine is gone"
        if isinstance(problem, LabError):
            # The user's mistake, in one sentence, once: our own frames would only hide it.
            if problem in own.reported:
                report.outcome = "skipped"
                report.longrepr = (str(item.path), item.location[1] or 0, "not measured, see above")
            else:
                report.longrepr = plain(str(problem))
                own.reported.append(problem)
        self._record(item, report, problem)
        return report

    def _leave(self, problem: LabError) -> Never:
        """End as a worker that was killed: what it had not ended is lost, and the leader knows."""
        self.session.terminal.write(f"\nlayerlab: {plain(str(problem))}\n")
        self.session.terminal.flush()
        os._exit(pytest.ExitCode.INTERNAL_ERROR)

    def _record(self, item: pytest.Item, report: pytest.TestReport, problem: object) -> None:
        """Record what became of a part of a test; not of one that a resumed run must measure anew."""
        lab = self.session.lab
        experiment = replay.experiment_of(item)
        if lab is None or experiment is None or isinstance(item, replay.Recorded):
            return
        if isinstance(problem, RunLost):
            lab.ending = State.LOST
        outcome = Outcome(
            experiment=experiment,
            nodeid=item.nodeid,
            stage=report.when or "",
            outcome=report.outcome,
            told=replay.told(report),
            fault=isinstance(problem, LabError),
            seconds=report.duration,
            ended=now(),
            place=lab.place,
        )
        self.session.keep(lambda lab: lab.store.add_outcome(lab.run.id, outcome))

    def _properties(self, item: pytest.Item) -> list[tuple[str, object]]:
        """What was measured of a test's variant, for JUnit's file."""
        mark = item.get_closest_marker("experiment")
        if self.session.lab is None or mark is None:
            return []
        samples = self.session.lab.store.samples(self.session.lab.run.id)
        return [
            pair
            for variant in selected([item])
            for pair in medians(samples, mark.args[0], variant.name)
        ]
