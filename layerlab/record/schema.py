"""The store's schema: its newest form, and how an older file comes to it."""

import sqlite3
from collections.abc import Iterator

#: Kept in SQLite's user_version; a newer one is refused rather than misread.
SCHEMA_VERSION = 3
_SAMPLE = """\
CREATE TABLE sample (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES run, measured TEXT NOT NULL,
    experiment TEXT NOT NULL, variant TEXT NOT NULL,
    digest TEXT NOT NULL,      -- sha256 of the variant's Dockerfile and ignore file
    context TEXT NOT NULL DEFAULT '', -- sha256 of the build context's files; '' where none was built
    scenario TEXT NOT NULL,
    round INTEGER NOT NULL,    -- from 1; 0 is the priming, which is never counted
    position INTEGER NOT NULL, -- the variant's turn within the round, from 1
    control INTEGER NOT NULL DEFAULT 0, -- the baseline's second turn in a round
    metric TEXT NOT NULL,
    value REAL,                -- NULL: the turn failed or timed out
    unit TEXT NOT NULL,
    valid INTEGER NOT NULL, reason TEXT,
    CHECK (value IS NOT NULL OR reason IS NOT NULL), CHECK (valid = (reason IS NULL))
);
"""
_OUTCOMES = """\
CREATE TABLE outcome (
    run TEXT NOT NULL REFERENCES run, experiment TEXT NOT NULL,
    nodeid TEXT NOT NULL, stage TEXT NOT NULL, -- setup, call, teardown
    outcome TEXT NOT NULL,     -- passed, failed, skipped
    told TEXT,                 -- what pytest said of it
    fault INTEGER NOT NULL,    -- whether what was given is wrong, rather than unmet
    seconds REAL NOT NULL, ended TEXT NOT NULL,
    PRIMARY KEY (run, nodeid, stage)
);
CREATE TABLE chapter (
    run TEXT NOT NULL REFERENCES run, experiment TEXT NOT NULL,
    content TEXT NOT NULL,     -- JSON: question, answer, sections, figures
    PRIMARY KEY (run, experiment)
);
"""
_INDEX = "CREATE INDEX sample_of_run ON sample (run, experiment, variant, scenario);\n"
_PLACES = """\
CREATE TABLE place (         -- of a run on several engines: each of them
    run TEXT NOT NULL REFERENCES run, name TEXT NOT NULL,
    engine TEXT NOT NULL, bases TEXT NOT NULL, -- as a run has them
    ends INTEGER NOT NULL DEFAULT 0, -- how often it, or the worker on it, went away in mid-run
    PRIMARY KEY (run, name)
);
ALTER TABLE sample ADD COLUMN place TEXT NOT NULL DEFAULT ''; -- '' of a run on one engine
ALTER TABLE outcome ADD COLUMN place TEXT NOT NULL DEFAULT '';
"""
_NEWEST = f"""\
CREATE TABLE run (
    id TEXT PRIMARY KEY, started TEXT NOT NULL, ended TEXT,
    engine TEXT NOT NULL,      -- JSON: the endpoint and its capabilities
    bases TEXT NOT NULL,       -- JSON: name, image id, digest, stand-in or official
    kind TEXT NOT NULL DEFAULT 'run', -- or 'bench'
    host TEXT NOT NULL DEFAULT '{{}}', -- JSON: the machine
    home TEXT NOT NULL DEFAULT '', -- whose run it is: who can tell whether it lives
    settings TEXT NOT NULL DEFAULT '{{}}', -- JSON: what was asked
    variants TEXT NOT NULL DEFAULT '{{}}', -- JSON: name -> digest
    ending TEXT,               -- done, interrupted, lost; NULL: it runs, or was killed
    resumed TEXT NOT NULL DEFAULT '[]' -- JSON: when it was gone on with
);
{_SAMPLE}CREATE TABLE step (
    sample INTEGER NOT NULL REFERENCES sample, ordinal INTEGER NOT NULL,
    stage TEXT NOT NULL, position INTEGER NOT NULL, total INTEGER NOT NULL,
    instruction TEXT NOT NULL, line INTEGER NOT NULL, cached INTEGER NOT NULL,
    seconds REAL NOT NULL, offset_seconds REAL NOT NULL, error TEXT,
    end_line INTEGER NOT NULL DEFAULT 0, -- 0: as `line`
    PRIMARY KEY (sample, ordinal)
);
{_INDEX}{_OUTCOMES}{_PLACES}"""
#: From version 1 to 2, …; SQLite can't take a NOT NULL away, so the samples are copied
#: (sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema Changes").
_MIGRATIONS = (
    f"""\
ALTER TABLE run ADD COLUMN kind TEXT NOT NULL DEFAULT 'run';
ALTER TABLE run ADD COLUMN host TEXT NOT NULL DEFAULT '{{}}';
ALTER TABLE run ADD COLUMN home TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN settings TEXT NOT NULL DEFAULT '{{}}';
ALTER TABLE run ADD COLUMN variants TEXT NOT NULL DEFAULT '{{}}';
ALTER TABLE run ADD COLUMN ending TEXT;
ALTER TABLE run ADD COLUMN resumed TEXT NOT NULL DEFAULT '[]';
UPDATE run SET ending = 'done' WHERE ended IS NOT NULL;
{_SAMPLE.replace("TABLE sample", "TABLE sample_2")}\
INSERT INTO sample_2 (id, run, measured, experiment, variant, digest, scenario, round, position,
    metric, value, unit, valid, reason)
    SELECT id, run, measured, experiment, variant, digest, scenario, round, position,
    metric, value, unit, valid, reason FROM sample;
DROP TABLE sample;
ALTER TABLE sample_2 RENAME TO sample;
{_INDEX}ALTER TABLE step ADD COLUMN end_line INTEGER NOT NULL DEFAULT 0;
{_OUTCOMES}""",
    _PLACES,
)


def version(db: sqlite3.Connection) -> int:
    """The schema of an open file; 0 where it has none yet."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def prepare(db: sqlite3.Connection) -> int:
    """Make or update the tables, in one transaction; returns the file's version, which may be newer.

    Raises:
        sqlite3.Error: the file is not ours, is held by another program, or can't be written.
    """
    if version(db) >= SCHEMA_VERSION:
        return version(db)
    # Else the table that is copied would take the steps with it; not to be changed in a transaction.
    db.execute("PRAGMA foreign_keys=OFF")
    db.execute("BEGIN IMMEDIATE")
    try:
        known = version(db)  # Another process may have been here first.
        scripts = _MIGRATIONS[known - 1 :] if known else (_NEWEST,)
        if known < SCHEMA_VERSION:
            for statement in (one for script in scripts for one in _statements(script)):
                db.execute(statement)
            if db.execute("PRAGMA foreign_key_check").fetchone():
                raise sqlite3.IntegrityError("a sample or a step belongs to nothing")
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.execute("COMMIT")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return version(db)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
