"""``python -m layerlab`` is the command ``layerlab``."""

import signal


def start() -> None:
    """Begin the command line; until it has begun, Ctrl-C ends this process without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Most of a second, in which there is nothing to clean up, and nothing to be told but our own frames.
    from layerlab.cli import main

    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main()


start()
