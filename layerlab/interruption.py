"""Being told to end: Ctrl-C, a polite kill, a terminal that is closed."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Never

ORDERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handled() -> Iterator[None]:
    """Has each of these orders clean up as Ctrl-C does while the body runs.

    Raises:
        KeyboardInterrupt: an order came, also where a library that it met in mid-import made another
            exception of it, then or later.
    """
    came = False

    def interrupt(_: int, __: FrameType | None) -> Never:
        nonlocal came
        came = True
        raise KeyboardInterrupt

    before = {order: signal.getsignal(order) for order in ORDERS}
    for order, handler in before.items():
        if handler != signal.SIG_IGN:  # as under nohup
            signal.signal(order, interrupt)
    try:
        yield
    except Exception as error:
        if came:
            raise KeyboardInterrupt from error
        raise
    finally:
        for order, handler in before.items():
            signal.signal(order, handler)
