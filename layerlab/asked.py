"""The variants of a session: those that were asked for, and each test's share of them."""

from typing import Any

import pytest

from layerlab.build.variant import Variant, load, select
from layerlab.errors import LabError
from layerlab.folders import called_from
from layerlab.text import near


class Asked:
    """The variants that were asked for, as parameters of tests."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self._variants: list[Variant] | None = None
        #: Why one of them can't be read, or the run can't be gone on with.
        self.broken: LabError | None = None

    def check(self, known: list[str]) -> None:
        """Refuse variants that are broken, and a baseline that is not measured.

        Raises:
            LabError: the first of them.
        """
        if self.broken:
            raise self.broken
        baseline = self.config.getoption("baseline")
        if baseline and known and baseline not in known:
            there = f"{near(baseline, known)}: the variants are {', '.join(known)}"
            raise LabError(f"--baseline {baseline}: this run does not measure it{there}")

    def variants(self) -> list[Variant]:
        """The variants that were asked for; none when one of them is broken."""
        if self._variants is None:
            try:
                asked = self.config.getoption("variant")
                paths = select(self.config.rootpath / "dockerfiles", asked, called_from())
                self._variants = [load(path) for path in paths]
            except LabError as error:
                self._variants, self.broken = [], error
        return self._variants

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        mark = metafunc.definition.get_closest_marker("experiment")
        variants = [v for v in self.variants() if mark is None or v.is_for(mark.args[0])]
        if "variant" in metafunc.fixturenames:
            # Of a wider scope, pytest would go from experiment to experiment for each variant.
            metafunc.parametrize("variant", _named(variants), scope="module")
        if "packaged" in metafunc.fixturenames and mark is not None:
            metafunc.parametrize("packaged", [self._packaged(mark)], scope="module")
        if "compared_variant" in metafunc.fixturenames:
            compared = [v for v in variants if v.header.differs_from]
            nothing = pytest.param(
                None, marks=pytest.mark.skip("no variant of this run says from which it differs")
            )
            metafunc.parametrize("compared_variant", _named(compared) or [nothing])

    def _packaged(self, mark: pytest.Mark) -> Any:
        """The one variant of an experiment; as a parameter it is prepared with the others of a run."""
        name = mark.kwargs["packaged"]
        found = [variant for variant in self.variants() if variant.name == name]
        why = f"it is measured with the variant {name}, which was not asked for"
        nothing = pytest.param(None, id="none", marks=pytest.mark.skip(why))
        return _named(found)[0] if found else nothing


def selected(items: list[pytest.Item]) -> list[Variant]:
    """The variants of the tests that will run, each once, in their order."""
    found: dict[str, Variant] = {}
    for item in items:
        callspec = getattr(item, "callspec", None)
        for variant in callspec.params.values() if callspec else ():
            if isinstance(variant, Variant):
                found[variant.name] = variant
    return list(found.values())


def _named(variants: list[Variant]) -> list[Any]:
    return [pytest.param(variant, id=variant.name) for variant in variants]
