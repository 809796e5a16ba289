"""Ways in which a saved source file reaches the running app."""

from dataclasses import dataclass

from layerlab.engine.endpoint import Endpoint, version_tuple
from layerlab.errors import LabError
from layerlab.run import diagnosis
from layerlab.run.marks import DELETED, MENDED, NEW, ONE, SAVES, SEVERAL, Marked, Save

#: Makes watchfiles look at the files every 0.3 s, in place of waiting for the kernel to tell.
POLLING = "WATCHFILES_FORCE_POLLING"
FOLDER = "/app"
#: How long a container may take to answer a question.
_SECONDS = 20
#: The first compose with `watch` outside of `alpha` (https://docs.docker.com/compose/how-tos/file-watch/).
OLDEST_WATCH = (2, 22)


@dataclass(frozen=True)
class Way:
    """One way; where nothing is built, the container stays the same."""

    number: int
    name: str
    saves: tuple[Save, ...] = SAVES
    #: Saves that are not noticed by themselves, but with the next one of another file.
    blind: tuple[Save, ...] = ()
    builds: bool = False
    #: Whether the kernel tells of what is saved.
    events: bool = True


BIND = Way(1, "bind mount")
# The same mount and command as 1: that these come from another file is what there is to see.
OVERRIDE = Way(2, "compose override", (ONE, MENDED))
# What differs from 1 is how files arrive; what uvicorn makes of a broken one is the same.
SYNC = Way(3, "compose watch", (ONE, SEVERAL, NEW))
# The source is copied anew whatever was saved: one save and a broken one show what there is to see.
ORDERED = Way(4, "cache-ordered", (ONE, MENDED), builds=True)
SINGLE = Way(5, "single-stage", (ONE,), builds=True)
# uvicorn's supervisors/statreload.py looks at the times of the files that it knows, every 0.25 s: it
# takes a new file into its list without a word, and never misses one that is gone.
STAT = Way(6, "as 1, no watchfiles", (ONE, NEW, DELETED), blind=(NEW, DELETED))
EVENTLESS = Way(7, "mount without events", (ONE,), events=False)
WAYS = (BIND, OVERRIDE, SYNC, ORDERED, SINGLE, STAT, EVENTLESS)
#: Ways in which the app's folder is a mount.
MOUNTED = (BIND, OVERRIDE, STAT, EVENTLESS)


def lacking(way: Way, endpoint: Endpoint) -> str | None:
    """Why an engine or its client does not have a way; None where it can be tried."""
    version = endpoint.can.compose
    if way in MOUNTED and endpoint.remote:
        return "the engine is on another machine, and mounts that machine's folders only"
    if way in (OVERRIDE, SYNC) and version is None:
        return "this client has no docker compose"
    if way == SYNC and version_tuple(version or "") < OLDEST_WATCH:
        return f"docker compose {version} has no watch: it came with 2.22"
    return None


def without(endpoint: Endpoint, name: str, module: str) -> bool:
    """Whether a container's Python has no such module; False where it can't be asked."""
    words = ("exec", name, "python", "-c", f"import {module}")
    try:
        endpoint.run(*words, doing=f"looking for {module}", timeout=_SECONDS)
    except LabError as error:
        return f"No module named '{module}'" in str(error)
    return False


def arrived(endpoint: Endpoint, name: str, marked: Marked, save: Save) -> bool:
    """Whether a container has the files as they were saved.

    Raises:
        LabError: it can't be asked.
    """
    for module in save.modules:
        path = marked.folder / f"{module}.py"
        words = ("exec", name, "cat", f"{FOLDER}/{module}.py")
        try:
            there = endpoint.run(*words, doing=f"reading {module}.py in the container")
        except LabError:
            if diagnosis.ended(endpoint, name):
                raise
            there = None
        if there != (path.read_text(encoding="utf-8") if path.exists() else None):
            return False
    return True
