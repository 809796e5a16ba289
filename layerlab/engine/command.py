"""A host command that runs to its end, with its failure in one sentence."""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from layerlab.errors import LabError

#: How long what was told to end may take.
_END_SECONDS = 10


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
        done = attempt(words, environ=environ, cwd=cwd, stdin=stdin or "", timeout=timeout)
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


def attempt(
    words: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str = "",
    timeout: float,
) -> subprocess.CompletedProcess[str]:
    """Run a command with all that it starts; nothing of it outlives this call, whatever ends it.

    Should this process be killed, the command is told to end; one that runs as root by sudo is not.

    Raises:
        FileNotFoundError: the command or ``cwd`` is not there.
        subprocess.TimeoutExpired: it did not end in ``timeout`` seconds.
    """
    found = shutil.which(words[0], path=(os.environ if environ is None else environ).get("PATH"))
    if found is None:
        raise FileNotFoundError(words[0])
    process = subprocess.Popen(
        [*leash(), found, *words[1:]],
        env=environ,
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(stdin, timeout)
    except BaseException:
        end(process, lambda seconds: process.communicate(timeout=seconds))
        raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)


@cache
def leash() -> tuple[str, ...]:
    """The words before a command that have the kernel end it should the thread that started it be killed."""
    # Its path, since a command may be given another PATH.
    found = shutil.which("setpriv")
    return (found, "--pdeathsig", "TERM") if found else ()


def end(
    process: subprocess.Popen[str],
    wait: Callable[[float], object],
    seconds: float = _END_SECONDS,
) -> None:
    """End a process that leads a group, with all of that group; ``wait`` is how it is waited for.

    What does not end by itself in so many ``seconds`` is killed.

    `docker` runs a plugin as a process of its own, which would go on making containers.
    """
    for order in (signal.SIGTERM, signal.SIGKILL):
        # What runs as root, by sudo, is not ours to end.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, order)
        with suppress(subprocess.TimeoutExpired):
            wait(seconds)


def last_lines(text: str, count: int = 6) -> str:
    """The last ``count`` lines that are not blank, indented below the sentence they belong to."""
    lines = [line for line in text.splitlines() if line.strip()][-count:]
    return "".join(f"\n    {line}" for line in lines)
