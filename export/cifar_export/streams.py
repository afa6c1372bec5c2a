"""Keeps the converters' own messages off stdout, which carries the result and nothing else."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def quiet_conversion(*, verbose: bool = False) -> Iterator[None]:
    """Sends what converters print, from Python and from C++, to stderr when ``verbose`` and to nowhere otherwise.

    TensorFlow writes past ``sys.stdout``, so the file descriptors themselves are redirected too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    sink = os.dup(2) if verbose else os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        with (
            open(sink, "w", encoding="utf-8", closefd=False) as text,
            contextlib.redirect_stdout(text),
            contextlib.redirect_stderr(text),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # deprecations inside the converters are not the user's
            try:
                yield
            finally:
                _detach_loggers(text)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(sink)


def _detach_loggers(stream: TextIO) -> None:
    """Gives stderr to loggers that were set up inside, and would write to a closed stream ever after."""
    for name in ("tensorflow", "absl", None):
        for outer in logging.getLogger(name).handlers:
            handler = getattr(outer, "python_handler", outer)  # absl wraps its own
            if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                handler.setStream(sys.__stderr__)
