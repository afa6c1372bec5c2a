"""Tries a foreign model in a child process, since a file can abort or hang its interpreter.

The child gets the bytes on stdin, opens them, runs one image, and ends; memory, processor time and
wall time are limited. Only a model that passes is opened in this process. The limits are far above
what a classifier for a device needs, and grow with the file.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cifar_runtime.artefact import Artefact
from cifar_runtime.contract import contract_from_json
from cifar_runtime.errors import ArtefactError, CifarEdgeError, MissingDependencyError
from cifar_runtime.session import DEFAULT_OPTIONS, SessionOptions, open_session

TRIAL_MEMORY_BYTES = 1024 * 1024 * 1024  # of address space, libraries included
TRIAL_MEMORY_PER_BYTE = 8  # and so many times the file
TRIAL_CPU_SECONDS = 0.8  # to open the model and run it once
TRIAL_CPU_SECONDS_PER_BYTE = 1e-7  # 1 s more for every 10 MB
TRIAL_START_CPU_SECONDS = 20  # above that, for a slow machine to start Python and import
TRIAL_WALL_SECONDS = (
    120.0  # for a child that only sleeps: a busy machine must not refuse good models
)
_MODULES = {"tflite": "ai_edge_litert.interpreter", "onnx": "onnxruntime"}
_HINT = "Do not use this file, or convert the model again from its source."


def try_in_child(
    artefact: Artefact, *, threads: int, options: SessionOptions = DEFAULT_OPTIONS
) -> None:
    """Returns once a child process has opened a model and run it on one image.

    Args:
        artefact: the model with its stated contract.
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
    command = [sys.executable, "-P", "-m", "cifar_runtime.trial"]
    try:
        ended = subprocess.run(  # noqa: S603 - this interpreter and this module
            command,
            input=json.dumps(header).encode() + b"\n" + artefact.data,
            capture_output=True,
            timeout=TRIAL_WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(artefact, f"did not end within {TRIAL_WALL_SECONDS:g} s") from error
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
        return f"took more than {_cpu_seconds(artefact):.1f} s of processor time"
    if number > 0:
        with suppress(ValueError):
            return f"crashed with {signal.Signals(number).name}"
    return f"ended with exit code {ended.returncode}"


def _failed(artefact: Artefact, what: str) -> ArtefactError:
    return ArtefactError(
        f"{artefact.path}: opening it and running it once, in a process of its own, {what}.",
        hint=_HINT,
    )


def _cpu_seconds(artefact: Artefact) -> float:
    return TRIAL_CPU_SECONDS + TRIAL_CPU_SECONDS_PER_BYTE * len(artefact.data)


def main() -> int:
    """The child: an exit code, and an error as JSON on stdout."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        header = json.loads(sys.stdin.buffer.readline())
        artefact = Artefact(
            path=Path(header["path"]),
            format=header["format"],
            data=sys.stdin.buffer.read(),
            contract=contract_from_json(header["contract"]),
            card={},
        )
        _limit_memory(artefact)
        options = SessionOptions(**header["options"])
        _open_and_run(artefact, threads=header["threads"], options=options)
    except CifarEdgeError as error:
        return _answer(error)
    except MemoryError:
        return _answer(ArtefactError(f"{header['path']}: takes more memory than a trial may use."))
    return 0


def _answer(error: CifarEdgeError) -> int:
    sys.stdout.write(json.dumps(error.to_json()))
    return error.exit_code


def _open_and_run(artefact: Artefact, *, threads: int, options: SessionOptions) -> None:
    import importlib

    import numpy as np

    from cifar_runtime.preprocess import input_table

    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as in ort.py: read at import
    with suppress(ImportError):  # the session says what is missing
        importlib.import_module(_MODULES[artefact.format])
    image = np.random.default_rng(0).integers(0, 256, (1, *artefact.contract.input.shape))
    _limit_time(artefact)  # from here on the model's work counts, not Python's start
    session = open_session(artefact, threads=threads, options=options)
    session.run(np.take(input_table(artefact.contract.input), image))


def _limit_memory(artefact: Artefact) -> None:
    with suppress(ImportError, ValueError, OSError):  # no such limits on Windows
        import resource

        limit = TRIAL_MEMORY_BYTES + TRIAL_MEMORY_PER_BYTE * len(artefact.data)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        seconds = int(TRIAL_START_CPU_SECONDS + _cpu_seconds(artefact))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(artefact: Artefact) -> None:
    # Unlike RLIMIT_CPU it counts parts of a second; its signal ends the process, invoke() or not.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, _cpu_seconds(artefact))


if __name__ == "__main__":
    sys.exit(main())
