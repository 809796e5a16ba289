"""How the tests of a run's experiments ended."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from layerlab.record.rows import Outcome


@dataclass(frozen=True)
class Standing:
    """One experiment's tests: how many ended in which way, and what was said of them."""

    passed: int
    failed: int
    skipped: int
    #: What was said of those that did not pass, each once, in the order in which they ended.
    reasons: tuple[str, ...]

    @property
    def tests(self) -> int:
        return self.passed + self.failed + self.skipped


def standings(outcomes: Iterable[Outcome]) -> Mapping[str, Standing]:
    """The experiments of a run by their names, in the order in which they began."""
    ends: dict[str, dict[str, str]] = {}
    reasons: dict[str, dict[str, None]] = {}
    for one in outcomes:
        tests = ends.setdefault(one.experiment, {})
        its = reasons.setdefault(one.experiment, {})
        # A test failed where one of its parts did, whatever came of the others.
        if one.outcome != "passed":
            if tests.get(one.nodeid) != "failed":
                tests[one.nodeid] = one.outcome
            its[(one.told or one.outcome).strip()] = None
        tests.setdefault(one.nodeid, "passed")
    counts = {experiment: Counter(tests.values()) for experiment, tests in ends.items()}
    return {
        experiment: Standing(
            one["passed"], one["failed"], one["skipped"], tuple(reasons[experiment])
        )
        for experiment, one in counts.items()
    }
