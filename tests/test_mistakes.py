"""Mistakes on the command line of `lab run`, where only what a run needs is installed."""

import os
import subprocess
import sys

import pytest

from conftest import PROJECT

#: As `lab run` finds it before `lab test` was ever called.
_WITHOUT_DEV = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "hypothesis":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
from layerlab.cli import main
main()
"""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--enginez", "a"], "unrecognized arguments: --enginez"),
        (
            ["experiments/test_nothing.py"],
            "file or directory not found: experiments/test_nothing.py",
        ),
    ],
)
def test_a_mistyped_word_is_told_in_a_sentence(words: list[str], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_DEV, "run", *words],
        cwd=PROJECT,
        # Its own plugin would be there without it.
        env={**os.environ, "PYTEST_ADDOPTS": "-p no:hypothesispytest"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert "ImportError" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
