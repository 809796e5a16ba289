"""A host command that runs to its end, with its failure in one sentence."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from layerlab.errors import LabError


def run(
    argv: Sequence[str | Path],
    *,
    doing: str,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float = 600,
) -> str:
    """Run ``argv`` and return its standard output.

    ``doing`` names the work for the error ("unpacking the engine"); ``environ`` is the command's
    whole environment, this process's own when None; ``timeout`` is in seconds.

    Raises:
        LabError: the command is missing, failed or took too long, with the last lines it printed.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            check=False,
            cwd=cwd,
            env=environ,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise LabError(f"{doing}: the command `{words[0]}` is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"{doing}: `{shlex.join(words)[:120]}` did not end in {timeout:.0f} s"
        ) from error
    if done.returncode != 0:
        raise LabError(
            f"{doing}: `{shlex.join(words)[:120]}` failed with exit code {done.returncode}"
            f"{last_lines(done.stderr or done.stdout)}"
        )
    return done.stdout


def last_lines(text: str, count: int = 6) -> str:
    """The last ``count`` lines that are not blank, indented below the sentence they belong to."""
    lines = [line for line in text.splitlines() if line.strip()][-count:]
    return "".join(f"\n    {line}" for line in lines)
