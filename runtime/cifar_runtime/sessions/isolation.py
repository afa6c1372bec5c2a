"""Runs a foreign model in a child process first, since a file can abort or hang its interpreter.

The child gets the bytes on stdin, opens them, runs one image, and ends; memory, processor time and
wall time are limited. Only a model that passes is opened in this process. The limits are far above
what a classifier for a device needs, and grow with the file.
"""

import json
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import ArtefactError, CifarEdgeError, MissingDependencyError
from cifar_runtime.sessions.base import DEFAULT_OPTIONS, SessionOptions

SUBPROCESS_CPU_SECONDS = 0.8  # to open the model and run it once
SUBPROCESS_CPU_SECONDS_PER_BYTE = 1e-7  # 1 s more for every 10 MB
SUBPROCESS_WALL_SECONDS = (
    120.0  # for a child that only sleeps: a busy machine must not refuse good models
)
_HINT = "Do not use this file, or convert the model again from its source."


def run_in_subprocess(
    artefact: Artefact, *, threads: int, options: SessionOptions = DEFAULT_OPTIONS
) -> None:
    """Returns once a child process has opened a model and run it on one image.

    Args:
        artefact: the model with the user's contract.
        threads: worker threads inside the interpreter.
        options: how the interpreter is set up, as it will be in this process.

    Raises:
        ArtefactError: the interpreter refuses it, crashes, or goes beyond a limit.
        MissingDependencyError: its interpreter is not installed.
    """
    header = {
        "path": str(artefact.path),
        "format": artefact.format,
        "contract": artefact.contract.to_json(),
        "threads": threads,
        "options": asdict(options),
    }
    # -P: nothing in the working directory can pose as a module.
    command = [sys.executable, "-P", "-m", "cifar_runtime.sessions.isolation_child"]
    try:
        ended = subprocess.run(  # noqa: S603 - this interpreter and this module
            command,
            input=json.dumps(header).encode() + b"\n" + artefact.data,
            capture_output=True,
            timeout=SUBPROCESS_WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(artefact, f"did not end within {SUBPROCESS_WALL_SECONDS:g} s") from error
    except OSError as error:
        raise _failed(artefact, f"could not be started: {error.strerror}") from error
    if ended.returncode != 0:
        raise _error_from(artefact, ended)


def _error_from(artefact: Artefact, ended: "subprocess.CompletedProcess[bytes]") -> CifarEdgeError:
    answer: Any = None
    with suppress(ValueError):
        answer = json.loads(ended.stdout)
    if isinstance(answer, dict):
        error = MissingDependencyError if answer["exit_code"] == 6 else ArtefactError
        hint = answer["hint"] if error is MissingDependencyError else _HINT
        return error(answer["message"], hint=hint)
    return _failed(artefact, _reason(artefact, ended))


def _reason(artefact: Artefact, ended: "subprocess.CompletedProcess[bytes]") -> str:
    number = -ended.returncode
    if number in (getattr(signal, "SIGPROF", None), getattr(signal, "SIGXCPU", None)):
        return f"took more than {cpu_seconds(artefact):.1f} s of processor time"
    if number > 0:
        with suppress(ValueError):
            return f"crashed with {signal.Signals(number).name}"
    return f"ended with exit code {ended.returncode}"


def _failed(artefact: Artefact, what: str) -> ArtefactError:
    return ArtefactError(
        f"{artefact.path}: opening it and running it once, in a process of its own, {what}.",
        hint=_HINT,
    )


def cpu_seconds(artefact: Artefact) -> float:
    """Processor time in seconds that opening this model and running it once may take."""
    return SUBPROCESS_CPU_SECONDS + SUBPROCESS_CPU_SECONDS_PER_BYTE * len(artefact.data)
