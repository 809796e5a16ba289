"""The same image has the same numbers on every release of the engine and on both image stores."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from layerlab.build.buildx import Build, Request, build
from layerlab.build.dockerfile import parse
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.matrix import Release
from layerlab.engine.transfer import bring
from layerlab.image import waste
from layerlab.image.anatomy import Anatomy, dissect
from layerlab.image.base import candidates, on_likely_base
from layerlab.image.export import from_engine
from layerlab.image.memory import Memory

pytestmark = [pytest.mark.engine, pytest.mark.matrix]
LAYERED = """\
FROM SLIM
RUN head -c 5000000 /dev/urandom > /big && mkdir /data && head -c 100000 /dev/zero > /data/x
RUN rm /big && rm -r /data && mkdir /data && ln /etc/passwd /data/link
COPY a.txt /data/
CMD ["true"]
"""


@pytest.fixture
def own_run(matrix_endpoint: Endpoint, endpoint: Endpoint) -> Iterator[Run]:
    """A run that leaves nothing on either engine."""
    with leftovers.running() as this:
        yield this
        for one in (matrix_endpoint, endpoint):
            leftovers.remove_run(one, this)


@pytest.fixture
def built_on(slim: str, own_run: Run, tmp_path: Path) -> Callable[[Endpoint], str]:
    """Builds the layered image on an engine; returns its name."""
    (tmp_path / "a.txt").write_text("a")
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(LAYERED.replace("SLIM", slim))
    tag = f"layerlab/same:{own_run.id}"

    def build_it(endpoint: Endpoint) -> str:
        parsed = parse(dockerfile.read_text())
        request = Request(dockerfile, tmp_path, parsed, tag, own_run.labels)
        built: Build = build(endpoint, request)
        assert built.failure is None, built.failure
        return tag

    return build_it


def anatomy(endpoint: Endpoint, reference: str, *, compress: bool = False) -> Anatomy:
    found = from_engine(endpoint, reference, Memory(), compress=compress)
    return dissect(on_likely_base(found, candidates(endpoint)))


def facts(found: Anatomy) -> tuple[object, ...]:
    """What must not differ."""
    layers = [
        (one.changeset.digest, one.changeset.tar_bytes, one.changeset.file_bytes, one.instruction)
        for one in found.image.layers
    ]
    totals, own = found.image.totals, found.image.own
    numbers = [(t.unpacked_bytes, t.file_bytes, t.files) for t in (totals, own)]
    return layers, numbers, waste.grouped(found.waste), found.places, found.parts


def test_an_image_has_the_same_numbers_there_and_here(
    matrix_endpoint: Endpoint,
    endpoint: Endpoint,
    slim: str,
    built_on: Callable[[Endpoint], str],
) -> None:
    bring(slim, endpoint, matrix_endpoint)
    name = built_on(endpoint)
    bring(name, endpoint, matrix_endpoint)
    here, there = anatomy(endpoint, name), anatomy(matrix_endpoint, name)
    assert facts(there) == facts(here)
    assert there.image.digest == here.image.digest
    assert there.image.base == slim
    assert there.waste_bytes >= 5_100_000


def test_an_image_built_there_has_the_same_numbers_here(
    matrix_endpoint: Endpoint,
    endpoint: Endpoint,
    slim: str,
    release: Release,
    built_on: Callable[[Endpoint], str],
) -> None:
    bring(slim, endpoint, matrix_endpoint)
    name = built_on(matrix_endpoint)
    bring(name, matrix_endpoint, endpoint)
    there, here = anatomy(matrix_endpoint, name, compress=True), anatomy(endpoint, name)
    assert facts(there) == facts(here)
    own = [layer for layer in there.image.layers if not layer.base]
    # The containerd store keeps what a push would send; the classic one does not have it.
    stored = {layer.stored[1] if layer.stored else None for layer in own}
    assert stored == ({"gzip"} if release.image_store == "containerd" else {None})
    random_bytes = 5_000_000
    compressed = there.image.own.compressed_bytes
    assert compressed is not None
    assert random_bytes < compressed < random_bytes * 1.02


def test_what_is_known_of_an_image_is_not_exported_again(
    matrix_endpoint: Endpoint, endpoint: Endpoint, slim: str
) -> None:
    bring(slim, endpoint, matrix_endpoint)
    memory, told = Memory(), list[str]()
    first = from_engine(matrix_endpoint, slim, memory, compress=False, progress=told.append)
    again = from_engine(matrix_endpoint, slim, memory, compress=False, progress=told.append)
    assert again == first
    assert len(told) == 1
