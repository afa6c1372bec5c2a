"""Runs a foreign model in a child process, for every picture: a file can abort, hang or exhaust its interpreter.

The child gets the bytes on stdin, opens them and runs a first image; then it answers batch after batch. Its
memory is limited, and for every picture its processor time; wall time is, for a child that only sleeps. Once the
model is open it can open no file and no socket, where the platform limits descriptors; a filter of system calls
stands around it from before the model is opened, where Linux has one (see ``system_calls``). Whatever it does, this
process goes on and says which limit it met. The limits are far above what a classifier for a device needs, and grow
with the file. Artefacts of ours run in this process.
"""

import json
import signal
import subprocess
import sys
import threading
import warnings
import weakref
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import (
    ArtefactError,
    CifarEdgeError,
    CifarEdgeWarning,
    MissingDependencyError,
    UsageError,
)
from cifar_runtime.formats.known_formats import KNOWN_FORMATS, RuntimeName
from cifar_runtime.sessions.base import DEFAULT_OPTIONS, SessionOptions
from cifar_runtime.sessions.forked import (
    OF_THE_PARENT,
    RENEWED_IN_CHILDREN,
    kept_for_the_parent,
)
from cifar_runtime.sessions.process_limits import cpu_seconds
from cifar_runtime.sessions.tensors import check_batch, contract_input, contract_output

SUBPROCESS_WALL_SECONDS = (
    120.0  # for a child that only sleeps: a busy machine must not refuse good models
)
MAX_PICTURES = 64  # that the child is asked for at once
_HINT = "Do not use this file, or convert the model again from its source."
_OPENING, _RUNNING = "opening it and running it once", "running it on a picture"


class IsolatedSession:
    """A foreign model in a child process; threads may share it: a lock lets one in at a time."""

    runtime: RuntimeName

    def __init__(
        self, artefact: Artefact, *, threads: int, options: SessionOptions = DEFAULT_OPTIONS
    ) -> None:
        """Starts the child, which opens the model and runs it once.

        Args:
            artefact: the model with the user's contract.
            threads: worker threads inside the interpreter.
            options: how the interpreter is set up.

        Raises:
            ArtefactError: the interpreter refuses it, crashes, or goes beyond a limit.
            MissingDependencyError: its interpreter is not installed.
        """
        self.runtime = KNOWN_FORMATS[artefact.format].runtime
        self._artefact, self._threads, self._options = artefact, threads, options
        self._input = contract_input(artefact.contract)
        self._output = contract_output(artefact.contract)
        self._lock = threading.Lock()
        self._child: Any = self._started()
        RENEWED_IN_CHILDREN.add(self)

    def run(self, batch: NDArray[Any]) -> NDArray[Any]:
        """The raw scores of a batch; see :class:`cifar_runtime.sessions.base.Session`."""
        check_batch(batch, self._input)
        with self._lock:
            if self._child is None:
                raise UsageError("the session is closed.", hint="Open another one.")
            if self._child is OF_THE_PARENT:
                self._child = self._started()
            starts = range(0, len(batch), MAX_PICTURES)
            parts = [self._run_part(batch[start : start + MAX_PICTURES]) for start in starts]
        no_scores = np.empty((0, self._output.shape[1] or 0), dtype=self._output.dtype)
        return np.concatenate([no_scores, *parts])

    def close(self) -> None:
        """Ends the child."""
        with self._lock:
            if isinstance(self._child, _Child):
                self._child.end()
            self._child = None

    def renew(self) -> None:
        """In a forked child: a child process of its own at the next run; the other is the parent's."""
        self._lock = threading.Lock()
        if isinstance(self._child, _Child):
            self._child.forget()
        self._child = kept_for_the_parent(self._child)

    def _run_part(self, part: NDArray[Any]) -> NDArray[Any]:
        expected = (len(part), self._output.shape[1] or 0)
        request = json.dumps({"shape": part.shape}).encode() + b"\n" + part.tobytes()
        size = expected[0] * expected[1] * np.dtype(self._output.dtype).itemsize
        answer = self._child.ask(request, size, _RUNNING)
        return np.frombuffer(answer, dtype=self._output.dtype).reshape(expected)

    def _started(self) -> "_Child":
        artefact = self._artefact
        header = {
            "path": str(artefact.path),
            "format": artefact.format,
            "contract": artefact.contract.to_json(),
            "threads": self._threads,
            "options": asdict(self._options),
            "size_bytes": len(artefact.data),
        }
        child = _Child(artefact)
        child.ask(json.dumps(header).encode() + b"\n" + artefact.data, 0, _OPENING)
        return child


