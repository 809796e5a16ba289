"""Root: the user that a private engine and its base images need."""

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path


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
