"""The first answer of an app that is starting."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException

from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.run import asking, diagnosis

#: How long one answer may take.
ASK_SECONDS = 10
#: From one attempt to the next: with what an attempt itself takes, a first answer is seen within 10 ms.
EXACT_SECONDS = 0.005
#: Where nobody asks when it came: what asks so often takes as much of a processor as an app that starts.
CALM_SECONDS = 0.05
#: How often it is looked, in seconds, whether a container that does not answer has ended.
_LOOK_SECONDS = 0.3


class _NotGood(HTTPException):
    """An answer that says that the app is not ready."""


def first_answer(
    endpoint: Endpoint,
    name: str,
    url: str,
    called: str,
    port: int,
    limit_seconds: float,
    between_seconds: float = EXACT_SECONDS,
    path: str | None = None,
) -> float:
    """Wait until the app of a container answers at ``url``; returns when it did.

    With a ``path`` a good answer there is waited for (2xx or 3xx), without one any answer at all.

    That is on the clock of ``time.monotonic``. Its ``port`` and ``called``, which stands for its name,
    are for the errors.

    Raises:
        LabError: it ends, or does not answer in time, and probably why.
    """
    deadline = time.monotonic() + limit_seconds
    # Asking the engine takes longer than asking the app, which would miss its first answer meanwhile.
    with ThreadPoolExecutor(1) as aside:
        looking: Future[str | None] | None = None
        look_next = 0.0
        while True:
            try:
                # Its head will do.
                patience = min(ASK_SECONDS, max(0.1, deadline - time.monotonic()))
                status = asking.get(url, path or "/", patience, most_bytes=0).status
                if path and not 200 <= status < 400:
                    raise _NotGood(f"it answers {status} at {path}")
                return time.monotonic()
            except asking.FAILURES as error:
                now = time.monotonic()
                if looking and (looking.done() or now > deadline):
                    if told := looking.result():
                        raise LabError(f"{called}: {told}") from error
                    looking = None
                if now > deadline:
                    ill = isinstance(error, _NotGood)
                    told = str(error) if ill else diagnosis.silent(endpoint, name, port)
                    raise LabError(
                        f"{called}: the app did not answer {'well ' if ill else ''}in "
                        f"{limit_seconds:g} s: {told}"
                    ) from error
                if looking is None and now > look_next:
                    looking = aside.submit(diagnosis.ended, endpoint, name)
                    look_next = now + _LOOK_SECONDS
            time.sleep(between_seconds)
