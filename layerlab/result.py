"""What a lab measured, ready to be shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from layerlab.show.section import Section


class Result(Protocol):
    """What every lab gives back."""

    @property
    def question(self) -> str:
        """What the experiment asks, in one line."""
        ...

    def answer(self) -> str:
        """The answer in one sentence, of what was measured; also where that is little or nothing.

        It may quote names from outside, which have no control character and no line break.
        """
        ...

    def sections(self, style: str, width: int) -> Iterator[Section]:
        """Tables in a tabulate format, for ``width`` columns of a terminal."""
        ...

    def figures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Pictures, written into a folder as they are asked for: title and file."""
        ...
