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
AGAIN_SECONDS = 0.05


class _Interrupt:
    """What is done when an order comes."""

    def __init__(self) -> None:
        #: How many came, and which was the last.
        self.count = 0
        self._last = signal.SIGINT
        self._timer: threading.Timer | None = None

    def __call__(self, order: int, _: FrameType | None) -> Never:
        self.count += 1
        self._last = signal.Signals(order)
        raise KeyboardInterrupt

    def come_again(self) -> None:
        """Have the last order come once more, a moment later, if no other does until then."""
        self._timer = threading.Timer(AGAIN_SECONDS, self._order, [self.count])
        self._timer.daemon = True
        self._timer.start()

    def stay_away(self) -> None:
        """Nothing comes again from here on."""
        if self._timer:
            self._timer.cancel()

    def _order(self, count: int) -> None:
        if self.count == count and signal.getsignal(self._last) is self:
            os.kill(os.getpid(), self._last)


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
        if interrupt.count:
            raise KeyboardInterrupt from error
        raise
    finally:
        interrupt.stay_away()
        for order, handler in before.items():
            signal.signal(order, handler)
        sys.unraisablehook = hook


def again(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    """A hook for what Python can't raise that has an order come once more, where orders are :func:`handled`.

    Where it comes in a finalizer or in the callback of a weak reference, Python tells its KeyboardInterrupt
    to ``sys.unraisablehook`` and goes on as if there had been none. Everything else goes to ``hook``.
    """

    def told(unraisable: Any) -> object:
        handlers = map(signal.getsignal, ORDERS)
        interrupt = next((one for one in handlers if isinstance(one, _Interrupt)), None)
        if interrupt is None or not issubclass(unraisable.exc_type, KeyboardInterrupt):
            return hook(unraisable)
        interrupt.come_again()
        return None

    return told