def run_in_subprocess(
    artefact: Artefact, *, threads: int, options: SessionOptions = DEFAULT_OPTIONS
) -> None:
    """Returns once a child process has opened a model and run it on one image, before it is measured in this one.

    Args:
        artefact: the model with the user's contract.
        threads: worker threads inside the interpreter.
        options: how the interpreter is set up, as it will be in this process.

    Raises:
        ArtefactError: the interpreter refuses it, crashes, or goes beyond a limit.
        MissingDependencyError: its interpreter is not installed.
    """
    IsolatedSession(artefact, threads=threads, options=options).close()


def failed_in_subprocess(
    artefact: Artefact, doing: str, code: int | None, *, cpu_limit: float
) -> ArtefactError:
    """The error of a process that ended without an answer.

    Args:
        artefact: the model in it.
        doing: what was asked of it, such as ``opening it``.
        code: its return code, as ``subprocess`` gives it; None where it took too long.
        cpu_limit: the processor time in seconds that it had.
    """
    if code is None:
        return _failed(artefact, doing, f"did not end within {SUBPROCESS_WALL_SECONDS:g} s")
    return _failed(artefact, doing, _reason(code, cpu_limit))


class _Child:
    """The process, and what became of it: after its first failure every question fails alike."""

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self._cpu_limit = cpu_seconds(artefact)
        self._failure: CifarEdgeError | None = None
        # -P: nothing in the working directory can pose as a module.
        command = [sys.executable, "-P", "-m", "cifar_runtime.sessions.isolation_child"]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            what = f"could not be started: {error.strerror}"
            raise _failed(artefact, _OPENING, what) from error
        self._finalizer = weakref.finalize(self, _end, self._process)

    def ask(self, request: bytes, size: int, doing: str) -> bytes:
        """The answer's ``size`` bytes.

        Raises:
            ArtefactError: the child failed, now or earlier.
            MissingDependencyError: its interpreter is not installed.
        """
        if self._failure is None:
            self._failure, answer = self._asked(request, size, doing)
        if self._failure is not None:
            self.end()
            raise self._failure
        return answer

    def end(self) -> None:
        """Ends the process; ending it twice is allowed."""
        self._finalizer()

    def forget(self) -> None:
        """Leaves the process alone: it is another process' child."""
        self._finalizer.detach()

    def _asked(self, request: bytes, size: int, doing: str) -> tuple[CifarEdgeError | None, bytes]:
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        overdue = threading.Event()
        timer = threading.Timer(SUBPROCESS_WALL_SECONDS, _end_overdue, (self._process, overdue))
        timer.daemon = True
        timer.start()
        try:
            with suppress(BrokenPipeError):  # it has ended: what it said is read below
                self._process.stdin.write(request)
                self._process.stdin.flush()
            status = self._process.stdout.readline()
            is_answered = status.startswith(b"ok")
            answer = self._process.stdout.read(size) if is_answered else b""
        finally:
            timer.cancel()
            timer.join()
        if is_answered and len(answer) == size:
            self._warn_of(status.decode("utf-8", "replace")[2:].strip())
            return None, answer
        if overdue.is_set():
            return failed_in_subprocess(self._artefact, doing, None, cpu_limit=self._cpu_limit), b""
        return self._why(status, doing), b""

    def _warn_of(self, unfiltered: str) -> None:
        if unfiltered:
            warnings.warn(
                f"{self._artefact.path}: runs in a process of its own without a filter of system calls: this Linux "
                f"refuses one ({unfiltered}). Its memory and time are limited nevertheless.",
                CifarEdgeWarning,
                stacklevel=2,
            )

    def _why(self, status: bytes, doing: str) -> CifarEdgeError:
        answer: Any = None
        with suppress(ValueError):
            answer = json.loads(status)
        if isinstance(answer, dict):
            error = MissingDependencyError if answer["exit_code"] == 6 else ArtefactError
            hint = answer["hint"] if error is MissingDependencyError else _HINT
            return error(answer["message"], hint=hint)
        with suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr] # a pipe
        code = self._process.wait()
        return failed_in_subprocess(self._artefact, doing, code, cpu_limit=self._cpu_limit)


def _end_overdue(process: "subprocess.Popen[bytes]", overdue: threading.Event) -> None:
    overdue.set()
    process.kill()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            pipe.close()  # type: ignore[union-attr] # both are pipes
    process.wait()


def _reason(code: int, cpu_limit: float) -> str:
    number = -code
    if number in (getattr(signal, "SIGPROF", None), getattr(signal, "SIGXCPU", None)):
        return f"took more than {cpu_limit:.1f} s of processor time"
    if number > 0:
        with suppress(ValueError):
            return f"crashed with {signal.Signals(number).name}"
    return f"ended with exit code {code}"


def _failed(artefact: Artefact, doing: str, what: str) -> ArtefactError:
    return ArtefactError(f"{artefact.path}: {doing}, in a process of its own, {what}.", hint=_HINT)
