"""The end of a session: verdicts, gates, tables and pages."""

import os
from pathlib import Path

import pytest
from xdist.dsession import Interrupted

from layerlab import pages, several, spread, summary
from layerlab.compare import gate, grammar
from layerlab.compare.comparison import Comparison
from layerlab.errors import LabError, os_sentence
from layerlab.lab import Lab
from layerlab.record.run import State
from layerlab.session import Session, refusing
from layerlab.text import plain

BAD_INPUT = 2
#: Options that ask for more of what was measured.
REQUESTS = ("steps", "layers", "plot", "timelines")


class Ending:
    """What a session says when its tests have ended, and its exit code."""

    def __init__(self, session: Session) -> None:
        self.session = session
        with refusing():
            self.gates = [grammar.parse(text) for text in session.config.getoption("fail_if")]
        #: Each variant beside the baseline, if one was named.
        self.comparisons: list[Comparison] = []
        #: What the gates say, a line each.
        self.held: list[str] = []
        #: Whether it was xdist that interrupted the session, and nobody else.
        self.by_xdist = False

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.by_xdist = isinstance(excinfo.value, Interrupted)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        own, lab = self.session, self.session.lab
        stopped = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
        # As xdist tells of `-x`; an order may come while its workers end.
        enough = bool(session.shouldfail) and self.by_xdist
        if enough:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        interrupted = session.exitstatus in stopped
        if lab and interrupted and lab.ending == State.DONE:
            lab.ending = State.INTERRUPTED
        if own.member:
            if lab:
                spread.tell(own.config, lab, faulty=bool(own.reported))
            return
        try:
            if own.leader:
                own.leader.finish(interrupted=interrupted, enough=enough)
            if lab and (own.leader or lab.place):
                several.gather(lab)
            if lab:
                self._compare(session, lab)
        except LabError as error:
            self.held = [str(error)]
            own.reported.append(error)
        faulty = own.reported or (own.leader and own.leader.faulty)
        if faulty and session.exitstatus in (0, pytest.ExitCode.TESTS_FAILED):
            session.exitstatus = BAD_INPUT

    def _compare(self, session: pytest.Session, lab: Lab) -> None:
        """Compare the variants with the baseline, and hold them to the gates.

        Raises:
            LabError: the store can't be read, or a gate means nothing here.
        """
        self.comparisons = lab.comparisons()
        broken, self.held = gate.told(self.gates, self.comparisons)
        if broken and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        own, lab = self.session, self.session.lab
        if lab is None or own.member:
            return
        requested = [name for name in REQUESTS if own.config.getoption(name)]
        chapters = [
            *lab.recorded.values(),
            *(own.chapter(lab, experiment) for experiment in lab.results),
        ]
        told = summary.sections(
            lab, chapters, self.comparisons, requested=requested, width=own.width
        )
        for title, lines in told:
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.write_line(line)
        for line in self.held:
            terminalreporter.write_line(f"layerlab: {plain(line)}")
        step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
        try:
            pages.write(
                lab, chapters, self.comparisons, Path(step_summary) if step_summary else None
            )
        except LabError as error:
            terminalreporter.write_line(f"layerlab: the report is not written: {plain(str(error))}")
        except OSError as error:
            why = plain(os_sentence(error))
            terminalreporter.write_line(f"layerlab: the report is not written: {why}")
