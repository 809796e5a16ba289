"""Root: the user that a private engine and its base images need."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from shlex import quote


def as_root(argv: Sequence[str | Path]) -> list[str | Path]:
    """The words that run a command as root: themselves for root, else through sudo."""
    return list(argv) if os.geteuid() == 0 else ["sudo", "-n", *argv]


@cache
def can_be_root() -> bool:
    """Whether this process is root or may become it without being asked for a password."""
    if os.geteuid() == 0:
        return True
    try:
        return (
            subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


def write_environ(file: Path, environ: Mapping[str, str]) -> None:
    """Write variables for a root's shell to read (``. file``), by this user alone.

    sudo passes no environment on, and what is on a command line every user of this machine can read.
    """
    file.touch(mode=0o600)
    file.write_text("".join(f"export {name}={quote(value)}\n" for name, value in environ.items()))
