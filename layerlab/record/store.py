"""The store: one SQLite file that gets every sample the moment it is measured."""

import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from layerlab.build.progress import Step
from layerlab.errors import LabError, RunLost

#: Kept in SQLite's user_version; a newer one is refused rather than misread.
SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE run (
    id TEXT PRIMARY KEY, started TEXT NOT NULL, ended TEXT,
    engine TEXT NOT NULL,      -- JSON: the endpoint and its capabilities
    bases TEXT NOT NULL        -- JSON: name, image id, stand-in or official
);
CREATE TABLE sample (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES run, measured TEXT NOT NULL,
    experiment TEXT NOT NULL, variant TEXT NOT NULL,
    digest TEXT NOT NULL,      -- sha256 of the variant's Dockerfile and ignore file
    scenario TEXT NOT NULL, round INTEGER NOT NULL,
    position INTEGER NOT NULL, -- the variant's turn within the round, from 1
    metric TEXT NOT NULL, value REAL, unit TEXT NOT NULL,
    valid INTEGER NOT NULL, reason TEXT
);
CREATE TABLE step (
    sample INTEGER NOT NULL REFERENCES sample, ordinal INTEGER NOT NULL,
    stage TEXT NOT NULL, position INTEGER NOT NULL, total INTEGER NOT NULL,
    instruction TEXT NOT NULL, line INTEGER NOT NULL, cached INTEGER NOT NULL,
    seconds REAL NOT NULL, offset_seconds REAL NOT NULL, error TEXT,
    PRIMARY KEY (sample, ordinal)
);
CREATE INDEX sample_of_run ON sample (run, experiment, variant, scenario);
"""


@dataclass(frozen=True)
class Sample:
    """One measured value."""

    experiment: str
    variant: str
    digest: str
    scenario: str
    round: int
    position: int
    metric: str
    #: None where there is none, because the measurement failed or timed out: ``invalid`` says why.
    value: float | None
    #: "s", "bytes", "steps", "layers" or "requests".
    unit: str
    #: Why the value must not be used; None when it may.
    invalid: str | None = None
    #: The baseline's second turn in a round.
    control: bool = False
    #: sha256 of the build context's files; "" where none was built.
    context: str = ""


class Store:
    """The store of a project. Every method that adds something has committed it when it returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            # Readers do not stop a run, and a killed run leaves a store that opens.
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._prepare()
        except sqlite3.Error as error:
            raise LabError(
                f"the store {path} can't be used: {error}: move the file away to begin a new one"
            ) from error

    def _prepare(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                if statement.strip():
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._db.execute("COMMIT")
        if version > SCHEMA_VERSION:
            raise LabError(
                f"the store {self.path} was written by a newer layerlab (schema {version}, this one "
                f"knows {SCHEMA_VERSION}): upgrade layerlab, or move the file away"
            )

    def begin_run(
        self, run: str, engine: Mapping[str, Any], bases: list[Mapping[str, Any]]
    ) -> None:
        """Record a run before its first sample."""
        self._execute(
            "INSERT INTO run (id, started, engine, bases) VALUES (?, ?, ?, ?)",
            (run, _now(), json.dumps(engine), json.dumps(bases)),
        )

    def end_run(self, run: str) -> None:
        """Record that a run came to its end; a killed run has none."""
        self._execute("UPDATE run SET ended = ? WHERE id = ?", (_now(), run))

    def add(self, run: str, sample: Sample, steps: tuple[Step, ...] = ()) -> None:
        """Record a sample and the steps that it was measured on, in one transaction."""
        if sample.value is None and sample.invalid is None:
            raise LabError(f"a sample of {sample.metric} has no value, and no reason why")
        if sample.value is not None and not math.isfinite(sample.value):
            raise LabError(f"a sample of {sample.metric} has the value {sample.value}")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            cursor = self._db.execute(
                "INSERT INTO sample (run, measured, experiment, variant, digest, scenario, round,"
                " position, metric, value, unit, valid, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    run,
                    _now(),
                    sample.experiment,
                    sample.variant,
                    sample.digest,
                    sample.scenario,
                    sample.round,
                    sample.position,
                    sample.metric,
                    sample.value,
                    sample.unit,
                    sample.invalid is None,
                    sample.invalid,
                ),
            )
            self._db.executemany(
                "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        cursor.lastrowid,
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
                    )
                    for ordinal, step in enumerate(steps)
                ],
            )
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:  # SQLite has rolled back by itself after some errors.
                self._db.execute("ROLLBACK")
            raise self._unwritable(error) from error

    def samples(self, run: str) -> list[Sample]:
        """All samples of a run, in the order in which they were measured."""
        rows = self._db.execute(
            "SELECT experiment, variant, digest, scenario, round, position, metric, value, unit,"
            " reason FROM sample WHERE run = ? ORDER BY id",
            (run,),
        )
        return [Sample(*row) for row in rows]

    def _execute(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: sqlite3.Error) -> RunLost:
        return RunLost(
            f"the store {self.path} can't be written: {error}: what was measured before is kept; "
            "free disk space or end the other program, then run again"
        )

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
