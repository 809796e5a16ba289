"""A private engine for a while: empty when it begins, gone with all its images when it ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from layerlab.engine.choice import private_engine
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.lock import exclusive
from layerlab.engine.private import PrivateEngine
from layerlab.engine.tools import Tools
from layerlab.folders import cache_folder


@contextmanager
def beside(
    endpoint: Endpoint,
    purpose: str,
    progress: Callable[[str], None],
    *,
    suite: str | None = None,
) -> Iterator[PrivateEngine]:
    """An engine beside ``endpoint``, with the same image store and this user's unpacked programs.

    Its folder is named by ``purpose``: a second process with the same purpose waits, and what a killed one
    left is removed first. ``suite`` is the Debian suite that its programs come from, the newest when None.

    Raises:
        LabError: this machine can't have one, or it does not start.
    """
    store = endpoint.can.image_store
    name = f"{purpose}-{suite or 'newest'}-{store}"
    own = PrivateEngine(
        cache_folder() / "engines" / name,
        Tools(private_engine().tools.folder, suite),
        containerd_store=store == "containerd",
    )
    lock = own.folder.parent / f"{name}.lock"
    with exclusive(lock, progress, f"waiting for another run that needs an engine for {purpose}"):
        own.remove()
        try:
            own.start(progress)
            yield own
        finally:
            own.remove()
