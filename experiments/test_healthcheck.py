"""Health: when does Docker notice that an app is up, or no longer well?

A HEALTHCHECK is a command that Docker runs inside the container again and again. One success makes the
container healthy; some failures in a row make it unhealthy. What exactly happens when is decided by five
settings: interval, timeout, start period, start interval and retries.
"""

from pathlib import Path

import pytest

from layerlab.build.variant import Variant, load, variant_name
from layerlab.errors import Unmet
from layerlab.lab import Lab
from layerlab.labs import healthcheck
from layerlab.labs.health_cases import CASES, Case
from layerlab.labs.healthcheck import Healths
from layerlab.show import health as shown

PLAIN = Path(__file__).parent.parent / "dockerfiles" / "cache-ordered.Dockerfile"
pytestmark = [pytest.mark.engine, pytest.mark.experiment(healthcheck.EXPERIMENT)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "packaged" in metafunc.fixturenames:
        asked = metafunc.config.getoption("variant")
        if not asked or variant_name(PLAIN) in asked:
            packaged = pytest.param(load(PLAIN), id=variant_name(PLAIN))
        else:
            why = f"it is measured with the variant {variant_name(PLAIN)}, which was not asked for"
            packaged = pytest.param(None, id="none", marks=pytest.mark.skip(why))
        metafunc.parametrize("packaged", [packaged], scope="module")


@pytest.fixture(scope="module")
def healths(lab: Lab, packaged: Variant) -> Healths:
    return healthcheck.measure(lab, packaged)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_setting(healths: Healths, case: Case) -> None:
    """Every change of state comes when moby's rules say."""
    if why := healths.lacking.get(case.name):
        pytest.skip(f"not available: {why}")
    seen = healths.of(case.name)
    if not seen.comparison.agrees:
        raise Unmet(shown.disagreement(case.name, seen.comparison, seen.log))
