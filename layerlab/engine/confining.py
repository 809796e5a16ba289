"""A run whose Dockerfiles nobody vouches for: what its engine is asked for, so that they harm no one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from layerlab.engine import groups, leftovers
from layerlab.engine.command import run as run_command
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.engine.limits import Confinement, Profile
from layerlab.engine.private import PrivateEngine
from layerlab.engine.root import as_root
from layerlab.errors import LabError

#: Begins the name of each bridge from which only answers come; the kernel allows 15 characters.
CLOSED = "llu"
#: In the engine's own network: who is asked from outside may answer, and begins nothing, neither through
#: the engine's machine (DOCKER-USER is what dockerd has looked at first) nor to itself.
_CLOSE = f"""
set -eu
for chain in INPUT DOCKER-USER; do
    if iptables -w -C $chain -i {CLOSED}+ -j REJECT 2>/dev/null; then continue; fi
    iptables -w -I $chain -i {CLOSED}+ -j REJECT
    iptables -w -I $chain -i {CLOSED}+ -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
done
"""
#: Of an engine that is not ours.
NOT_OURS = (
    "This engine is not layerlab's own, so not everything can be limited on it: the memory, the "
    "processes and the disk that a build takes, and whom a container reaches; --engine private can."
)


@contextmanager
def confined(
    endpoint: Endpoint, run: Run, profile: Profile | None, say: Callable[[str], None]
) -> Iterator[Run]:
    """The same run, held to a profile, where there is one; ``say`` hears what can't be.

    Raises:
        LabError: the private engine's machine can't limit it.
    """
    if profile is None:
        yield run
        return
    if not endpoint.private:
        say(NOT_OURS)
        yield replace(run, confinement=Confinement(profile, "", "", run.id))
        return
    engine = engine_of(endpoint)
    _close(engine)
    with groups.limited(engine, run.id, profile.build, leftovers.alive) as group:
        yield replace(run, confinement=Confinement(profile, group.path, CLOSED, run.id))


def engine_of(endpoint: Endpoint) -> PrivateEngine:
    """The private engine that an endpoint is of."""
    return PrivateEngine(Path(urlsplit(endpoint.host).path).parent)


def _close(engine: PrivateEngine) -> None:
    pid = engine.process()
    if pid is None:
        raise LabError(f"the engine at {engine.socket} does not run")
    path = f"PATH={_path(engine)}"
    words = ["nsenter", f"--net=/proc/{pid}/ns/net", "env", path, "sh", "-c", _CLOSE]
    run_command(as_root(words), doing="closing the network of untrusted containers")


def _path(engine: PrivateEngine) -> str:
    """The PATH that the engine was started with: its programs may be another engine's, too."""
    environ = Path(f"/proc/{engine.process()}/environ")
    try:
        found = environ.read_bytes().split(b"\0")
    except OSError:
        return engine.tools.path
    return next((one[5:].decode() for one in found if one.startswith(b"PATH=")), engine.tools.path)
