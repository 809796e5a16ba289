"""A service: a container from `docker run` to its first good answer, idle, and stopped."""

from dataclasses import dataclass

from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import container, diagnosis, shutdown, usage

#: What an image's own app needs is not ours to limit. Docker takes the last of each option.
_WITHOUT_LIMITS = ("--memory", "0", "--memory-swap", "0", "--pids-limit", "-1")
#: Its probes would take processor and memory.
_OPTIONS = ("--no-healthcheck", *_WITHOUT_LIMITS)


@dataclass(frozen=True)
class Service:
    """Where an image's app answers."""

    #: The port at which it listens in its container.
    port: int
    #: Where a good answer says that it is ready; None: any answer at `/` does.
    path: str | None


@dataclass(frozen=True)
class Served:
    """What one container did."""

    #: From the beginning of `docker run` to the first answer.
    start_seconds: float
    #: As `docker stats` shows it, after the first answer.
    memory_bytes: int
    #: Of `docker stop`.
    stop_seconds: float


def serve(
    endpoint: Endpoint, run: Run, image: str, service: Service, *, called: str, limit_seconds: float
) -> Served:
    """Start a container of an image, wait until it answers, and stop it; errors begin with ``called``.

    Raises:
        LabError: it does not start, does not answer in time, or ends by itself.
    """
    with (
        container.timed(
            endpoint,
            run,
            [*_OPTIONS, image],
            purpose="bench",
            called=called,
            inside=service.port,
        ) as (name, begun),
        container.answering(
            endpoint,
            name,
            called=called,
            limit_seconds=limit_seconds,
            inside=service.port,
            path=service.path,
        ) as app,
    ):
        used = usage.of(endpoint, name)
        told = diagnosis.ended(endpoint, name, answered=True)
        if used is None or told:
            lack = told or "the engine does not say how much memory it uses"
            raise LabError(f"{called}: {lack}")
        return Served(app.answered - begun, used.memory_bytes, shutdown.docker_stop(endpoint, name))
