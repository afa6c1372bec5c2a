"""Keeps an interpreter's own messages away from the streams of the program that uses it.

LiteRT and onnxruntime write through C, past ``sys.stderr``; so the descriptor itself is held back
for the moment of opening. What other threads write meanwhile is passed on afterwards.
"""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from cifar_runtime.system.forks import in_forked_child

_STDERR = 2
# "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.", "W0000 00:00:1700000000 ...",
# "2026-01-01 00:00:00.0 [W:onnxruntime:...", each with or without colour codes.
INTERPRETER_LINE = re.compile(
    rb"(?m)^(\x1b\[[0-9;]*m)*((INFO|WARNING|ERROR): |[IWEF]\d{4} |.*\[[VIWEF]:onnxruntime).*\n?"
)
# Of a damaged or odd TIFF: "TIFFReadDirectory: Warning, ...", "tempfile.tif: ...". libtiff ends a message with a full
# stop, which some have in their second line, or third, and one before "  -> ... adapted to 3.", too.
LIBTIFF_MESSAGE = re.compile(rb"(?m)^[\w.]+: ((.*\n){0,2}?.*\.\n(  -> .*\n)?|.*\n?)")
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - see forks
    _lock = threading.Lock()


in_forked_child(_renew_lock)


@contextmanager
def filtered_native_stderr(pattern: re.Pattern[bytes] = INTERPRETER_LINE) -> Iterator[None]:
    """Holds stderr back while the body runs, then passes on all but what ``pattern`` matches: whole messages."""
    held = bytearray()
    try:
        with held_stderr(held):
            yield
    finally:
        _pass_on(bytes(held), pattern)


@contextmanager
def held_stderr(text: bytearray) -> Iterator[None]:
    """Holds stderr back while the body runs; ``text`` gets what was written to it, by C too."""
    with _lock, _memory_file() as held:
        try:
            saved = os.dup(_STDERR)
        except OSError:  # stderr is closed: there is nothing to keep clean
            yield
            return
        try:
            _flush()
            os.dup2(held.fileno(), _STDERR)
            yield
        finally:
            _flush()
            os.dup2(saved, _STDERR)
            os.close(saved)
            held.seek(0)
            text += held.read()


def _memory_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("held-stderr"), "r+b")
    import tempfile  # 3 ms that Linux need not pay

    return tempfile.TemporaryFile()


def _flush() -> None:
    with suppress(AttributeError, OSError, ValueError):  # a replaced or closed sys.stderr
        sys.stderr.flush()


def _pass_on(text: bytes, pattern: re.Pattern[bytes]) -> None:
    if rest := pattern.sub(b"", text):
        with suppress(OSError):  # a full or closed stderr costs only what it would have shown
            os.write(_STDERR, rest)
