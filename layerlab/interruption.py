"""Being told to end: Ctrl-C, a polite kill, a terminal that is closed."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Never

ORDERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: A finalizer has long ended then.
_AGAIN_SECONDS = 0.05


class _Interrupt:
    """What is done when an order comes."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, _: int, __: FrameType | None) -> Never:
        self.came = True
        raise KeyboardInterrupt


@contextmanager
def handled() -> Iterator[None]:
    """Has each of these orders clean up as Ctrl-C does while the body runs.

    Raises:
        KeyboardInterrupt: an order came, also where a library that it met in mid-import made another
            exception of it, then or later.
    """
    interrupt, hook = _Interrupt(), sys.unraisablehook
    before = {order: signal.getsignal(order) for order in ORDERS}
    sys.unraisablehook = again(hook)
    for order, handler in before.items():
        if handler != signal.SIG_IGN:  # as under nohup
            signal.signal(order, interrupt)
    try:
        yield
    except Exception as error:
        if interrupt.came:
            raise KeyboardInterrupt from error
        raise
    finally:
        for order, handler in before.items():
            signal.signal(order, handler)
        sys.unraisablehook = hook


def again(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    """A hook for what Python can't raise that has an order come once more, a moment later.

    Where it comes in a finalizer or in the callback of a weak reference, Python tells its KeyboardInterrupt
    to ``sys.unraisablehook`` and goes on as if there had been none. Everything else goes to ``hook``.
    """

    def told(unraisable: Any) -> object:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            return hook(unraisable)
        timer = threading.Timer(_AGAIN_SECONDS, _order)
        timer.daemon = True
        timer.start()
        return None

    return told


def _order() -> None:
    """Send this process an order, if orders are :func:`handled` now."""
    for order in ORDERS:
        if isinstance(signal.getsignal(order), _Interrupt):
            os.kill(os.getpid(), order)
            return
