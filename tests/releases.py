"""Engines of the matrix, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager

from layerlab.engine import matrix
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.matrix import Release

#: The engines of the matrix that this session has, by their releases' names.
held: dict[str, Endpoint] = {}


@contextmanager
def release_running(release: Release) -> Iterator[Endpoint]:
    """The engine of a release, once for the whole session: a second time its lock would be waited for."""
    if release.name in held:
        yield held[release.name]
        return
    with matrix.running(release, lambda _: None) as there:
        held[release.name] = there
        try:
            yield there
        finally:
            del held[release.name]
