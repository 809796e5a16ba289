"""The stack: what holds when several containers are one service?

`compose/compose.yaml` starts the app with a real PostgreSQL and a real Redis. Here it is started,
stopped, rebuilt and broken, and asked what became of it. What is expected:

    order       where the web service waits until the others are healthy, no request meets a missing
                database; where it waits for their start alone, some do
    volumes     a note outlives its database's container, and `down`; `down -v` takes it away
    networks    only the web service reaches the outside and the database; nobody else does, nor the host
    rebuild     `up --build` after an edit replaces the web container and leaves the others alone
    failure     without its database the app lives (/health) and says that it is not ready (/ready); it
                recovers by itself, and no note that it accepted is lost; a killed web service comes back
    variants    every Dockerfile's image does as the web service

The fixtures named `docker_…` are pytest-docker's; docs/stack.md has more.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pytest_docker.plugin import Services

from layerlab.build.variant import Variant, variant_name
from layerlab.errors import LabError, Unmet
from layerlab.lab import Lab
from layerlab.labs import stack
from layerlab.labs.stack import GATED, UNGATED, Ready
from layerlab.labs.stack_result import Stacks
from layerlab.run import prepare, reach, volumes
from layerlab.run.absence import CACHE, COUNT, DATABASE, HEALTH, READ, READY, WRITE
from layerlab.run.ports import PORT
from layerlab.run.start import Start

pytestmark = [pytest.mark.engine, pytest.mark.experiment(stack.EXPERIMENT)]


@pytest.fixture(scope="module")
def ready(lab: Lab) -> Iterator[Ready]:
    """The stack, not yet started; whatever happens, nothing of it is left."""
    if why := prepare.lacking(lab.endpoint):
        pytest.skip(f"the stack is not available: {why}")
    with stack.prepared(lab) as this:
        yield this


@pytest.fixture(scope="module")
def docker_setup() -> list[str]:
    return ["up --detach --no-build"]


@pytest.fixture(scope="module")
def docker_cleanup() -> list[str]:
    return ["down --volumes --timeout 1"]


@pytest.fixture(scope="module")
def started(
    lab: Lab, ready: Ready, docker_setup: list[str], docker_cleanup: list[str]
) -> Iterator[tuple[Services, Start]]:
    """The stack as pytest-docker's services, and how its start went."""
    with stack.running(lab, ready, docker_setup, docker_cleanup) as found:
        yield found


@pytest.fixture(scope="module")
def docker_services(started: tuple[Services, Start]) -> Services:
    return started[0]


@pytest.fixture(scope="module")
def stacks(
    lab: Lab,
    ready: Ready,
    started: tuple[Services, Start],
    selected_variants: list[Variant],
    asked_variants: list[Variant],
) -> Stacks:
    """Everything that was measured on the stack, which is up."""
    whole = _whole(asked_variants)
    return stack.measure(lab, ready, started[1], selected_variants, whole=whole)


@pytest.fixture
def asked(asked_variants: list[Variant]) -> None:
    """Who asks for variants of their own wants those in the stack, and not the stack itself."""
    if not _whole(asked_variants):
        pytest.skip(f"measured with the variant {variant_name(Path(stack.BUILT))}, not asked for")


@pytest.fixture
def full(asked: None, request: pytest.FixtureRequest) -> Stacks:
    """What was measured on the stack itself."""
    found: Stacks = request.getfixturevalue("stacks")
    return found


def _whole(asked: list[Variant]) -> bool:
    return variant_name(Path(stack.BUILT)) in {variant.name for variant in asked}


def test_it_serves(asked: None, lab: Lab, request: pytest.FixtureRequest) -> None:
    """The app answers on a port that Docker picked, with both its servers behind it."""
    docker_services: Services = request.getfixturevalue("docker_services")
    port = docker_services.port_for("web", PORT)
    url = f"http://{lab.endpoint.address}:{port}/info"
    told = httpx.get(url, trust_env=False).json()  # a proxy is for other hosts
    assert told["storage"] == {"notes": "postgresql", "visits": "redis"}


def test_waiting_for_healthy(full: Stacks) -> None:
    """No request meets a missing database, and the web service starts after the others are healthy."""
    start = full.starts[GATED]
    if start.missed:
        raise Unmet(f"{start.missed} of {len(start.asked)} requests met no database")
    web = start.lives["web"]
    others = [life for life in start.lives.values() if life.service != "web"]
    assert web.started is not None
    assert all(life.healthy is not None and life.healthy < web.started for life in others)


