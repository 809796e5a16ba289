"""Secrets: who can read one?

The chapter ranks four ways to hand a secret over: ENV low, compose's `environment` middle, a .env file
middle, Docker secrets high. Here ten ways are tried with a secret of their own each, new for every run,
which is then looked for as four people:

    pulls       has the image: configuration, history, all layers, also files removed later, attestations
    inspects    asks the engine: inspect of images, containers and services, logs, compose config
    inside      a process in the container, as the app's user: environment, /proc/*/environ, files
    child       a process that the app starts

The level follows from who read it: low if who pulls can, else middle if who can inspect can, else high.
No secret is in what is shown, stored or said; docs/secrets.md has more.
"""

import pytest

from layerlab.build.variant import Variant
from layerlab.errors import Unmet
from layerlab.lab import Lab
from layerlab.labs import secrets
from layerlab.labs.secrets import Readers
from layerlab.run import readers
from layerlab.run.readers import CHILD, INSIDE, INSPECTS, PULLS, Way

#: One variant is enough: Docker hands secrets to every image alike.
PRODUCTION = "production"
pytestmark = [pytest.mark.engine, pytest.mark.experiment(secrets.EXPERIMENT, packaged=PRODUCTION)]

#: Who must and who must not read it; anything else is a surprise.
MUST = {
    readers.IMAGE_ENV: {PULLS, INSPECTS, INSIDE, CHILD},
    readers.BUILD_ARG: {PULLS, INSPECTS},
    readers.COPIED: {PULLS, INSIDE, CHILD},
    readers.REMOVED: {PULLS},
    readers.BUILD_SECRET: set(),
    readers.RUN_ENV: {INSPECTS, INSIDE, CHILD},
    readers.COMPOSE_ENV: {INSPECTS, INSIDE, CHILD},
    readers.ENV_FILE: {INSPECTS, INSIDE, CHILD},
    readers.COMPOSE_SECRET: {INSIDE, CHILD},
    readers.SWARM_SECRET: {INSIDE, CHILD},
}


@pytest.fixture(scope="module")
def seen(lab: Lab, packaged: Variant) -> Readers:
    """Where each of the people read the secret of each way."""
    return secrets.measure(lab, packaged)


@pytest.mark.parametrize("way", readers.WAYS, ids=lambda way: way.name)
def test_who_reads_it(seen: Readers, way: Way) -> None:
    """Those who must be able to read it are, and nobody else is."""
    _require(seen, way)
    people = {one.person for one in seen.of(way)}
    if people != MUST[way]:
        surprise = ", ".join(sorted(people ^ MUST[way]))
        raise Unmet(f"{way.name}: who reads it is otherwise than expected: {surprise}")


@pytest.mark.parametrize("way", [w for w in readers.WAYS if w.chapter], ids=lambda way: way.name)
def test_the_chapters_ranking(seen: Readers, way: Way) -> None:
    """The chapter's level is the one that was measured."""
    _require(seen, way)
    if (measured := seen.level(way)) != way.chapter:
        raise Unmet(f"{way.name}: the chapter says {way.chapter}, and it is {measured}")


def test_what_images_keep(seen: Readers) -> None:
    """ENV and ARG are in the history, and a removed file is in its layer; a build secret is nowhere."""
    kinds = {way: {one.kind for one in seen.of(way, PULLS)} for way in readers.OF_IMAGE}
    assert {"configuration", "history"} <= kinds[readers.IMAGE_ENV]
    assert "history" in kinds[readers.BUILD_ARG]
    assert "layer" in kinds[readers.COPIED]
    assert any(one.hidden for one in seen.of(readers.REMOVED, PULLS) if one.kind == "layer")
    assert seen.of(readers.BUILD_SECRET) == []


def test_no_secret_is_told(lab: Lab, seen: Readers) -> None:
    """Neither our tables nor our store hold one, in whatever form."""
    for style in ("simple", "github"):
        for section in seen.sections(style, 80):
            text = "\n".join((section.title, section.table, *section.notes))
            assert not list(seen.needles.find(text.encode()))
    for file in lab.store.path.parent.glob("*"):
        if file.is_file():
            assert not list(seen.needles.find(file.read_bytes())), file.name


def _require(seen: Readers, way: Way) -> None:
    if why := seen.lacking.get(way):
        pytest.skip(f"{way.name} is not available: {why}")
