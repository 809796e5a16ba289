"""A part of what a run shows: a table under its title, and what its reader must know."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    title: str
    #: A table as text.
    table: str
    #: Sentences under the table.
    notes: tuple[str, ...] = ()
    #: The option that asks for it; None where it is always shown.
    on_request: str | None = None
