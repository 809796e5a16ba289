"""One measured build: ``docker buildx build`` with its raw progress."""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from layerlab.build.dockerfile import Dockerfile
from layerlab.build.failure import Failure, explain
from layerlab.build.progress import Progress, Step
from layerlab.build.watch import LOOK_SECONDS, Watch, options
from layerlab.engine.command import leash
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.limits import Confinement
from layerlab.errors import LabError

#: How long a client that was told to stop may take to make the engine stop too.
STOP_SECONDS = 15


@dataclass(frozen=True)
class Request:
    """What to build."""

    dockerfile: Path
    context: Path
    parsed: Dockerfile
    #: The image's name; "" keeps no image.
    tag: str
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Ignore the layer cache; BuildKit empties cache mounts too.
    no_cache: bool = False
    #: Names that stand for other images, as ``--build-context`` takes them.
    build_contexts: Sequence[tuple[str, str]] = ()
    time_limit_seconds: float = 900
    #: More words of the command.
    options: Sequence[str] = ()
    #: What hides values in what BuildKit says: it expands build arguments in the names of steps.
    masked: Callable[[str], str] = str
    #: What it is held to, where nobody vouches for it.
    confinement: Confinement | None = None


@dataclass(frozen=True)
class Build:
    """What one build did."""

    exit_code: int
    #: From starting the command to its end.
    wall_seconds: float
    #: From the first thing that the engine did to the last.
    engine_seconds: float
    #: Bytes of the build context that were sent this time; BuildKit sends only what changed.
    context_bytes: int
    steps: tuple[Step, ...]
    failure: Failure | None

    @property
    def counted(self) -> tuple[Step, ...]:
        """The steps whose work a cache saves: RUN, COPY and ADD."""
        return tuple(step for step in self.steps if step.is_counted)

    @property
    def reused(self) -> int:
        """How many of the counted steps came from the cache."""
        return sum(step.cached for step in self.counted)

    @property
    def ran(self) -> tuple[Step, ...]:
        """The counted steps that were run."""
        return tuple(step for step in self.counted if not step.cached)


def command(endpoint: Endpoint, request: Request) -> list[str]:
    """The command of a build, as words."""
    words: list[str | Path] = ["buildx", "build", "--progress=rawjson"]
    words += ["--load", "--tag", request.tag] if request.tag else ["--output", "type=cacheonly"]
    words += ["--file", request.dockerfile]
    for key, value in request.labels.items():
        words += ["--label", f"{key}={value}"]
    if request.no_cache:
        words.append("--no-cache")
    words += options(request.confinement)
    for name, target in request.build_contexts:
        words += ["--build-context", f"{name}={target}"]
    words += request.options
    # Should this process be killed, the kernel tells the client to stop, and so the engine.
    return [*leash(), *endpoint.command(*words, request.context)]


def build(
    endpoint: Endpoint, request: Request, on_step: Callable[[str], None] = lambda _: None
) -> Build:
    """Build an image and measure it; ``on_step`` hears the name of each step as it begins or ends.

    A build that fails is a result too: its ``failure`` says why. On Ctrl-C, or when the time limit
    is over, or another one, the client is told to stop, which makes BuildKit cancel the build on the
    engine.
    """
    progress = Progress()
    watch = Watch(endpoint, request.confinement) if request.confinement else None
    begun = time.monotonic()
    process = subprocess.Popen(
        command(endpoint, request),
        env={**endpoint.environ(), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        deadline = begun + request.time_limit_seconds
        timed_out, beyond = _read(process, progress, on_step, deadline, watch)
    except BaseException:
        _stop(process)
        raise
    if timed_out or beyond:
        _stop(process)
    exit_code = process.wait()
    wall_seconds = time.monotonic() - begun
    progress.close()
    progress.hide(request.masked)
    steps = progress.steps(request.parsed)
    failure = None
    if timed_out or beyond or exit_code != 0:
        limit = request.time_limit_seconds if timed_out else None
        reached = watch.reached(progress) if watch else None
        failure = explain(
            progress, steps, request.dockerfile.name, request.parsed, limit, beyond, reached
        )
    return Build(
        exit_code=exit_code,
        wall_seconds=wall_seconds,
        engine_seconds=progress.engine_seconds(),
        context_bytes=progress.context_bytes,
        steps=steps,
        failure=failure,
    )


def going_on(endpoint: Endpoint) -> int:
    """How many builds an engine is at work on, whoever's; 0 where its BuildKit keeps no record of them."""
    words = ("buildx", "history", "ls", "--format={{json .}}")
    try:
        listed = endpoint.run(*words, doing="listing the engine's builds", timeout=10)
        return sum(json.loads(line)["status"] == "Running" for line in listed.splitlines())
    except (LabError, ValueError, KeyError):
        return 0


def _read(
    process: subprocess.Popen[bytes],
    progress: Progress,
    on_step: Callable[[str], None],
    deadline: float,
    watch: Watch | None,
) -> tuple[bool, str | None]:
    """Read the stream to its end; returns whether the deadline came first, or what else did."""
    assert process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return True, None
            if watch and (beyond := watch.beyond(progress)):
                return False, beyond
            if not selector.select(timeout=min(left, LOOK_SECONDS) if watch else left):
                continue
            data = os.read(process.stderr.fileno(), 65_536)
            if not data:
                return False, None
            for name in progress.feed(data):
                on_step(name)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Tell the client to cancel the build; kill it when it does not."""
    assert process.stderr is not None
    for order in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        process.send_signal(order)
        process.stderr.close()
        try:
            process.wait(STOP_SECONDS)
            return
        except subprocess.TimeoutExpired:
            continue
