"""Engine by experiment: what came of one run on each engine."""

from collections.abc import Mapping
from dataclasses import dataclass

from layerlab.record.standing import Standing
from layerlab.show.section import Section
from layerlab.show.tables import in_cell, table
from layerlab.text import plain, shorten

#: Of a reason, which may be a whole log.
_REASON = 300


@dataclass(frozen=True)
class Column:
    """One engine's run."""

    #: The engine's name, such as ``20.10-overlay2``.
    engine: str
    #: Experiment -> how its tests ended; {} where there was no run.
    standings: Mapping[str, Standing]
    seconds: float
    #: Why the run did not come to its end; None where it did.
    broken: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the run came to its end with nothing failed."""
        return self.broken is None and not any(one.failed for one in self.standings.values())


def matrix(columns: list[Column], style: str) -> Section:
    """The table of engines and experiments; what was not available or failed is told below it."""
    experiments = list(dict.fromkeys(name for column in columns for name in column.standings))
    rows = [
        [
            in_cell(plain(experiment), style),
            *(_cell(column.standings.get(experiment)) for column in columns),
        ]
        for experiment in experiments
    ]
    rows.append(["seconds", *(f"{column.seconds:.0f}" for column in columns)])
    headers = ["experiment", *(column.engine.replace("-", "\n") for column in columns)]
    return Section("engines", table(rows, headers, style, left=(0,)), tuple(_notes(columns)))


def _cell(one: Standing | None) -> str:
    if one is None:
        return "not run"
    if one.failed:
        return f"{one.failed} failed"
    if one.skipped == one.tests:
        return "not avail."
    return f"{one.passed} of {one.tests}" if one.skipped else f"{one.passed}"


def _notes(columns: list[Column]) -> list[str]:
    """What the cells mean, and why something is not there: each reason once, with its engines."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for column in columns:
        for experiment, one in column.standings.items():
            for reason in one.reasons:
                told = shorten(reason, _REASON)
                reasons.setdefault((experiment, told), []).append(column.engine)
    return [
        "Tests that passed, of all that there are where some are not available.",
        *(f"{column.engine}: {column.broken}" for column in columns if column.broken),
        *(
            f"{experiment}, {_engines(engines, columns)}: {reason}"
            for (experiment, reason), engines in reasons.items()
        ),
    ]


def _engines(engines: list[str], columns: list[Column]) -> str:
    return "every engine" if len(engines) == len(columns) > 1 else ", ".join(engines)
