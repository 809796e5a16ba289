"""The limits of a run whose Dockerfiles nobody vouches for, and what of them an engine can be held to."""

from dataclasses import dataclass

MEBIBYTE = 1 << 20
#: On a confined container: how many bytes it may write to the engine's disk.
DISK_LABEL = "dev.layerlab.disk"


@dataclass(frozen=True)
class Limits:
    """What one build, or one container, may take at most."""

    memory_bytes: int
    #: Processes and threads.
    processes: int
    #: On the engine's disk; of one file as of all.
    disk_bytes: int


@dataclass(frozen=True)
class Profile:
    """What untrusted Dockerfiles are held to."""

    build: Limits
    container: Limits
    build_seconds: float
    #: What all steps of a build may print. BuildKit passes on 2 MiB of each step's, at 200 KiB/s
    #: (moby/buildkit, util/progress/logs/logs.go), and lets the step go on.
    output_bytes: int


#: An install of compiled packages takes half of a build's; an app of this kind a quarter of a container's.
UNTRUSTED = Profile(
    build=Limits(memory_bytes=1024 * MEBIBYTE, processes=256, disk_bytes=2048 * MEBIBYTE),
    container=Limits(memory_bytes=256 * MEBIBYTE, processes=100, disk_bytes=256 * MEBIBYTE),
    build_seconds=300,
    output_bytes=MEBIBYTE,
)


@dataclass(frozen=True)
class Confinement:
    """A profile as it is in force in one run."""

    profile: Profile
    #: The control group of all RUN steps, as the engine calls it; "" where it can't be given one.
    group: str
    #: Begins the name of each network interface from which nobody is reached; "" where there is no such.
    closed: str
    #: Of the run, which has its own cache mounts.
    name: str


def megabytes(count: int) -> str:
    """A limit of bytes, for people."""
    return f"{count // MEBIBYTE} MiB" if count >= MEBIBYTE else f"{count >> 10} KiB"
