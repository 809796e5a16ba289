"""Start and stop: how long until it answers, and what does `docker stop` do to it?

`docker stop` sends SIGTERM to the container's first process, PID 1, and kills everything 10 s later. An
app that gets the signal answers what is in flight, takes no more, and runs its shutdown hook: it closes
its connections and says good-bye. Whether it gets the signal is decided by what PID 1 is:

    CMD ["uvicorn", …]          exec form: the app itself
    CMD uvicorn …               shell form: /bin/sh -c, which passes no signal on
    ENTRYPOINT ["script"]       the script's shell, unless it ends with `exec "$@"`
    docker run --init           a small init, which passes it to its child: the app, or a shell

Expected of every image, unless its Dockerfile's header says otherwise (`# layerlab.expect.shutdown.…`):

    stop        clean       its shutdown hook ran (else abrupt: it just ended; or killed)
    request     answered    no request is lost that the app had taken

Each variant is also timed from `docker run` to its first answer, and its idle memory is read.
"""

import pytest

from layerlab.build.variant import Variant
from layerlab.errors import Unmet
from layerlab.lab import Lab
from layerlab.labs import shutdown
from layerlab.labs.lives import EXPERIMENT, SCENARIOS, Case, Lives, explain
from layerlab.labs.shutdown import EXEC_FORM, SHELL_FORM
from layerlab.run.shutdown import ABRUPT, ANSWERED, CLEAN, LOST

pytestmark = [pytest.mark.engine, pytest.mark.experiment(EXPERIMENT)]
#: With an init, a shell dies of the signal, and the app with it.
INIT = {EXEC_FORM: (CLEAN, ANSWERED), SHELL_FORM: (ABRUPT, LOST)}


@pytest.fixture(scope="module")
def lives(lab: Lab, selected_variants: list[Variant]) -> Lives:
    """A container of every selected variant, from its start to its stop."""
    return shutdown.measure(lab, selected_variants)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_stop(lives: Lives, variant: Variant, scenario: str) -> None:
    """The app gets the signal, and loses nothing."""
    expected = variant.expects(EXPERIMENT, scenario)
    case = Case(variant)
    if told := explain(case, lives.of(case.name), scenario, expected):
        raise Unmet(told)


@pytest.mark.parametrize("name", INIT)
def test_init(lives: Lives, name: str) -> None:
    """An init passes the signal on to its child, which helps an app and not a shell."""
    case = next(
        (one for one in lives.cases.values() if one.init and one.variant.name == name), None
    )
    if case is None:
        pytest.skip(f"{name} is not among the variants of this run")
    life = lives.of(case.name)
    for scenario, expected in zip(SCENARIOS, INIT[name], strict=True):
        if told := explain(case, life, scenario, expected):
            raise Unmet(told)
