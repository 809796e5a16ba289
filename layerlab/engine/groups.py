"""A control group of a private engine's: what all that runs in it may take together, and whether it did."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from layerlab.engine.command import run
from layerlab.engine.limits import Limits
from layerlab.engine.private import PrivateEngine
from layerlab.engine.root import as_root

ROOT = Path("/sys/fs/cgroup")
#: What begins the name of a group of ours below an engine's.
PREFIX = "untrusted-"
#: Arguments: the group's path, bytes, processes. Of version 1, each controller has a tree of its own; of
#: version 2, a group's controllers are those that its parents pass on (Linux, admin-guide/cgroup-v2.rst).
#: Half of the processors' time that others have, where they want it.
_MAKE = """
set -eu
cd /sys/fs/cgroup
if [ -f cgroup.controllers ]; then
    mkdir -p "$1"
    above=.
    for part in $(dirname "$1" | tr / ' '); do
        echo "+memory +pids +cpu" > "$above/cgroup.subtree_control"
        above="$above/$part"
    done
    echo "+memory +pids +cpu" > "$above/cgroup.subtree_control"
    echo "$2" > "$1/memory.max"
    [ ! -f "$1/memory.swap.max" ] || echo 0 > "$1/memory.swap.max"
    echo "$3" > "$1/pids.max"
    echo 50 > "$1/cpu.weight"
else
    mkdir -p "memory/$1" "pids/$1" "cpu/$1"
    echo "$2" > "memory/$1/memory.limit_in_bytes"
    [ ! -f "memory/$1/memory.memsw.limit_in_bytes" ] || echo "$2" > "memory/$1/memory.memsw.limit_in_bytes"
    echo "$3" > "pids/$1/pids.max"
    echo 512 > "cpu/$1/cpu.shares"
fi
"""
#: What runc made below it goes, too. BuildKit ends a step that was cancelled a moment later; what is still
#: there after two seconds is killed.
_REMOVE = """
for try in $(seq 50); do
    find /sys/fs/cgroup -depth -type d -path "*/$1*" -exec rmdir {} + 2>/dev/null
    left=$(find /sys/fs/cgroup -type d -path "*/$1*")
    [ -n "$left" ] || exit 0
    if [ "$try" -gt 20 ]; then
        find /sys/fs/cgroup -type f -path "*/$1*/cgroup.procs" -exec cat {} + | sort -u | xargs -r kill -9 2>/dev/null
    fi
    sleep 0.1
done
echo "something goes on in $left"
exit 1
"""


@dataclass(frozen=True)
class Group:
    """A control group."""

    #: Below the root of each tree of groups, and as the engine calls it.
    path: str

    def memory_reached(self) -> bool:
        """Whether it had all of its memory once; of version 2, whether something was killed for that.

        Of version 1 the kernel counts failures (memory.failcnt) where they begin: in groups below, which are
        gone by now.
        """
        if (killed := _number(ROOT / self.path / "memory.events", "oom_kill")) is not None:
            return killed > 0
        folder = ROOT / "memory" / self.path
        most = _number(folder / "memory.max_usage_in_bytes")
        return most is not None and most >= (_number(folder / "memory.limit_in_bytes") or 0)

    def processes(self) -> int:
        """How many processes and threads are in it now."""
        for folder in (ROOT / self.path, ROOT / "pids" / self.path):
            if (found := _number(folder / "pids.current")) is not None:
                return found
        return 0

    def processes_peak(self) -> int:
        """The most that there were (Linux 6.9 and newer; see also :meth:`processes`)."""
        for folder in (ROOT / self.path, ROOT / "pids" / self.path):
            if (found := _number(folder / "pids.peak")) is not None:
                return found
        return 0


@contextmanager
def limited(
    engine: PrivateEngine, name: str, limits: Limits, alive: Callable[[], set[str]]
) -> Iterator[Group]:
    """A group below an engine's, gone at the end; those of runs that are not ``alive`` go first.

    So does one of this ``name``: its process died, and it may have had all of its memory once.

    Raises:
        LabError: this machine's control groups can't be had.
    """
    others = alive() - {name}
    for folder in (ROOT, ROOT / "memory"):
        for left in (folder / engine.cgroup).glob(f"{PREFIX}*"):
            if left.name.removeprefix(PREFIX) not in others:
                _remove(f"{engine.cgroup}/{left.name}")
    group = Group(f"{engine.cgroup}/{PREFIX}{name}")
    words = [group.path, str(limits.memory_bytes), str(limits.processes)]
    run(as_root(["sh", "-c", _MAKE, "sh", *words]), doing="limiting what builds may take")
    try:
        yield group
    finally:
        _remove(group.path)


def _remove(path: str) -> None:
    run(as_root(["sh", "-c", _REMOVE, "sh", path]), doing="removing a control group")


def _number(file: Path, key: str | None = None) -> int | None:
    """The number in a group's file, or that of a key; None where there is no such."""
    try:
        lines = file.read_text().splitlines()
        if key is None:
            return int(lines[0])
        return next(int(line.split()[1]) for line in lines if line.split()[0] == key)
    except (OSError, ValueError, IndexError, StopIteration):
        return None
