"""What the user chose for a run."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from layerlab.compare.verdict import DEFAULT_MARGIN
from layerlab.engine.limits import Profile


@dataclass(frozen=True)
class Settings:
    """What the user chose for a run."""

    project: Path
    rounds: int = 2
    standins: bool = False
    build_limit_seconds: float = 900
    #: How long an app may take until it answers.
    start_limit_seconds: float = 30
    #: "run" or "bench".
    kind: str = "run"
    #: The command line that began it, as words, without the values of secrets and build arguments.
    words: tuple[str, ...] = ()
    #: The variant that others are compared with; None where none was named.
    baseline: str | None = None
    #: The share of the baseline that a difference must exceed to matter.
    margin: float = DEFAULT_MARGIN
    #: The variants that were asked for, as they were named; () for all.
    asked: tuple[str, ...] = ()
    #: The folder that paths in ``words`` are relative to.
    called_from: str = ""
    #: What Dockerfiles are held to that nobody vouches for.
    profile: Profile | None = None
    #: Tells the command that began the run from all others.
    command: str = ""
    #: The engines of a run on several, as they were named; () of a run on one.
    engines: tuple[str, ...] = ()

    def recorded(self) -> dict[str, Any]:
        """The same for the record, which knows the project and the kind of run by itself."""
        left_out = ("project", "kind")
        return {name: value for name, value in asdict(self).items() if name not in left_out}
