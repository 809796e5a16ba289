"""What this machine's processors did: worked, waited, or were taken by a hypervisor."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
#: Linux counts in hundredths of a second there, whatever its own clock (proc_stat(5), USER_HZ).
_TICKS = 100


@dataclass(frozen=True)
class Times:
    """Seconds since the machine's start, of all processors together."""

    busy: float
    idle: float
    #: Taken by other machines on the same hardware.
    steal: float

    def __sub__(self, before: "Times") -> "Times":
        return Times(self.busy - before.busy, self.idle - before.idle, self.steal - before.steal)

    @property
    def total(self) -> float:
        return self.busy + self.idle + self.steal


@dataclass
class Spent:
    """What a part of a run took, in seconds."""

    wall: float = 0.0
    #: Of it, the share in which the processors had nothing to do; None where nobody can say.
    waiting: float | None = None

    def __add__(self, more: "Spent") -> "Spent":
        known = [one.waiting for one in (self, more) if one.waiting is not None]
        return Spent(self.wall + more.wall, sum(known) if known else None)


def read(text: str | None = None) -> Times | None:
    """The processors' times now, or by the text of /proc/stat; None where the system has none."""
    if text is None:
        if not _STAT.is_file():
            return None
        text = _STAT.read_text(encoding="ascii")
    user, nice, system, idle, iowait, irq, softirq, steal = (
        int(word) / _TICKS for word in text.split("\n", 1)[0].split()[1:9]
    )
    return Times(user + nice + system + irq + softirq, idle + iowait, steal)


@contextmanager
def spending() -> Iterator[Spent]:
    """What the body takes, known when it has ended."""
    spent, begun, before = Spent(), time.monotonic(), read()
    try:
        yield spent
    finally:
        spent.wall = time.monotonic() - begun
        after = read()
        if before and after:
            did = after - before
            spent.waiting = spent.wall * did.idle / (did.total or 1)
