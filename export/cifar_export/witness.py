"""A witness beside a converter, which says what was being made when the process died; it changes no exit status.

A crash inside a converter, or the system in want of memory, ends the process before any handler of Python's runs. A
shell that waits on a pipe costs milliseconds, where a converter in a process of its own would import TensorFlow again.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cifar_runtime.plain_text import printable

_SHELL = Path("/bin/sh")
# The end of the pipe without a line before it means that nobody is left to write one.
_SCRIPT = 'read -r _ || printf "\\n%s\\n" "$0" >&2'


@contextlib.contextmanager
def witnessed(last_words: str) -> Iterator[None]:
    """Writes ``last_words`` to stderr if the process dies inside; where there is no ``/bin/sh`` it does nothing.

    Args:
        last_words: what happened, what was expected, and what to do.
    """
    if not _SHELL.exists():
        yield
        return
    shell = subprocess.Popen(  # noqa: S603 - a fixed script; what varies is printed
        [_SHELL, "-c", _SCRIPT, printable(last_words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={"PATH": os.defpath},
    )
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):  # it was interrupted, as this process was
            shell.communicate(b"\n")
