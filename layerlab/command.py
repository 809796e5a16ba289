"""The command that this process is: its runs are told from those of all others."""

import os
import secrets
from functools import cache

#: Names the variable in which who starts a command says by what its runs will be known.
VARIABLE = "LAYERLAB_COMMAND"


@cache
def this_command() -> str:
    """What the runs that this process begins are recorded with; processes that it starts from then on do not inherit it."""
    return os.environ.pop(VARIABLE, "") or secrets.token_hex(8)
