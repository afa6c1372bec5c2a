"""The standard streams of a command, made safe once: they exist, take every character, and fail in words.

A closed stdout stays one that cannot be written, so that a lost result is an error; messages that
stderr cannot take are dropped, so that a full log costs no result. Nothing slow is imported.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class StdoutError(OSError):
    """A result could not be written to stdout, for the reason in ``strerror``."""


class _Results(io.TextIOWrapper):
    """A stdout whose failures can be told from those of any other file."""

    def write(self, text: str, /) -> int:
        with _as_stdout_error():
            return super().write(text)

    def flush(self) -> None:
        with _as_stdout_error():
            super().flush()


@contextmanager
def _as_stdout_error() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StdoutError(error.errno, error.strerror) from error


class _Messages(io.TextIOWrapper):
    """A stderr whose failures cost nothing but the message."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def set_up_streams() -> None:
    """Opens what is closed, and lets no character that an encoding lacks end the command."""
    _fill_descriptors()
    if sys.stdin is None:
        sys.stdin = open(_STDIN, closefd=False)  # noqa: SIM115 - for the life of the process
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _results()
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _messages()


def discard_stdout() -> None:
    """Points stdout nowhere, so that Python's own flush at exit has nothing to say."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fill_descriptors() -> None:
    """Gives the three descriptors something, lest the next file that is opened becomes one of them."""
    # Read only: writing a result to a closed stdout must fail. Each takes the lowest free number.
    for descriptor, mode in ((_STDIN, os.O_RDONLY), (_STDOUT, os.O_RDONLY), (_STDERR, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)


def _results() -> _Results:
    raw = open(_STDOUT, "wb", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        return _Results(raw, encoding="utf-8", errors="backslashreplace")
    sys.stdout.flush()
    return _Results(
        raw,
        encoding=sys.stdout.encoding,
        errors="backslashreplace",
        line_buffering=sys.stdout.isatty(),
    )


def _messages() -> _Messages:
    encoding = sys.stderr.encoding if sys.stderr else "utf-8"
    raw = open(_STDERR, "wb", buffering=0, closefd=False)  # noqa: SIM115
    return _Messages(raw, encoding=encoding, errors="backslashreplace", write_through=True)
