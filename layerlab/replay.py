"""Tests whose outcomes come from the record: those of experiments that a resumed run had ended."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import pytest

from layerlab.errors import LabError, Unmet
from layerlab.record.rows import Outcome

#: The parts of a test, as pytest names them; the last is recorded when a test has come to its end.
STAGES = ("setup", "call", "teardown")


class Recorded(pytest.Item):
    """Stands in for a test: its parts end as they did when they were recorded."""

    def __init__(self, *, outcomes: Mapping[str, Outcome], **more: Any) -> None:
        super().__init__(**more)
        self.outcomes = outcomes
        #: The parameters of the test, from which the variants of a run are known.
        self.callspec: object = None

    def setup(self) -> None:
        self._again("setup")

    def runtest(self) -> None:
        self._again("call")

    def teardown(self) -> None:
        self._again("teardown")

    def _again(self, stage: str) -> None:
        recorded = self.outcomes.get(stage)
        if recorded is None or recorded.outcome == "passed":
            return
        told = recorded.told or ""
        if recorded.outcome == "skipped":
            pytest.skip(told)
        _fail(recorded, told)


def _fail(recorded: Outcome, told: str) -> NoReturn:
    told = (
        f"{told}\n(from the record: measured {recorded.ended[:19]} UTC, before the run was resumed)"
    )
    raise (LabError(told) if recorded.fault else Unmet(told))


def experiment_of(item: pytest.Item) -> str | None:
    """The experiment that a test belongs to."""
    mark = item.get_closest_marker("experiment")
    return str(mark.args[0]) if mark else None


def told(report: pytest.TestReport) -> str | None:
    """What pytest says of a failed or skipped part of a test, as text."""
    if isinstance(report.longrepr, tuple):
        # Of a skip: where, and why.
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return report.longreprtext or None


def ended(items: Iterable[pytest.Item], outcomes: Iterable[Outcome]) -> set[str]:
    """The experiments of which every test had come to its end."""
    done = {one.nodeid for one in outcomes if one.stage == STAGES[-1]}
    by_name: dict[str, list[bool]] = {}
    for item in items:
        if name := experiment_of(item):
            by_name.setdefault(name, []).append(item.nodeid in done)
    return {name for name, its in by_name.items() if all(its)}


def replayed(
    items: Sequence[pytest.Item], outcomes: Sequence[Outcome], experiments: Iterable[str]
) -> list[pytest.Item]:
    """The tests with those of ``experiments`` replaced by what was recorded of them."""
    recorded: dict[str, dict[str, Outcome]] = {}
    for one in outcomes:
        recorded.setdefault(one.nodeid, {})[one.stage] = one
    chosen = set(experiments)
    return [
        _stand_in(item, recorded[item.nodeid]) if experiment_of(item) in chosen else item
        for item in items
    ]


def _stand_in(item: pytest.Item, outcomes: Mapping[str, Outcome]) -> Recorded:
    assert item.parent is not None
    found: Recorded = Recorded.from_parent(
        item.parent, name=item.name, nodeid=item.nodeid, outcomes=outcomes
    )
    found.callspec = getattr(item, "callspec", None)
    return found
