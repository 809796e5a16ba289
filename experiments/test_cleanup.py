"""Clean-up: what would `docker system prune` take?

Builds, runs and stacks leave things behind: stopped containers, images that lost their tag, volumes, networks,
the build cache. `docker system df` says how much; what a prune would take of it is known only afterwards.

Here it is computed beforehand, from the engine's lists and moby's rules, and nothing is removed from the engine
in use. That the rules are right is shown on a private engine that is littered for this, pruned, and thrown away.

    system prune              stopped containers, networks of no running one, dangling images, cache of no image
    system prune --volumes    also anonymous volumes of no container (before Engine 23: named ones, too)
    system prune -a           also images that no container has, and all of the cache
    volume prune -a           also named volumes of no container: nothing else takes these
"""

import pytest

from layerlab.build.variant import Variant
from layerlab.errors import Unmet
from layerlab.lab import Lab
from layerlab.labs import cleanup
from layerlab.labs.cleanup import DONE, Lesson
from layerlab.run.prune import (
    ANONYMOUS_ONLY,
    SYSTEM_ALL_VOLUMES,
    SYSTEM_VOLUMES,
    Command,
    predict,
)

#: One variant is enough, for the base that the litter stands on.
PRODUCTION = "production"
pytestmark = [pytest.mark.engine, pytest.mark.experiment(cleanup.EXPERIMENT, packaged=PRODUCTION)]


@pytest.fixture(scope="module")
def lesson(lab: Lab, packaged: Variant) -> Lesson:
    """What prunes would take here, and what they took where it hurts nobody."""
    return cleanup.measure(lab, packaged)


@pytest.mark.parametrize("command", DONE, ids=lambda command: command.words)
def test_exactly_what_was_predicted_is_gone(lesson: Lesson, command: Command) -> None:
    """The rules by which it is computed are the engine's."""
    if lesson.lacking:
        pytest.skip(lesson.lacking)
    (done,) = [step for step in lesson.steps if step.command == command]
    if done.differences:
        raise Unmet(cleanup.told(done))


@pytest.mark.parametrize("command", [SYSTEM_VOLUMES, SYSTEM_ALL_VOLUMES], ids=lambda c: c.words)
def test_a_named_volume_is_safe_since_engine_23(lesson: Lesson, command: Command) -> None:
    """What a database wrote stays, unless somebody says `volume prune -a`; older engines take it."""
    found = lesson.littered or lesson.used
    held = {name for one in found.containers if one.running for name in one.volumes}
    free = {v.name for v in found.volumes if not v.anonymous} - held
    if not free:
        pytest.skip("every named volume here has a running container")
    expected = set() if found.engine >= ANONYMOUS_ONLY else free
    assert predict(found, command).volumes & free == expected
