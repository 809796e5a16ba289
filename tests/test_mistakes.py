"""Mistakes on the command line of `lab run`, where only what a run needs is installed."""

import os
import subprocess
import sys

from conftest import PROJECT

MISTAKES = {
    "--enginez a": "unrecognized arguments: --enginez",
    "experiments/test_nothing.py": "file or directory not found: experiments/test_nothing.py",
}
#: As `lab run` finds it before `lab test` was ever called.
_WITHOUT_DEV = f"""
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "hypothesis":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
from layerlab.cli import dispatch
for words in {[*MISTAKES]!r}:
    assert dispatch(["run", *words.split()]) == 2
"""


def test_a_mistyped_word_is_told_in_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_DEV],
        cwd=PROJECT,
        # Its own plugin would be there without it.
        env={**os.environ, "PYTEST_ADDOPTS": "-p no:hypothesispytest"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for told in MISTAKES.values():
        assert told in done.stderr
    assert "ImportError" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
