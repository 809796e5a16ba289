"""A recorded run: what was asked, on which machine and engine, and how it ended."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from layerlab.errors import LabError
from layerlab.text import near

_LAST = re.compile(r"last(?:~(\d{1,4}))?")


class State(StrEnum):
    """How a run ended."""

    DONE = "done"
    #: By Ctrl-C, SIGTERM, or an error of ours.
    INTERRUPTED = "interrupted"
    #: The engine went away, or the store could not be written.
    LOST = "lost"
    RUNNING = "running"
    KILLED = "killed"
    #: Begun from elsewhere, where alone can be told whether it still runs.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class RunRecord:
    """A run, as the store has it. Times are ISO 8601 in UTC."""

    id: str
    #: "run" or "bench".
    kind: str
    started: str
    ended: str | None
    #: What was recorded at its end; None: it runs, or was killed.
    ending: str | None
    #: When it was gone on with.
    resumed: tuple[str, ...]
    #: The endpoint's address and capabilities; {} where an older layerlab recorded none.
    engine: Mapping[str, Any]
    #: The base images, as :class:`layerlab.engine.bases.Base` has them.
    bases: Sequence[Mapping[str, Any]]
    #: The machine, as :class:`layerlab.record.host.Host` has it; {} as for the engine.
    host: Mapping[str, Any]
    #: Whose run it is; see :func:`layerlab.engine.leftovers.home`.
    home: str
    #: What was asked; {} as for the engine.
    settings: Mapping[str, Any]
    #: variant -> the digest of its Dockerfile
    variants: Mapping[str, str]

    @property
    def words(self) -> list[str]:
        """The command line that began it."""
        return list(map(str, self.settings.get("words") or ()))

    def state(self, home: str, alive: Collection[str]) -> State:
        """How it ended, as ``home`` knows, whose runs ``alive`` live."""
        # One that is gone on with lives, whatever its first end was.
        if self.id in alive:
            return State.RUNNING
        if self.ending is not None:
            return State(self.ending)
        return State.UNKNOWN if self.home and self.home != home else State.KILLED


def find(runs: Sequence[RunRecord], word: str) -> RunRecord:
    """The run that a user means: its id, the unique beginning of one, ``last`` or ``last~N``.

    ``runs`` are in the order in which they began.

    Raises:
        LabError: there is no such run, or several begin so.
    """
    if not runs:
        raise LabError("no run is recorded here yet: `./lab run` makes one")
    if match := _LAST.fullmatch(word):
        back = int(match[1] or 0)
        if back < len(runs):
            return runs[-1 - back]
        raise LabError(f"`{word}`: only {_count(len(runs))} recorded here")
    if exact := [run for run in runs if run.id == word]:
        return exact[0]
    found = [run for run in runs if word and run.id.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(run.id for run in found[-3:])
        raise LabError(
            f"{len(found)} runs begin with `{word}`, such as {some}: give more of the one you mean"
        )
    raise LabError(
        f"there is no run `{word}`{near(word, [run.id for run in runs])}: `./lab history` lists them"
    )


def _count(runs: int) -> str:
    return "1 run is" if runs == 1 else f"{runs} runs are"
