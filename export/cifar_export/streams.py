"""Keeps the converters' own messages off stdout, which carries the result and nothing else."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator


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
            yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(sink)
