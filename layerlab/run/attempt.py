"""A host command of which nothing outlives the call, whatever ends it."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

KILLED_SECONDS = 10


def attempt(
    words: Sequence[str], environ: Mapping[str, str], cwd: Path, timeout: float
) -> tuple[int, str, str]:
    """Run a command with all that it starts; nothing of it outlives this call.

    Raises:
        subprocess.TimeoutExpired: it did not end in ``timeout`` seconds.
    """
    process = subprocess.Popen(
        words,
        env=environ,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
        return process.returncode, out, err
    except BaseException:
        # The plugin is a process of its own, and would go on making containers.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=KILLED_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