def test_waiting_for_started(full: Stacks) -> None:
    """Requests meet a missing database: a container that runs is no server that answers."""
    assert full.starts[UNGATED].missed > 0


def test_notes_and_volumes(full: Stacks) -> None:
    """A note is kept or gone, as the volume is."""
    for fate in full.fates:
        if fate.kept != fate.expected:
            raise Unmet(f"after {fate.what} the note is {'still there' if fate.kept else 'gone'}")
        assert fate.new_container


def test_kinds_of_storage(full: Stacks) -> None:
    """A volume begins with the image's files, a bind mount hides them; an anonymous volume is lost."""
    assert full.kinds
    yes = {one for one, so in full.kinds.facts.items() if so}
    assert yes == {
        (volumes.FILLED, volumes.NAMED),
        (volumes.FILLED, volumes.ANONYMOUS),
        (volumes.SEEN, volumes.BIND),
        *((volumes.RECREATED, kind) for kind in volumes.KINDS),
        (volumes.DOWN, volumes.NAMED),
        (volumes.DOWN, volumes.BIND),
        (volumes.REMOVED, volumes.BIND),
    }
    assert [one.service for one in full.kinds.left] == [volumes.ANONYMOUS]


def test_networks(full: Stacks, lab: Lab) -> None:
    """Who reaches whom is what the file promises; with --untrusted, nobody reaches the outside."""
    assert full.reaching
    if told := full.reaching.differences:
        raise Unmet("\n".join(told))
    found = full.reaching.found
    assert full.reaching.published == ["web"]
    closed = lab.run.confinement is not None and lab.run.confinement.closed
    leaky = full.reaching.leaky
    outward = [one for one in reach.PORTS if found[one, reach.OUTSIDE].answers]
    assert outward == (list(reach.PORTS) if leaky else [] if closed else ["web"])
    assert [one for one in reach.PORTS if found[one, "database"].answers] == ["web", "database"]


def test_the_host_does_not_reach_the_database(full: Stacks, lab: Lab) -> None:
    """No port of it is published, and not even the engine's own machine has a way to its address."""
    assert full.reaching
    if reach.promised(full.reaching.config)[reach.HOST, DATABASE].answers:
        pytest.skip(
            f"Engine {lab.endpoint.can.engine} can't keep its machine out; 28.0 and newer can"
        )
    assert full.reaching.found[reach.HOST, "web"].answers
    assert not full.reaching.found[reach.HOST, DATABASE].answers


def test_rebuild_in_place(full: Stacks) -> None:
    """The edited app serves, and database and cache run on."""
    assert full.rebuilt
    assert full.rebuilt.edited
    assert full.rebuilt.replaced == ["web"]


def test_without_a_database(full: Stacks) -> None:
    """The app lives and is not ready; afterwards it has every note that it accepted."""
    away = full.away[DATABASE]
    assert set(away.statuses(HEALTH)) == {200}
    assert set(away.statuses(READY)) == {200, 503}
    assert set(away.statuses(WRITE)) == {201, 503}
    if away.kept != away.accepted:
        raise Unmet(f"{away.accepted - away.kept} of {away.accepted} accepted notes are lost")


def test_without_a_cache(full: Stacks) -> None:
    """The app serves all that needs no cache."""
    away = full.away[CACHE]
    assert set(away.statuses(HEALTH)) == set(away.statuses(READ)) == {200}
    assert set(away.statuses(WRITE)) == {201}
    assert set(away.statuses(COUNT)) == {200, 503}


def test_killed(full: Stacks) -> None:
    """The restart policy starts the same container again."""
    assert full.gap
    assert full.gap.same_container
    assert not full.gap.same_start
    assert full.gap.seconds > 0


def test_as_the_web_image(lab: Lab, variant: Variant, request: pytest.FixtureRequest) -> None:
    """The stack comes up, and keeps notes, with this variant as its web image."""
    lab.image(variant)  # one that can't be built needs no stack
    stacks: Stacks = request.getfixturevalue("stacks")
    told = stacks.variants[variant.name]
    expected = variant.expects(stack.EXPERIMENT, "web")
    got = "fails" if isinstance(told, LabError) else "serves"
    if expected not in ("any", got):
        why = f": {told}" if isinstance(told, LabError) else ""
        raise Unmet(f"{variant.path.name}: as the web service it {got}, expected: {expected}{why}")
