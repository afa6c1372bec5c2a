"""Starts a worker process, sends it requests, and turns its death or silence into an error that names the model."""

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from types import TracebackType
from typing import IO, Any

from cifar_runtime.errors import (
    ArtefactError,
    CifarEdgeError,
    InputError,
    MissingDependencyError,
    UsageError,
)
from cifar_runtime.progress import Counter, silent

TIMEOUT_S = 600.0
"""A busy machine needs a minute to import TensorFlow; no single request takes longer than this."""

_ERRORS: dict[int, type[CifarEdgeError]] = {
    2: UsageError,
    3: InputError,
    4: ArtefactError,
    6: MissingDependencyError,
}
_HINT = "Open it with cifar-info; if it fails there too, convert it again."


class WorkerProcess:
    """A fresh Python process that answers requests one by one; a context manager that ends it."""

    def __init__(
        self,
        name: str,
        *,
        pinned_cpus: tuple[int, ...] | None,
        timeout_s: float = TIMEOUT_S,
        module: str = "cifar_bench.measure.worker",
    ) -> None:
        """Starts the process.

        Args:
            name: what it works on, for messages.
            pinned_cpus: the processors it is held on; None for all.
            timeout_s: longest wait for one answer, seconds.
            module: what it runs.
        """
        self._name = name
        self._timeout_s = timeout_s
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        # -P: nothing in the working directory can pose as a module.
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and our module
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._write({"pinned_cpus": pinned_cpus})

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, what: str, *, count: Counter = silent, **details: Any) -> Any:
        """The worker's answer to a request.

        Args:
            what: the name of the action.
            count: sees how far it is, where the action says so.
            details: its arguments, JSON-ready.

        Raises:
            ArtefactError: the process died or does not answer, or the model cannot be used.
            CifarEdgeError: what the worker raised.
        """
        self._write({"do": what, **details})
        answer = self._next_answer(what)
        while "counted" in answer:
            count(*answer["counted"])
            answer = self._next_answer(what)
        if "error" in answer:
            error = answer["error"]
            raise _ERRORS.get(error["exit_code"], CifarEdgeError)(
                error["message"], hint=error["hint"]
            )
        return answer["ok"]

    def close(self) -> None:
        """Ends the process and waits for it."""
        with suppress(OSError):  # the pipe of a process that has died
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._stderr.close()

    def _write(self, request: dict[str, Any]) -> None:
        stdin = self._process.stdin
        if stdin is not None:
            with suppress(BrokenPipeError):  # the missing answer says more
                stdin.write(json.dumps(request).encode() + b"\n")
                stdin.flush()

    def _next_answer(self, what: str) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=self._timeout_s)
        except queue.Empty as silence:
            self._process.kill()
            raise ArtefactError(
                f"{self._name}: its process did not answer '{what}' within {self._timeout_s:g} s.",
                hint=_HINT,
            ) from silence
        if not line:
            raise self._died(what)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _read(self) -> None:
        """Passes lines on, and an empty one at the end."""
        stdout = self._process.stdout
        if stdout is not None:
            for line in stdout:
                self._answers.put(line)
        self._answers.put(b"")

    def _died(self, what: str) -> ArtefactError:
        self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        last = f" ({lines[-1][:200]})" if lines else ""
        return ArtefactError(
            f"{self._name}: its process {_ended(self._process.returncode)} during '{what}'{last}.",
            hint=_HINT,
        )


def _ended(returncode: int) -> str:
    if returncode < 0:
        with suppress(ValueError):
            return f"crashed with {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"
