"""Notes: kept in PostgreSQL, or in memory where there is none."""

import itertools
import os
import socket
from asyncio import get_running_loop
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Annotated, LiteralString, Protocol

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, StringConstraints

from storage import PATIENCE_SECONDS, UnavailableError

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS notes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
)
"""
CREATE_TABLE_LOCK = 0x6E6F746573  # any number that all instances of the app agree on: "notes"

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

    def __init__(self, conninfo: str) -> None:
        self._pool = AsyncConnectionPool(
            conninfo,
            # libpq allows no shorter limit than 2 s; a request stops waiting before, with `timeout`.
            kwargs={"autocommit": True, "connect_timeout": 2},
            # Connect when a request needs it, and give a failed attempt up soon: the next request
            # then tries again at once, instead of waiting for the pool's growing delays.
            min_size=0,
            max_size=4,
            timeout=PATIENCE_SECONDS,
            reconnect_timeout=PATIENCE_SECONDS,
            configure=prepare,
            check=self._check_idle,
            open=False,
        )

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close(timeout=PATIENCE_SECONDS)

    async def check(self) -> None:
        async with self._connection() as connection:
            await connection.execute("SELECT 1")

    async def add(self, text: str) -> Note:
        [note] = await self._fetch(
            "INSERT INTO notes (text) VALUES (%s) RETURNING id, text, created_at", text
        )
        return note

    async def read_all(self) -> list[Note]:
        return await self._fetch("SELECT id, text, created_at FROM notes ORDER BY id")

    async def delete(self, note_id: int) -> bool:
        async with self._connection() as connection:
            cursor = await connection.execute("DELETE FROM notes WHERE id = %s", [note_id])
            return cursor.rowcount == 1

    async def _fetch(self, query: LiteralString, *parameters: str) -> list[Note]:
        async with self._connection() as connection:
            cursor = connection.cursor(row_factory=class_row(Note))
            await cursor.execute(query, parameters)
            return await cursor.fetchall()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._pool.connection() as connection:
                with hang_up_when_silent(connection):
                    yield connection
        except (OperationalError, InterfaceError) as error:
            raise UnavailableError("PostgreSQL") from error

    async def _check_idle(self, connection: AsyncConnection) -> None:
        """Check a connection that was idle in the pool; if it is dead, so are the other idle ones."""
        try:
            with hang_up_when_silent(connection):
                await self._pool.check_connection(connection)
        except OperationalError:
            await self._pool.drain()
            raise


@asynccontextmanager
async def open_notes(conninfo: str | None) -> AsyncIterator[Notes]:
    """Open the notes for the life of the app; the database need not be there yet, nor all the time."""
    if conninfo is None:
        yield MemoryNotes()
        return
    notes = PostgresNotes(conninfo)
    await notes.open()
    try:
        yield notes
    finally:
        await notes.close()


async def prepare(connection: AsyncConnection) -> None:
    """Make a new connection ready for use, and the table too.

    For every new connection, so that a database that came back empty works again. Two instances
    that start at once would both create the table, which can fail in spite of IF NOT EXISTS: hence
    the lock.
    """
    with hang_up_when_silent(connection):
        await connection.execute("SET TIME ZONE 'UTC'")
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [CREATE_TABLE_LOCK])
            await connection.execute(CREATE_TABLE)


@contextmanager
def hang_up_when_silent(connection: AsyncConnection) -> Iterator[None]:
    """Break the connection when what is done with it takes too long.

    A timeout by cancellation would not do: psycopg then asks the server to cancel the query and
    waits for it, for seconds when the server is paused (`docker pause`).
    """
    timer = get_running_loop().call_later(PATIENCE_SECONDS, hang_up, connection)
    try:
        yield
    finally:
        timer.cancel()


def hang_up(connection: AsyncConnection) -> None:
    # Shut down, not closed: psycopg still waits on this descriptor, and now sees the end of it.
    with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)


def get_notes(request: Request) -> Notes:
    notes: Notes = request.state.notes
    return notes


NotesDependency = Annotated[Notes, Depends(get_notes)]
router = APIRouter(prefix="/notes", tags=["notes"])


@router.post("", status_code=201)
async def create_note(new: NewNote, notes: NotesDependency) -> Note:
    return await notes.add(new.text)


@router.get("")
async def list_notes(notes: NotesDependency) -> list[Note]:
    return await notes.read_all()


@router.delete("/{note_id}", status_code=204)
async def delete_note(note_id: NoteId, notes: NotesDependency) -> None:
    if not await notes.delete(note_id):
        raise HTTPException(404, f"There is no note {note_id}")
