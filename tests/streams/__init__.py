"""Recorded streams of real builds.

``NAME.28.raw`` is what buildx 0.29.1 on Engine 28.5.2 wrote, ``NAME.013.raw`` what buildx 0.13.1 wrote,
``NAME.2010.raw`` what buildx 0.29.1 on Engine 20.10.24 wrote, all for ``NAME.Dockerfile``; ``single-source`` is a rebuild of ``single.Dockerfile``. ``lost`` was recorded through
a proxy that was killed in mid-build. To record one more:
``docker buildx build --no-cache --progress=rawjson --output type=cacheonly -f NAME.Dockerfile . 2> NAME.28.raw``
"""

from pathlib import Path

from layerlab.build.buildx import Build
from layerlab.build.dockerfile import Dockerfile, parse
from layerlab.build.failure import Failure, explain
from layerlab.build.progress import Progress, Step
from layerlab.build.variant import Variant

FOLDER = Path(__file__).parent
BUILDX = ("28", "013")


def path_of(name: str) -> Path:
    """The Dockerfile of a recording."""
    exact = FOLDER / f"{'cancelled' if name == 'lost' else name}.Dockerfile"
    return exact if exact.exists() else FOLDER / f"{name.rpartition('-')[0]}.Dockerfile"


def dockerfile(name: str) -> Dockerfile:
    return parse(path_of(name).read_text())


def recorded(name: str, buildx: str = "28") -> bytes:
    return (FOLDER / f"{name}.{buildx}.raw").read_bytes()


def progress(data: bytes) -> Progress:
    """The stream's bytes, read to the end."""
    read = Progress()
    read.feed(data)
    read.close()
    return read


def steps(name: str, buildx: str = "28") -> tuple[Step, ...]:
    return progress(recorded(name, buildx)).steps(dockerfile(name))


def failure(data: bytes, name: str, limit: float | None = None) -> Failure:
    read = progress(data)
    parsed = dockerfile(name)
    return explain(read, read.steps(parsed), path_of(name).name, parsed, limit)


def build(name: str) -> Build:
    """A recorded build that succeeded."""
    read = progress(recorded(name))
    parsed = dockerfile(name)
    return Build(0, 1.0, read.engine_seconds(), read.context_bytes, read.steps(parsed), None)


def variant(name: str) -> Variant:
    return Variant(name, path_of(name), "", dockerfile(name))
