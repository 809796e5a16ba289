"""Progress on a terminal: what is being done, for how long, and what is left."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from layerlab.text import plain, shorten

#: Columns from which there is room for a bar, too.
WIDE = 110


class Screen:
    """A terminal's progress line; says nothing where the output is no terminal."""

    def __init__(self, file: TextIO) -> None:
        # rich would ask the standard streams, which pytest captures while a test runs.
        width = os.get_terminal_size(file.fileno()).columns if file.isatty() else None
        self.console = Console(file=file, highlight=False, width=width)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._begun = 0.0

    @property
    def shown(self) -> bool:
        return self.console.is_terminal

    @contextmanager
    def work(self, title: str, total: int) -> Iterator[None]:
        """Show a bar of ``total`` pieces of work while the body runs."""
        if not self.shown:
            yield
            return
        # A narrow terminal has room for the step or for the bar.
        bar = [BarColumn(bar_width=12)] if self.console.width >= WIDE else []
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *bar,
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            transient=True,
        )
        with self._bar:
            self._task = self._bar.add_task(escape(title), total=total, left="")
            self._begun = time.monotonic()
            try:
                yield
            finally:
                self._bar = None

    def doing(self, what: str, detail: str = "") -> None:
        """What is being done now, such as a variant and the step that it is at."""
        if self._bar is None:
            return
        room = max(20, self.console.width - (44 if self.console.width >= WIDE else 31))
        text = shorten(plain(f"{what}  {detail}" if detail else what), room)
        self._bar.update(self._task, description=escape(text))

    def more(self, pieces: int) -> None:
        """There is more work than was known."""
        if self._bar is not None:
            total = self._bar.tasks[self._task].total or 0
            self._bar.update(self._task, total=total + pieces)

    def done(self) -> None:
        """One piece of work has ended, or will not be done."""
        if self._bar is None:
            return
        self._bar.advance(self._task)
        task = self._bar.tasks[self._task]
        elapsed = time.monotonic() - self._begun
        seconds = elapsed / max(1.0, task.completed) * ((task.total or 0) - task.completed)
        self._bar.update(self._task, left=f"~{_duration(seconds)} left")

    def say(self, message: str) -> None:
        """A line that stays, on a terminal; nothing elsewhere."""
        if self.shown:
            self.console.print(escape(plain(message)))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
