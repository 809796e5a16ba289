"""Live reload: how long after a save does the app show it?

The chapter mounts the source into the container and lets uvicorn restart the app. Here a file is saved in
five ways of working, while the app is asked every 5 ms what it was read from:

    1  a bind mount and `uvicorn --reload`
    2  the same, as what compose.override.yaml changes for development
    3  `docker compose watch`, which copies what is saved into the container
    4  a new image of cache-ordered, and a new container in place of the old one
    5  the same with single-stage, which installs all dependencies again

Expected is that every save ends in the right answer: one file, a syntax error that is mended, several
files, a new file, a deleted one, each in the ways in which it could make a difference. Ways 1 to 3 need
no build and no new container, and requests wait while uvicorn restarts the app; 4 builds without an install and 5 with one, and both fail requests meanwhile.

uvicorn notices new and deleted files only with watchfiles installed (6); and on a mount on which
file events do not arrive (7) watchfiles has to be told to look by itself.
"""

import pytest

from layerlab.build import cachemiss
from layerlab.build.variant import Variant
from layerlab.errors import Unmet
from layerlab.lab import Lab
from layerlab.labs import live_reload
from layerlab.labs.reloads import Packaged, Reloads
from layerlab.run.marks import Save
from layerlab.run.reload import EVENTLESS, ORDERED, SINGLE, WAYS, Way
from layerlab.run.saving import Outcome
from layerlab.session import Session

VARIANTS = ("development", "cache-ordered", "single-stage")
pytestmark = [pytest.mark.engine, pytest.mark.experiment(live_reload.EXPERIMENT)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The ways are made for these variants; as parameters they are prepared with those of the run."""
    session = metafunc.config.pluginmanager.get_plugin("layerlab-session")
    assert isinstance(session, Session)
    selected = {variant.name: variant for variant in session.asked.variants()}
    found = [selected.get(name) for name in VARIANTS]
    why = f"it is measured with the variants {', '.join(VARIANTS)}, of which none was asked for"
    marks = [] if any(found) else [pytest.mark.skip(why)]
    names = "-".join(one.name for one in found if one) or "none"
    packaged = pytest.param(*found, id=names, marks=marks)
    metafunc.parametrize(("development", "ordered", "single"), [packaged], scope="module")


@pytest.fixture(scope="module")
def reloads(
    lab: Lab, development: Variant | None, ordered: Variant | None, single: Variant | None
) -> Reloads:
    """Every save in every way, one after another."""
    return live_reload.measure(lab, Packaged(development, ordered, single))


def _of(reloads: Reloads, way: Way) -> dict[Save, Outcome]:
    if why := reloads.lacking.get(way):
        pytest.skip(f"{way.name} is not available: {why}")
    return reloads.of(way)


EACH = [(way, save) for way in WAYS for save in way.saves]


@pytest.mark.parametrize(("way", "save"), EACH, ids=[f"{w.name}: {s.name}" for w, s in EACH])
def test_it_shows(reloads: Reloads, way: Way, save: Save) -> None:
    """The app answers what was saved, and goes on to; noticed by itself, where that can be."""
    outcome = _of(reloads, way)[save]
    assert outcome.answer == outcome.expected
    if outcome.noticed == (save in way.blind):
        seen = "was" if outcome.noticed else "was not"
        raise Unmet(f"{way.name}: `{save.name}` {seen} noticed by itself, otherwise than expected")


@pytest.mark.parametrize("way", [w for w in WAYS if not w.builds], ids=lambda way: way.name)
def test_it_needs_no_build_and_no_new_container(reloads: Reloads, way: Way) -> None:
    """Only the app inside was started again."""
    assert not any(one.build for one in _of(reloads, way).values())
    assert way in reloads.kept


@pytest.mark.parametrize("way", [ORDERED, SINGLE], ids=lambda way: way.name)
def test_what_the_build_costs(
    reloads: Reloads, way: Way, ordered: Variant | None, single: Variant | None
) -> None:
    """An edit of the source installs dependencies again only where the source is copied first."""
    outcomes = _of(reloads, way)
    variant = ordered if way == ORDERED else single
    assert variant is not None
    expected = variant.expects("layer-cache", "source-edit")
    for save, outcome in outcomes.items():
        assert outcome.build is not None
        if (got := cachemiss.cost(variant, outcome.build)) != expected:
            raise Unmet(
                f"{way.name}: `{save.name}`: expected to cost {expected}, and it cost {got}"
            )


def test_events_are_missed_where_they_are_missing(reloads: Reloads) -> None:
    """What is saved is in the container, and the app is told only if watchfiles looks by itself."""
    _of(reloads, EVENTLESS)
    if reloads.polled != {EVENTLESS}:
        told = ", ".join(way.name for way in sorted(reloads.polled, key=lambda way: way.number))
        raise Unmet(
            f"file events were expected to be missed on 7 alone, and are on: {told or 'none'}"
        )
