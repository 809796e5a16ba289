"""What prunes take, predicted and then done, on every release of the engine, with both image stores."""

from collections.abc import Iterator

import pytest

from layerlab.engine import fresh, leftovers, matrix
from layerlab.engine.endpoint import Endpoint, probe
from layerlab.engine.leftovers import Run
from layerlab.engine.matrix import Release
from layerlab.engine.transfer import bring
from layerlab.labs import cleanup
from layerlab.run import inventory, litter, prune
from layerlab.run.container import MEMORY

pytestmark = [pytest.mark.engine, pytest.mark.matrix]
#: Each alone, so that what one takes is not taken by the one before.
ALONE = (
    "network prune",
    "image prune",
    "builder prune",
    "volume prune",
    "container prune",
    "image prune -a",
    "builder prune -a",
    "volume prune -a",
)


@pytest.fixture(scope="module")
def own(release: Release) -> Iterator[Endpoint]:
    """An engine of the release for these tests alone."""
    if lack := matrix.lacking():
        pytest.skip(f"no engines of other releases here: {lack}")
    with fresh.engine(
        "test-prune", release.image_store, lambda _: None, suite=release.suite
    ) as one:
        yield probe(one.endpoint())


@pytest.fixture
def littered(own: Endpoint, endpoint: Endpoint, slim: str, run: Run) -> Iterator[Endpoint]:
    """The engine with a little of everything."""
    bring(slim, endpoint, own)
    litter.make(own, run, slim)
    yield own
    leftovers.remove_run(own, run)


def test_system_prunes_take_what_is_predicted(littered: Endpoint) -> None:
    known = [c for c in cleanup.DONE if prune.exists(c, inventory.take(littered))]
    steps = [cleanup.step(littered, command) for command in known]
    assert [cleanup.told(step) for step in steps if step.differences] == []
    assert all(step.real != prune.Taken() for step in steps)


def test_each_prune_takes_what_is_predicted(littered: Endpoint, run: Run) -> None:
    busy, unused = f"{litter.REPOSITORY}:busy", f"{litter.REPOSITORY}:unused"
    for tag in ("alias", "zzz"):
        littered.run("tag", busy, f"{litter.REPOSITORY}:{tag}", doing="naming an image")
    image = littered.run("images", "--quiet", "--no-trunc", unused, doing="asking").split()[0]
    # Created by an id, which the two stores treat differently.
    words = ["run", "--detach", "--init", "--memory", MEMORY]
    words += [word for pair in run.labels.items() for word in ("--label", "=".join(pair))]
    littered.run(*words, image, "sleep", "3600", doing="starting a container")
    by_words = {command.words: command for command in prune.COMMANDS}
    known = [by_words[w] for w in ALONE if prune.exists(by_words[w], inventory.take(littered))]
    steps = [cleanup.step(littered, command) for command in known]
    assert [cleanup.told(step) for step in steps if step.differences] == []
    taken = {step.command.words: step.real for step in steps}
    assert taken["container prune"].containers
    assert taken["network prune"].networks
    assert taken["image prune"].images
    assert taken["image prune -a"].tags > taken["image prune"].tags
    left = {tag for image in inventory.take(littered).images for tag in image.tags}
    assert left, "what a running container was made of stays"
