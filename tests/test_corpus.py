"""The corpus, as far as it is refused before an engine is asked for anything."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus_cases import Corpus, corpus

from layerlab.build import untrusted
from layerlab.build.variant import load
from layerlab.errors import LabError

#: Keeps what was told in the report of `--junitxml`, of which the table in docs/untrusted.md is made.
Record = Callable[[str, object], None]
pytestmark = pytest.mark.faults
READ = [case for case in corpus("refused") if not case.composes]


@pytest.mark.parametrize("case", READ, ids=lambda case: case.name)
def test_it_is_refused_by_its_text(record_property: Record, case: Corpus, tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(LabError) as error:
        untrusted.check(load(case.copied(tmp_path)))
    record_property("told", case.is_told_by(error.value, tmp_path))
    assert time.monotonic() - begun < case.seconds


@pytest.mark.parametrize("case", corpus("fails", "unmet", "passes"), ids=lambda case: case.name)
def test_no_other_is_refused_by_its_text(case: Corpus, tmp_path: Path) -> None:
    untrusted.check(load(case.copied(tmp_path)))


def test_the_repository_s_own_are_not_refused() -> None:
    for path in (Path(__file__).parent.parent / "dockerfiles").glob("*.Dockerfile"):
        untrusted.check(load(path))


def test_every_case_says_what_it_tries() -> None:
    cases = corpus("refused", "fails", "unmet", "passes")
    assert len(cases) >= 60
    assert all(case.tries and (case.sentence or case.verdict == "passes") for case in cases)
