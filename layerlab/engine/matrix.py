"""The matrix: private engines of several releases, each with its image store; one is reached as a remote one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from layerlab.engine import private
from layerlab.engine.endpoint import Endpoint, probe
from layerlab.engine.lock import exclusive, try_exclusive
from layerlab.engine.packages import this_distribution
from layerlab.engine.private import PrivateEngine, private_engine
from layerlab.engine.tools import Tools
from layerlab.errors import LabError
from layerlab.folders import cache_folder
from layerlab.text import near


@dataclass(frozen=True)
class Release:
    """A release of the engine, with one of its image stores."""

    version: str
    #: The Debian suite that has it; None is where the private engine itself comes from.
    suite: str | None
    #: As :class:`~layerlab.engine.endpoint.Capabilities` names it.
    image_store: str
    #: Reached over TCP with TLS, as one of another machine.
    remote: bool = False

    @property
    def name(self) -> str:
        return f"{self.version}-{self.image_store}{'-tls' * self.remote}"

    @property
    def users(self) -> Path:
        """The lock that processes share which use this release's engine."""
        return cache_folder() / "engines" / f"{self.name}.users"

    def engine(self) -> PrivateEngine:
        """This user's engine of this release; it need not exist yet.

        Its client, its helpers and, in the newest release, its engine are the programs of this user's
        private engine.
        """
        return PrivateEngine(
            cache_folder() / "engines" / self.name,
            Tools(private_engine().tools.folder, self.suite),
            containerd_store=self.image_store == "containerd",
            over_tls=self.remote,
        )


MATRIX = (
    Release("20.10", "bookworm", "overlay2"),
    Release("26.1", "trixie", "overlay2"),
    Release("26.1", "trixie", "containerd"),
    Release("28.5", None, "overlay2"),
    Release("28.5", None, "containerd"),
    Release("28.5", None, "overlay2", remote=True),
)


def named(name: str) -> Release:
    """A release of the matrix, by its name.

    Raises:
        LabError: there is none of this name.
    """
    for release in MATRIX:
        if release.name == name:
            return release
    known = [release.name for release in MATRIX]
    raise LabError(
        f"`{name}` is no engine of the matrix{near(name, known)}: they are {', '.join(known)}"
    )


@contextmanager
def running(release: Release, progress: Callable[[str], None]) -> Iterator[Endpoint]:
    """The engine of a release, running and probed; it is stopped at the end, unless a run uses it.

    Another process that comes here for the same engine waits.

    Raises:
        LabError: this machine can't have the engine, or it does not start.
    """
    own = release.engine()
    lock = own.folder.parent / f"{release.name}.lock"
    with exclusive(lock, progress, f"waiting for another run on the engine {release.name}"):
        try:
            yield probe(own.start(progress))
        finally:
            with try_exclusive(release.users) as unused:
                if unused:
                    own.stop()
                else:
                    progress(f"the engine {release.name} is used by another run: it stays")


def lacking() -> str | None:
    """What this machine lacks for the matrix, as a clause; None when it lacks nothing."""
    if lack := private.lacking():
        return lack
    distribution = this_distribution()
    if distribution is None or distribution.name != "debian":
        return "engines of other releases come from Debian's archive; use Debian"
    return None
