"""Image size: what does an image weigh, and what made it so heavy?

`docker images` prints another number on every image store. Here an image is streamed out of the engine
and its layers are read: unpacked (what a disk holds), files, and compressed (what a push or
pull moves). The same image has the same numbers on every engine.

A layer never gets smaller: what a later layer removes, overwrites or gives to another owner is still
in the image. Such bytes are waste.

Expected of every image, unless its Dockerfile's header says otherwise (`# layerlab.expect.image-size.…`):

    package-cache     none      what pip, uv, npm, … keep for a next install that never comes
    apt-lists         none      the same for apt
    compilers         none      a running app compiles nothing
    version-control   none      .git holds every secret that was ever committed
    waste             little    own layers hide at most 5 % of the files' bytes

A variant that says `# layerlab.differs-from: OTHER: factor` is also compared with that other one, so
that "from 1 GB to 150 MB" comes apart into what each factor does, measured on a pair of its own.
"""

import pytest

from layerlab.build.variant import Variant
from layerlab.errors import Unmet
from layerlab.lab import Lab
from layerlab.labs import image_size
from layerlab.labs.image_size import SCENARIOS, Sizes
from layerlab.units import bytes_text

pytestmark = [pytest.mark.engine, pytest.mark.experiment(image_size.EXPERIMENT)]
SINGLE, MULTI = "single-stage", "multi-stage"


@pytest.fixture(scope="module")
def sizes(lab: Lab, selected_variants: list[Variant]) -> Sizes:
    """Every selected variant's image, taken apart."""
    return image_size.measure(lab, selected_variants)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_of_no_use(sizes: Sizes, variant: Variant, scenario: str) -> None:
    """The image holds only what a running app needs."""
    expected = variant.expects(image_size.EXPERIMENT, scenario)
    anatomy = sizes.of(variant.name)
    if expected not in ("any", image_size.judge(anatomy, scenario)):
        raise Unmet(image_size.explain(variant, anatomy, scenario, expected))


def test_factor(sizes: Sizes, compared_variant: Variant) -> None:
    """The one factor in which a variant differs from another makes its image smaller."""
    assert compared_variant.header.differs_from
    other, factor = compared_variant.header.differs_from
    if not sizes.has(other):
        pytest.skip(f"{other}, from which it differs, is not among the variants of this run")
    expected = compared_variant.expects(image_size.EXPERIMENT, "effect")
    got, change = image_size.effect(compared_variant, sizes)
    if expected not in ("any", got):
        raise Unmet(
            f"{compared_variant.path.name}: {factor}: expected to be {expected} than {other}, and it "
            f"is {got} ({bytes_text(change)})"
        )


def test_multi_stage_is_smaller(sizes: Sizes) -> None:
    """The chapter's comparison, and how much of it is the base image alone."""
    if not sizes.has(SINGLE, MULTI):
        pytest.skip(f"{SINGLE} and {MULTI} are not both among the variants of this run")
    single, multi = sizes.of(SINGLE), sizes.of(MULTI)
    sizes.findings.append(image_size.compare(multi, single))
    if multi.image.totals.unpacked_bytes >= single.image.totals.unpacked_bytes:
        raise Unmet(image_size.compare(multi, single))
