"""Health: when does Docker notice that an app is up, or no longer well?

A HEALTHCHECK is a command that Docker runs inside the container, again and again; the chapter lets it ask
/health. One success makes the container `healthy`; so many failures in a row as there are retries make it
`unhealthy`. When, is decided by five settings:

    interval          from the end of a probe to the start of the next; the first one waits for it, too
    timeout           after which a probe has failed
    start period      in which a failure does not count, until the first success
    start interval    takes the place of the interval in the start period (Engine 25 and newer)
    retries           failures in a row

layerlab predicts every change of state by the rules in the engine's source (layerlab/run/health.py), lets
containers start late, break, hang, recover, pause and restart, and listens to what the engine tells.

Expected of a Dockerfile that has a HEALTHCHECK, unless its header says otherwise:

    start    healthy      the first state after `starting`
    fault    unhealthy    when /health answers 503

Docker itself does nothing about an unhealthy container: no restart policy looks at its health.
"""

import pytest

from layerlab.build.header import ANY
from layerlab.build.variant import Variant
from layerlab.errors import Unmet
from layerlab.lab import Lab
from layerlab.labs import healthcheck
from layerlab.labs.health_case import Case
from layerlab.labs.health_cases import CASES
from layerlab.labs.healthcheck import Healths
from layerlab.run.health import END, UNHEALTHY
from layerlab.show import health as shown

#: For the settings one variant is enough, and one that has no HEALTHCHECK to inherit from.
PLAIN = "cache-ordered"
pytestmark = [pytest.mark.engine, pytest.mark.experiment(healthcheck.EXPERIMENT, packaged=PLAIN)]


@pytest.fixture(scope="module")
def healths(lab: Lab, selected_variants: list[Variant]) -> Healths:
    """Every setting and every variant with a HEALTHCHECK, several containers at once."""
    packaged = next((v for v in selected_variants if v.name == PLAIN), None)
    return healthcheck.measure(lab, packaged, selected_variants)


@pytest.mark.parametrize("scenario", healthcheck.SCENARIOS)
def test_variant(healths: Healths, variant: Variant, scenario: str) -> None:
    """The variant's own check sees that the app is up, and that it is not well."""
    if variant.name in healths.without:
        pytest.skip(healthcheck.NO_HEALTHCHECK)
    expected = variant.expects(healthcheck.EXPERIMENT, scenario)
    if expected == ANY:
        pytest.skip("its header says that anything may happen: it is not tried")
    if healths.grade(variant, scenario) != expected:
        raise Unmet(healthcheck.explain(healths, variant, scenario, expected))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_setting(healths: Healths, packaged: Variant, case: Case) -> None:
    """Every change of state comes when moby's rules say."""
    if why := healths.lacking.get(case.name):
        pytest.skip(f"not available: {why}")
    seen = healths.of(case.name)
    if not seen.comparison.agrees:
        raise Unmet(shown.disagreement(case.name, seen.comparison, seen.log))


def test_no_restart_policy_looks_at_health(healths: Healths, packaged: Variant) -> None:
    """An unhealthy container goes on, also under `--restart always`."""
    (case,) = (case for case in CASES if "--restart" in case.options)
    seen = healths.of(case.name)
    assert seen.timeline.changes[-1].state == UNHEALTHY
    assert seen.restarts == 0
    assert not any(what == END for _, what in seen.timeline.container)
    healths.findings.append(
        "Docker restarts no unhealthy container: under `--restart always` one stayed unhealthy, and ran on."
    )
