"""Ctrl-C as a fact that stays: libraries that run C++ callbacks swallow the exception, so a flag remembers it.

A command listens while it runs; before anything is published, and at the end, the flag is asked. It never
imports anything slow.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_seen = False


@contextmanager
def listening() -> Iterator[None]:
    """Remembers SIGINT while the body runs; a handler of someone else's, or an ignored signal, stays as it is."""
    global _seen  # noqa: PLW0603 - a signal handler has no other place
    _seen = False
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    try:
        signal.signal(signal.SIGINT, _remember)
    except ValueError:  # not the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupted() -> bool:
    """Whether Ctrl-C was pressed since :func:`listening` began."""
    return _seen


def check_interrupted() -> None:
    """Goes on unless Ctrl-C was pressed, whatever became of its exception.

    Raises:
        KeyboardInterrupt: it was.
    """
    if _seen:
        raise KeyboardInterrupt


def _remember(_number: int, _frame: FrameType | None) -> None:
    global _seen  # noqa: PLW0603
    _seen = True
    raise KeyboardInterrupt
