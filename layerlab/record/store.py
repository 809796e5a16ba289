"""The store: one SQLite file that gets every sample the moment it is measured."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from layerlab.build.progress import Step
from layerlab.errors import LabError
from layerlab.folders import store_file
from layerlab.record.file import File
from layerlab.record.rows import STEP, Kept, Outcome, Place, Sample, read_step, step_row
from layerlab.record.run import RunRecord, State

#: How long another program may hold a store that someone wants to read.
READ_WAIT_SECONDS = 5
#: What samples say that were measured before a run was interrupted, and then anew.
SUPERSEDED = "measured anew after an interruption"
_RUN = "id, kind, started, ended, ending, resumed, engine, bases, host, home, settings, variants"
_SAMPLE = (
    "experiment, variant, digest, scenario, round, position, metric, value, unit, reason, control,"
    " context, place"
)
_OUTCOME = "experiment, nodeid, stage, outcome, told, fault, seconds, ended, place"
_PLACE = "name, engine, bases, ends"


class Store(File):
    """The store of a project: what is in it, and what is added to it."""

    def begin_run(
        self,
        run: str,
        engine: Mapping[str, Any],
        bases: Sequence[Mapping[str, Any]],
        *,
        kind: str = "run",
        host: Mapping[str, Any] | None = None,
        home: str = "",
        settings: Mapping[str, Any] | None = None,
        variants: Mapping[str, str] | None = None,
    ) -> None:
        """Record a run before its first sample; see :class:`layerlab.record.run.RunRecord`."""
        texts = [json.dumps(one) for one in (engine, bases, host or {}, settings or {})]
        values = (run, now(), kind, home, *texts, json.dumps(variants or {}))
        with self._writing() as db:
            db.execute(
                "INSERT INTO run (id, started, kind, home, engine, bases, host, settings, variants)"
                f" VALUES ({_marks(values)})",
                values,
            )

    def resume_run(self, run: str) -> None:
        """Record that a run is gone on with: it has not ended."""
        resumed = json.dumps([*self.run(run).resumed, now()])
        with self._writing() as db:
            db.execute(
                "UPDATE run SET ended = NULL, ending = NULL, resumed = ? WHERE id = ?",
                (resumed, run),
            )

    def end_run(self, run: str, ending: State = State.DONE) -> None:
        """Record how a run ended; a killed run has no end."""
        with self._writing() as db:
            db.execute(
                "UPDATE run SET ended = ?, ending = ? WHERE id = ?", (now(), str(ending), run)
            )

    def add(self, run: str, sample: Sample, steps: Sequence[Step] = ()) -> None:
        """Record a sample and the steps that it was measured on, in one transaction.

        Raises:
            LabError: the value is no number, or there is none and no reason why.
            RunLost: the store can't be written.
        """
        if sample.value is None and sample.invalid is None:
            raise LabError(f"a sample of {sample.metric} has no value, and no reason why")
        if sample.value is not None and not math.isfinite(sample.value):
            raise LabError(f"a sample of {sample.metric} has the value {sample.value}")
        values = (
            run,
            now(),
            sample.invalid is None,
            sample.experiment,
            sample.variant,
            sample.digest,
            sample.scenario,
            sample.round,
            sample.position,
            sample.metric,
            sample.value,
            sample.unit,
            sample.invalid,
            sample.control,
            sample.context,
            sample.place,
        )
        with self._writing() as db:
            added = db.execute(
                f"INSERT INTO sample (run, measured, valid, {_SAMPLE}) VALUES ({_marks(values)})",
                values,
            ).lastrowid
            rows = [step_row(added, ordinal, step) for ordinal, step in enumerate(steps)]
            if rows:
                db.executemany(f"INSERT INTO step ({STEP}) VALUES ({_marks(rows[0])})", rows)

    def supersede(
        self, run: str, experiment: str, after_round: int = -1, why: str = SUPERSEDED
    ) -> None:
        """Make an experiment's samples of later rounds invalid: they will be measured anew, or say ``why``."""
        with self._writing() as db:
            db.execute(
                "UPDATE sample SET valid = 0, reason = ? || coalesce(': ' || reason, '')"
                " WHERE run = ? AND experiment = ? AND round > ? AND coalesce(reason, '') NOT LIKE ?",
                (why, run, experiment, after_round, f"{why}%"),
            )

    def add_outcome(self, run: str, outcome: Outcome) -> None:
        """Record what became of a part of a test; the last that was recorded counts."""
        values = (
            run,
            outcome.experiment,
            outcome.nodeid,
            outcome.stage,
            outcome.outcome,
            outcome.told,
            outcome.fault,
            outcome.seconds,
            outcome.ended,
            outcome.place,
        )
        with self._writing() as db:
            db.execute(
                f"INSERT OR REPLACE INTO outcome (run, {_OUTCOME}) VALUES ({_marks(values)})",
                values,
            )

    def keep_chapter(self, run: str, experiment: str, content: Mapping[str, Any]) -> None:
        """Record what an experiment shows; the last that was recorded counts."""
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO chapter (run, experiment, content) VALUES (?, ?, ?)",
                (run, experiment, json.dumps(content)),
            )

    def keep_place(self, run: str, place: Place, variants: Mapping[str, str] | None = None) -> None:
        """Record an engine of a run; the last that was recorded counts. ``variants`` are the run's, if known."""
        texts = [json.dumps(one) for one in (place.engine, place.bases)]
        with self._writing() as db:
            db.execute(
                "INSERT INTO place (run, name, engine, bases) VALUES (?, ?, ?, ?) ON CONFLICT"
                " (run, name) DO UPDATE SET engine = excluded.engine, bases = excluded.bases",
                (run, place.name, *texts),
            )
            if variants is not None:
                db.execute(
                    "UPDATE run SET variants = ?, bases = ? WHERE id = ?",
                    (json.dumps(variants), texts[1], run),
                )

    def count_end(self, run: str, place: str) -> None:
        """Record that an engine of a run, or the worker on it, went away in mid-run."""
        with self._writing() as db:
            db.execute("UPDATE place SET ends = ends + 1 WHERE run = ? AND name = ?", (run, place))

    def places(self, run: str) -> list[Place]:
        """The engines of a run that has several, in the order in which they were named; [] of one that has one."""
        query = f"SELECT {_PLACE} FROM place WHERE run = ?"
        found = {
            name: Place(name, self._json(run, engine), self._json(run, bases), ends)
            for name, engine, bases, ends in self._read(query, (run,))
        }
        order = self.run(run).settings.get("engines") or ()
        return [found[name] for name in order if name in found]

    def runs(self) -> list[RunRecord]:
        """All runs, in the order in which they began."""
        rows = self._read(f"SELECT {_RUN} FROM run ORDER BY started, rowid")
        return [self._run(row) for row in rows]

    def run(self, run: str) -> RunRecord:
        """One run, by its id.

        Raises:
            LabError: there is no such run.
        """
        rows = self._read(f"SELECT {_RUN} FROM run WHERE id = ?", (run,))
        if not rows:
            raise LabError(f"the store {self.path} has no run {run}")
        return self._run(rows[0])

    def _run(self, row: tuple[Any, ...]) -> RunRecord:
        resumed, engine, bases, host = (self._json(row[0], text) for text in row[5:9])
        settings, variants = (self._json(row[0], text) for text in row[10:12])
        return RunRecord(
            *[*row[:5], tuple(resumed), engine, bases, host, row[9], settings, variants]
        )

    def kept(self, run: str) -> list[Kept]:
        """All samples of a run, in the order in which they were measured."""
        query = f"SELECT id, measured, {_SAMPLE} FROM sample WHERE run = ? ORDER BY id"
        return [
            Kept(row[0], row[1], Sample(*[*row[2:12], bool(row[12]), *row[13:]]))
            for row in self._read(query, (run,))
        ]

    def samples(self, run: str) -> list[Sample]:
        """The same, without what only the store knows."""
        return [one.sample for one in self.kept(run)]

    def count(self, run: str) -> tuple[int, int]:
        """How many samples a run has, and how many of them are invalid."""
        query = "SELECT count(*), count(*) - coalesce(sum(valid), 0) FROM sample WHERE run = ?"
        ((samples, invalid),) = self._read(query, (run,))
        return samples, invalid

    def steps(self, run: str) -> dict[int, tuple[Step, ...]]:
        """The steps that a run's samples were measured on, by the sample's id, in their order."""
        query = (
            f"SELECT {STEP} FROM step WHERE sample IN (SELECT id FROM sample WHERE run = ?)"
            " ORDER BY sample, ordinal"
        )
        found: dict[int, list[Step]] = {}
        for row in self._read(query, (run,)):
            found.setdefault(row[0], []).append(read_step(row))
        return {sample: tuple(steps) for sample, steps in found.items()}

    def outcomes(self, run: str) -> list[Outcome]:
        """What became of a run's tests, in the order in which they ended."""
        query = f"SELECT {_OUTCOME} FROM outcome WHERE run = ? ORDER BY rowid"
        return [Outcome(*[*row[:5], bool(row[5]), *row[6:]]) for row in self._read(query, (run,))]

    def chapters(self, run: str) -> dict[str, dict[str, Any]]:
        """What a run's experiments show, by their names, in the order in which they ended."""
        query = "SELECT experiment, content FROM chapter WHERE run = ? ORDER BY rowid"
        return {name: self._json(run, text) for name, text in self._read(query, (run,))}

    def _json(self, run: str, text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, TypeError) as error:
            raise LabError(
                f"the store {self.path} is damaged: what it says of the run {run} can't be read: "
                "move the file away to begin a new one"
            ) from error


def reading(project: Path) -> Store:
    """The store of a project, opened to be read.

    Raises:
        LabError: there is none, or it can't be used.
    """
    path = store_file(project)
    if not path.exists():
        raise LabError("no run is recorded here yet: `./lab run` makes one")
    return Store(path, wait_seconds=READ_WAIT_SECONDS)


def begun_by(project: Path, command: str) -> list[RunRecord]:
    """The runs of a project that a command began; [] where it has no store.

    Raises:
        LabError: the store can't be used.
    """
    if not store_file(project).exists():
        return []
    with reading(project) as store:
        return [run for run in store.runs() if run.settings.get("command") == command]


def now() -> str:
    """This moment as the store writes it: ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
