"""The board's side of ``--target``: one bundle in on stdin, one report out on stdout; run by ``remote`` over ssh.

stdin is a line with the bundle's size in bytes, then the bundle, and stays open: when it ends early, the line has
broken, and the run ends. The answer is the last line on stdout. What is sent lies in one temporary folder that is
removed at the end.
"""

import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from cifar_bench.recipe import BenchRecipe
from cifar_bench.remote.bundle import unpack
from cifar_runtime.errors import INTERRUPTED_EXIT_CODE, CifarEdgeError
from cifar_runtime.plain_text import reason_of

PROGRESS_PREFIX = "cifar-bench: "

_STDIN, _STDOUT, _STDERR = 0, 1, 2


def main() -> int:
    """Serves one request on the process's own streams, and returns the exit code."""
    # Whatever an interpreter prints goes to stderr, so that stdout carries the answer alone.
    answers = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with os.fdopen(_STDIN, "rb", buffering=0, closefd=False) as stream:
            bundle = received(stream)
        threading.Thread(target=_interrupt_at_end_of_input, daemon=True).start()
        answer = answered(bundle, progress=_progress)
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT_CODE
    with os.fdopen(answers, "wb") as stream:
        stream.write(b"\n%b\n" % json.dumps(answer).encode())
    return 0


def received(stream: IO[bytes]) -> bytes:
    """The bundle on an unbuffered stream: its size in decimal on a line, then that many bytes.

    Raises:
        KeyboardInterrupt: the stream ended before.
    """
    head = b""
    while not head.endswith(b"\n"):
        head += _more(stream, 1)
    bundle = b""
    while len(bundle) < int(head):
        bundle += _more(stream, int(head) - len(bundle))
    return bundle


def framed(bundle: bytes) -> bytes:
    """The bytes from which :func:`received` reads the bundle."""
    return b"%d\n%b" % (len(bundle), bundle)


def answered(bundle: bytes, *, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
    """``{"report": TEXT}``, or ``{"error": {...}}`` as in ``CifarEdgeError.to_json``.

    Args:
        bundle: what ``bundle.pack`` made.
        progress: takes a sentence whenever something long begins.
    """
    with tempfile.TemporaryDirectory(prefix="cifar-edge-") as name:
        try:
            recipe, command = unpack(bundle, Path(name))
            return {"report": _report(recipe, command, progress)}
        except CifarEdgeError as error:
            failure = error.to_json()
        except Exception as error:  # noqa: BLE001 - the other machine's boundary reports it
            failure = CifarEdgeError(
                f"unexpected {type(error).__name__}: {reason_of(error)}."
            ).to_json()
    # The folder is gone, and its name says nothing to the user, who called the files otherwise.
    return {
        "error": {
            key: value.replace(f"{name}{os.sep}", "") if isinstance(value, str) else value
            for key, value in failure.items()
        }
    }


def _report(
    recipe: BenchRecipe, command: tuple[str, ...], progress: Callable[[str], None] | None
) -> str:
    from cifar_bench.benchmark import bench

    return bench(recipe, command=command, progress=progress).to_text()


def _more(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if not data:
        raise KeyboardInterrupt
    return data


def _interrupt_at_end_of_input() -> None:
    while os.read(_STDIN, 1):
        pass
    main_thread = threading.main_thread().ident
    if main_thread is not None:
        signal.pthread_kill(main_thread, signal.SIGINT)


def _progress(sentence: str) -> None:
    sys.stderr.write(f"{PROGRESS_PREFIX}{sentence}\n")
    sys.stderr.flush()
