"""Notes: kept in PostgreSQL, or in memory where there is none."""

import itertools
from asyncio import CancelledError, timeout
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Annotated, Protocol

from asyncpg import (
    Connection,
    InterfaceError,
    InternalClientError,
    Pool,
    PostgresError,
    Record,
    create_pool,
)
from fastapi import APIRouter, Depends, HTTPException, Path, Request
from pydantic import BaseModel, SecretStr, StringConstraints

from storage import PATIENCE_SECONDS, UNAVAILABLE, Problem, UnavailableError

PREPARE = """
SET statement_timeout = '{patience:.0f}ms';
SELECT pg_advisory_xact_lock({lock});
CREATE TABLE IF NOT EXISTS notes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""
CREATE_TABLE_LOCK = 0x6E6F746573  # any number that all instances of the app agree on: "notes"

# InternalClientError: the server has just said on this connection that it is shutting down.
# The last two: DATABASE_URL holds what cannot be a host or a port.
FAILURES = (
    PostgresError,
    InterfaceError,
    InternalClientError,
    OSError,
    UnicodeError,
    OverflowError,
)

# PostgreSQL cannot hold a NUL in a text, nor an id beyond bigint.
NoteText = Annotated[str, StringConstraints(min_length=1, max_length=10_000, pattern=r"^[^\x00]*$")]
NoteId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class NewNote(BaseModel):
    text: NoteText


class Note(BaseModel):
    id: int
    text: str
    created_at: datetime


class Notes(Protocol):
    """A place to keep notes in."""

    storage: str

    async def check(self) -> None: ...
    async def add(self, text: str) -> Note: ...
    async def read_all(self) -> list[Note]: ...
    async def delete(self, note_id: int) -> bool: ...


class MemoryNotes:
    storage = "memory"

    def __init__(self) -> None:
        self._notes: dict[int, Note] = {}
        self._ids = itertools.count(1)

    async def check(self) -> None:
        pass

    async def add(self, text: str) -> Note:
        note = Note(id=next(self._ids), text=text, created_at=datetime.now(UTC))
        self._notes[note.id] = note
        return note

    async def read_all(self) -> list[Note]:
        return list(self._notes.values())

    async def delete(self, note_id: int) -> bool:
        return self._notes.pop(note_id, None) is not None


class PostgresNotes:
    storage = "postgresql"

    def __init__(self, pool: "Pool[Record]") -> None:
        self._pool = pool

    async def check(self) -> None:
        await self._fetch("SELECT 1")

    async def add(self, text: str) -> Note:
        [note] = await self._fetch(
            "INSERT INTO notes (text) VALUES ($1) RETURNING id, text, created_at", text
        )
        return Note(**note)

    async def read_all(self) -> list[Note]:
        rows = await self._fetch("SELECT id, text, created_at FROM notes ORDER BY id")
        return [Note(**row) for row in rows]

    async def delete(self, note_id: int) -> bool:
        return bool(await self._fetch("DELETE FROM notes WHERE id = $1 RETURNING id", note_id))

    async def _fetch(self, query: str, *parameters: str | int) -> list[Record]:
        try:
            async with timeout(PATIENCE_SECONDS), self._pool.acquire() as connection:
                with when_cancelled(connection.terminate):
                    return await connection.fetch(query, *parameters)
        except FAILURES as error:
            # If this connection is dead, so are the idle ones: let the next requests make new ones.
            await self._pool.expire_connections()
            raise UnavailableError("PostgreSQL") from error


@asynccontextmanager
async def open_notes(url: SecretStr | None, password: SecretStr | None) -> AsyncIterator[Notes]:
    """Open the notes for the life of the app; the database need not be there yet, nor all the time."""
    if url is None:
        yield MemoryNotes()
        return
    pool = await create_pool(
        url.get_secret_value(),
        password=password.get_secret_value() if password else None,  # None: the one in the URL
        min_size=0,  # connect when a request needs it
        max_size=4,
        init=prepare,
        reset=leave_as_is,
    )
    try:
        yield PostgresNotes(pool)
    finally:
        pool.terminate()


async def prepare(connection: "Connection[Record]") -> None:
    """Make a new connection ready for use, and the table too.

    For every new connection, so that a database that came back empty works again. Two instances
    that start at once would both create the table, which can fail in spite of IF NOT EXISTS: hence
    the lock. It lasts as long as the transaction, which is this one message to the server. The
    timeout is for a query that waits for a lock: the server does not see that we have hung up.
    """
    with when_cancelled(connection.terminate):
        await connection.execute(
            PREPARE.format(patience=PATIENCE_SECONDS * 1000, lock=CREATE_TABLE_LOCK)
        )


async def leave_as_is(_: "Connection[Record]") -> None:
    """Reset nothing when a connection goes back into the pool: requests change nothing about it."""


@contextmanager
def when_cancelled(hang_up: Callable[[], None]) -> Iterator[None]:
    """Break the connection when time is up.

    Otherwise asyncpg asks the server to cancel the query and waits for it, without end when the
    server is paused (`docker pause`).
    """
    try:
        yield
    except CancelledError:
        hang_up()
        raise


def get_notes(request: Request) -> Notes:
    notes: Notes = request.state.notes
    return notes


NotesDependency = Annotated[Notes, Depends(get_notes)]
router = APIRouter(prefix="/notes", tags=["notes"], responses=UNAVAILABLE)


@router.post("", status_code=201)
async def create_note(new: NewNote, notes: NotesDependency) -> Note:
    return await notes.add(new.text)


@router.get("")
async def list_notes(notes: NotesDependency) -> list[Note]:
    return await notes.read_all()


@router.delete("/{note_id}", status_code=204, responses={404: {"model": Problem}})
async def delete_note(note_id: NoteId, notes: NotesDependency) -> None:
    if not await notes.delete(note_id):
        raise HTTPException(404, f"There is no note {note_id}")
