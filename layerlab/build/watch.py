"""A build that is held to limits: its options, and a look now and then at what it has taken."""

import os
import re
import time
from dataclasses import dataclass, field

from layerlab.build.progress import Progress
from layerlab.engine.command import run
from layerlab.engine.confining import engine_of
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.groups import Group
from layerlab.engine.limits import Confinement, megabytes
from layerlab.engine.root import as_root
from layerlab.errors import LabError

#: Between two looks, in seconds.
LOOK_SECONDS = 0.2
#: After one at the engine's files, which reads all that a build wrote.
LONG_LOOK_SECONDS = 2.0
#: Bytes that are written below these folders since a moment: where the engine keeps what a step writes,
#: in the classic store and in containerd's. Arguments: the engine's data, the second of the epoch.
_WRITTEN = """
cd "$1"
find overlay2 containerd/daemon/io.containerd.snapshotter.v1.overlayfs/snapshots buildkit/content \
    -mindepth 1 -maxdepth 1 -newermt "@$2" -print0 2>/dev/null | du --files0-from=- --summarize --block-size=1 -c \
    2>/dev/null | tail -n 1 | cut -f 1
"""


def options(confinement: Confinement | None) -> list[str]:
    """The options of `docker buildx build` that limit it; none where it is trusted.

    What a cache mount holds is shared by all builds that name its folder, and would let one put files
    into another's (https://docs.docker.com/build/building/variables, BUILDKIT_CACHE_MOUNT_NS).
    """
    if confinement is None:
        return []
    limits = confinement.profile.build
    words = ["--ulimit", f"fsize={limits.disk_bytes}", "--ulimit", "core=0"]
    words += ["--build-arg", f"BUILDKIT_CACHE_MOUNT_NS={confinement.name}"]
    if confinement.group:
        words += ["--cgroup-parent", f"/{confinement.group}"]
    return words


#: What is said of a process that got no memory: with so much of files alone, the kernel has only to drop some.
_NO_MEMORY = re.compile(r"exit code: 137|Killed|MemoryError|annot allocate memory")


@dataclass
class Watch:
    """What one build takes; made as it begins."""

    endpoint: Endpoint
    confinement: Confinement
    _begun: float = field(default_factory=time.time)
    _free: int = 0
    _processes: int = 0
    _next_look: float = 0.0

    def __post_init__(self) -> None:
        self._free = self._free_bytes()

    @property
    def _group(self) -> Group:
        return Group(self.confinement.group)

    def beyond(self, progress: Progress) -> str | None:
        """What the build has taken that it may not, as a clause; None while it may go on."""
        profile = self.confinement.profile
        if progress.log_bytes > profile.output_bytes:
            return f"it printed more than {megabytes(profile.output_bytes)}"
        if not self.confinement.group:
            return None
        self._processes = max(self._processes, self._group.processes())
        limit, now = profile.build.disk_bytes, time.monotonic()
        # What others write on this disk counts in its free space, too: that is only why it is looked.
        if now > self._next_look and self._free - self._free_bytes() > limit:
            self._next_look = now + LONG_LOOK_SECONDS
            if self._written() > limit:
                return f"it wrote more than {megabytes(limit)}"
        return None

    def reached(self, progress: Progress) -> str | None:
        """The limit at which a build that failed was held, as a clause; None where there is none known."""
        limits = self.confinement.profile.build
        if not self.confinement.group:
            return None
        if max(self._processes, self._group.processes_peak()) >= limits.processes:
            return f"it may have {limits.processes} processes and threads, and had them all"
        said = [
            f"{one.error} {one.log.decode(errors='replace')}" for one in progress.vertexes.values()
        ]
        short = any(map(_NO_MEMORY.search, said))
        if short and self._group.memory_reached():
            return f"it may take {megabytes(limits.memory_bytes)} of memory, and took them all"
        return None

    def _free_bytes(self) -> int:
        if not self.confinement.group:
            return 0
        found = os.statvfs(engine_of(self.endpoint).folder)
        return found.f_bavail * found.f_frsize

    def _written(self) -> int:
        data = engine_of(self.endpoint).folder / "data"
        words = ["sh", "-c", _WRITTEN, "sh", str(data), f"{self._begun:.3f}"]
        try:
            return int(run(as_root(words), doing="looking at what a build wrote") or 0)
        except (LabError, ValueError):
            return 0
