"""One save, from the editor to the answer that shows it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from layerlab.build.buildx import Build
from layerlab.engine.command import last_lines
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.run import diagnosis, watching
from layerlab.run.marks import Marked, Save
from layerlab.run.ports import PORT
from layerlab.run.reload import FOLDER, Way, arrived
from layerlab.run.watching import RESOLUTION_SECONDS, Change, Watch

#: After which a save counts as not noticed, if the app still gives the answer from before; the shorter
#: one is for where that is expected: uvicorn looks every 0.25 s where it does not wait for events.
NOTICE_SECONDS = 2.5
BLIND_SECONDS = 0.6
#: How long a save may take into the container.
ARRIVE_SECONDS = 5.0
#: How long the app is asked on after the right answer, to see that it stays.
SETTLE_SECONDS = 0.05
_LOOK_SECONDS = 0.05
_RECENT_SECONDS = 0.2
_LOG_LINES = 40


class NoEvents(LabError):
    """A save is in the container, and the app goes on as before."""


@dataclass(frozen=True)
class Outcome:
    """What became of a save."""

    change: Change
    #: What the app was to answer, and what it answered last.
    expected: Mapping[str, str]
    answer: object
    #: False where the app went on as before until another file was saved; `change` counts from there.
    noticed: bool
    #: The build in it, in ways that build.
    build: Build | None = None

    @property
    def exact(self) -> bool:
        """Whether its time is known as exactly as it has to be."""
        return self.change.resolution_seconds <= RESOLUTION_SECONDS

    @property
    def invalid(self) -> str | None:
        """Why it is no measurement of the save; None where it is one."""
        if not self.noticed:
            return "noticed with the save of another file only"
        if not self.exact:
            apart, most = self.change.resolution_seconds * 1000, RESOLUTION_SECONDS * 1000
            return f"requests were {apart:.0f} ms apart, and {most:.0f} ms is the most"
        return None


@dataclass
class Saving:
    """A way, its files, and the app that is watched while they are saved."""

    endpoint: Endpoint
    way: Way
    marked: Marked
    watch: Watch
    #: The name of the container that has the app now.
    container: Callable[[], str]
    #: Takes what was saved to the app, where it does not go there by itself.
    deliver: Callable[[], Build | None]
    #: How long the app may take until it answers, in seconds.
    limit_seconds: float
    #: What the tool that delivers has said, in lines.
    heard: Sequence[str] = ()
    polling: bool = False

    def begin(self) -> None:
        """Wait until the app answers what its files say before any save.

        Raises:
            LabError: it answers, and not with these files; with the last lines of its log.
        """
        if self.watch.shows(self.marked.marks, 0.0, self.limit_seconds) is None:
            raise self._failed(
                f"the app does not show the files of {self.marked.folder}: is this folder on the engine's "
                f"machine, and is the app in {FOLDER} of the image?"
            )

    def save(self, save: Save) -> Outcome:
        """Save, and wait for the answer that shows it.

        Raises:
            NoEvents: nobody told the app, which could be told with polling.
            LabError: the app does not come up with it, with the last lines of its log.
        """
        self._let_time_pass()
        begun = time.monotonic()
        if save.broken:
            self.marked.break_it(save)
            self.deliver()
            self._see_broken()
            self._let_time_pass()
        saved = time.monotonic()
        begun = begun if save.broken else saved
        right = self.marked.save(save)
        build = self.deliver()
        noticed = self._shown(right, saved, save)
        if not noticed and not (self.polling or save in self.way.blind):
            raise NoEvents(f"`{save.name}` is in the container, and the app was not told")
        if not noticed:
            begun = saved = time.monotonic()
            self.marked.touch()
            if not self._shown(right, saved, None):
                raise self._failed(f"`{save.name}` and one more file were saved, and not noticed")
        time.sleep(SETTLE_SECONDS)
        self.watch.finish(time.monotonic())
        record = self.watch.record(begun)
        answers = [one.answer for one in record if one.failure is None]
        change = watching.change(record, self.watch.looks(), begun, saved, right)
        return Outcome(change, right, answers[-1], noticed, build)

    def _let_time_pass(self) -> None:
        """Where watchfiles polls, it compares the files' times in whole seconds (notify, src/poll.rs)."""
        if self.polling:
            time.sleep(max(0.0, int(self.marked.written) + 1 - time.time()))

    def _shown(self, right: Mapping[str, str], saved: float, save: Save | None) -> bool:
        """Whether the app shows a save; False if it answers as before, with the files there."""
        over = time.monotonic() + self.limit_seconds
        blind = save in self.way.blind or not (self.way.events or self.polling)
        patience = min(BLIND_SECONDS if blind else NOTICE_SECONDS, self.limit_seconds)
        if self.watch.shows(right, saved, patience):
            return True
        # An app that does not answer is on its way, or down.
        while self._silent():
            if self.watch.shows(right, saved, _RECENT_SECONDS):
                return True
            ended = self.way.builds and diagnosis.ended(self.endpoint, self.container())
            if ended or time.monotonic() > over:
                raise self._down(save)
        arrives = saved + max(patience, min(ARRIVE_SECONDS, self.limit_seconds))
        while save and not arrived(self.endpoint, self.container(), self.marked, save):
            if self.watch.shows(right, saved, _RECENT_SECONDS):
                return True
            if time.monotonic() > arrives:
                after = f"after {arrives - saved:.0f} s"
                raise self._failed(f"`{save.name}` is not in the container {after}")
        return self.watch.shows(right, saved, 0) is not None

    def _silent(self) -> bool:
        recent = self.watch.record(time.monotonic() - _RECENT_SECONDS)
        return all(one.failure for one in recent)

    def _see_broken(self) -> None:
        """Wait until Python has read the broken file."""
        deadline = time.monotonic() + self.limit_seconds
        while "SyntaxError" not in diagnosis.log_tail(self.endpoint, self.container(), _LOG_LINES):
            if time.monotonic() > deadline:
                raise self._failed(
                    "a file with a syntax error was saved, and Python did not read it"
                )
            time.sleep(_LOOK_SECONDS)

    def _down(self, save: Save | None) -> LabError:
        name = self.container()
        why = diagnosis.ended(self.endpoint, name)
        if why is None:
            why = f"the app did not come up in {self.limit_seconds:.0f} s"
            # Where uvicorn restarts the app it keeps the port, which says nothing of the app.
            if self.way.builds:
                why += f": {diagnosis.silent(self.endpoint, name, PORT)}"
        after = f"`{save.name}` was saved, and " if save else ""
        return self._failed(f"{after}{why}")

    def _failed(self, why: str) -> LabError:
        """A failure with what the app and the tool that delivers have said last."""
        log = diagnosis.log_tail(self.endpoint, self.container())
        return LabError(f"{why}{log}{last_lines(''.join(self.heard))}")
