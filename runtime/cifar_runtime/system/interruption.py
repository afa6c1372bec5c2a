"""Ctrl-C and SIGTERM as facts that stay: libraries that run C++ callbacks swallow the exception, so a flag remembers.

A command listens while it runs; between stages, before anything is published, and at the end, the flag is asked. It
never imports anything slow.
"""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

_seen: int | None = None  # the signal
_num_listening = 0
_DEFAULTS: Mapping[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


@contextmanager
def listening() -> Iterator[None]:
    """Remembers SIGINT and SIGTERM while the body runs, and raises KeyboardInterrupt for both, so that it tidies up.

    A handler of someone else's, or an ignored signal, stays as it is; a second SIGTERM ends the process at once.
    Where Python itself drops the exception, in a callback of a library, it says nothing: the flag remembers.
    """
    global _seen, _num_listening  # noqa: PLW0603 - a signal handler has no other place
    _seen = None
    _num_listening += 1
    changed = [number for number in _DEFAULTS if signal.getsignal(number) == _DEFAULTS[number]]
    try:
        for number in changed:
            signal.signal(number, _remember)
    except ValueError:  # not the main thread, which alone gets signals
        changed = []
    say_dropped = sys.unraisablehook

    def say_others(dropped: "sys.UnraisableHookArgs", /) -> None:
        if not (_seen and dropped.exc_type is KeyboardInterrupt):
            say_dropped(dropped)

    sys.unraisablehook = say_others
    try:
        yield
    finally:
        _num_listening -= 1
        sys.unraisablehook = say_dropped
        for number in changed:
            signal.signal(number, _DEFAULTS[number])


@contextmanager
def sparing_children() -> Iterator[None]:
    """Starts processes in the body that Ctrl-C passes by, from their first instruction on: their parent ends them.

    A terminal sends it to all processes at once, and one that is still importing would print a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_listening() -> bool:
    """Whether a command runs in this process: then the process is ours alone, and no other code's."""
    return _num_listening > 0


def interrupted() -> int | None:
    """The signal that came since :func:`listening` began; None where none did."""
    return _seen


def check_interrupted() -> None:
    """Goes on unless Ctrl-C was pressed or SIGTERM came, whatever became of its exception.

    Raises:
        KeyboardInterrupt: so it was.
    """
    if _seen is not None:
        raise KeyboardInterrupt


def checked_between(progress: Callable[[str], None]) -> Callable[[str], None]:
    """The progress, which what begins is announced to, with :func:`check_interrupted` before every announcement."""
    from cifar_runtime.progress import counter_of

    return _Checked(progress, counter_of(progress))


class _Checked:
    """A progress whose counts pass on unchecked."""

    def __init__(
        self, progress: Callable[[str], None], update: Callable[[int, int], object]
    ) -> None:
        self._progress, self.update = progress, update

    def __call__(self, sentence: str) -> None:
        check_interrupted()
        self._progress(sentence)


def _remember(number: int, _frame: FrameType | None) -> None:
    global _seen  # noqa: PLW0603
    _seen = number
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt
