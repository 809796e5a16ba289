"""The store's file: opened for this user alone, and what is wrong with it in one sentence."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from layerlab.errors import LabError, RunLost
from layerlab.record.schema import SCHEMA_VERSION, prepare

_BEGIN_ANEW = "move the file away to begin a new one"
#: By SQLite's primary result code (sqlite.org/rescode.html): what is to be done.
_TODO = {
    sqlite3.SQLITE_BUSY: "another program holds it: end that, or wait for it",
    sqlite3.SQLITE_LOCKED: "another program holds it: end that, or wait for it",
    sqlite3.SQLITE_CORRUPT: f"it is damaged: {_BEGIN_ANEW} (`sqlite3 FILE .recover` saves what can be "
    "read)",
    sqlite3.SQLITE_NOTADB: f"it is damaged, or no store: {_BEGIN_ANEW}",
    sqlite3.SQLITE_READONLY: "let this user write to it and to its folder",
    sqlite3.SQLITE_CANTOPEN: "see to it that its folder is there and can be written",
    sqlite3.SQLITE_FULL: "free disk space",
    sqlite3.SQLITE_IOERR: "free disk space",
}


class File:
    """A store's file, open. Every method that adds something has committed it when it returns."""

    def __init__(self, path: Path, *, wait_seconds: float = 30) -> None:
        """Open the file, make it where there is none, and bring an older one to the newest form.

        ``wait_seconds`` is how long another program may hold it.

        Raises:
            LabError: it is damaged, no store, of a newer layerlab, held, or may not be used.
        """
        self.path = path
        try:
            self._keep_from_others()
            self._db = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
            self._log_ahead(wait_seconds)
            version = prepare(self._db)
            self._db.execute("PRAGMA foreign_keys=ON")
            if version == SCHEMA_VERSION:
                self._check()
        except sqlite3.Error as error:
            raise LabError(f"the store {path} can't be used: {error}: {_todo(error)}") from error
        if version > SCHEMA_VERSION:
            raise LabError(
                f"the store {path} was written by a newer layerlab (schema {version}, this one "
                f"knows {SCHEMA_VERSION}): upgrade layerlab, or move the file away"
            )

    def _log_ahead(self, wait_seconds: float) -> None:
        """Have readers not stop a run, and a killed run leave a store that opens.

        Where several programs make the store at once, each may stand in the other's way here, and SQLite
        says that it is busy without waiting (sqlite.org/c3ref/busy_handler.html, of deadlocks).
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _keep_from_others(self) -> None:
        """Nobody else reads what was measured; SQLite gives the files beside it the same mode."""
        with suppress(OSError):  # SQLite says better what is wrong.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for end in ("", "-wal", "-shm"):
            with suppress(OSError):
                self.path.with_name(self.path.name + end).chmod(0o600)

    def _check(self) -> None:
        """Whether its pages belong together; a sample that is added to one that is damaged may be lost."""
        told = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if told != "ok":
            error = sqlite3.DatabaseError(" ".join(str(told).split()))
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise LabError(
                f"the store {self.path} can't be read: {error}: {_todo(error)}"
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction.

        Raises:
            RunLost: it could not be written; nothing of it is.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                if self._db.in_transaction:  # SQLite has rolled back by itself after some errors.
                    self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise RunLost(
                    f"the store {self.path} can't be written: {error}: what was measured before is "
                    f"kept; {_todo(error)}, then go on with `./lab run --resume`; a bench begins anew"
                ) from error
            raise

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


def _todo(error: sqlite3.Error) -> str:
    # The extended code has the primary one in its lowest byte.
    return _TODO.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, _BEGIN_ANEW)
