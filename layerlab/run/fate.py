"""What becomes of a note when containers and volumes go."""

import secrets
from dataclasses import dataclass

from layerlab.errors import LabError
from layerlab.run.absence import DATABASE
from layerlab.run.stack import Stack


@dataclass(frozen=True)
class Fate:
    """A note, and whether it was there after something was done to the stack."""

    what: str
    kept: bool
    expected: bool
    #: Whether the database's container is another one than before.
    new_container: bool


class Written:
    """A note in a stack, which is looked for again and again."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._text = f"a note of {secrets.token_hex(4)}"
        stack.write(self._text)
        self._container = stack.containers()[DATABASE]

    def after(self, what: str, *, expected: bool) -> Fate:
        """Whether the note is there now that something was done; the stack has to be ready.

        Raises:
            LabError: the stack does not answer.
        """
        self._stack.await_ready()
        container = self._stack.containers().get(DATABASE)
        if container is None:
            raise LabError(f"after {what} the database has no container")
        fate = Fate(what, self._text in self._stack.notes(), expected, container != self._container)
        self._container = container
        return fate


RECREATED = "a new database container"
DOWN = "down, then up"
REMOVED = "down -v, then up"


def recreate_database(stack: Stack) -> None:
    stack.up_again("--no-build", "--no-deps", "--force-recreate", DATABASE)
