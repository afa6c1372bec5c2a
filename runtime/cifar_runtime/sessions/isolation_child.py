"""The child process in which a foreign model runs; its parent is ``isolation``.

It answers each request with a line, ``ok`` or an error as JSON, and after ``ok`` with the scores' bytes.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.artefact import Artefact
from cifar_runtime.contract import contract_from_json
from cifar_runtime.errors import ArtefactError, CifarEdgeError
from cifar_runtime.preprocess import input_table
from cifar_runtime.sessions.base import Session, SessionOptions
from cifar_runtime.sessions.interpreters import import_interpreter
from cifar_runtime.sessions.isolation import cpu_seconds
from cifar_runtime.sessions.open import open_session

SUBPROCESS_MEMORY_BYTES = 1024 * 1024 * 1024  # of address space, libraries included
SUBPROCESS_MEMORY_PER_BYTE = 8  # and so many times the file
SUBPROCESS_START_CPU_SECONDS = 20  # above that, for a slow machine to start Python and import


def main() -> int:
    """The child: an exit code."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    answers = _private_stdout()
    header = json.loads(sys.stdin.buffer.readline())
    artefact = Artefact(
        path=Path(header["path"]),
        format=header["format"],
        data=sys.stdin.buffer.read(header["size_bytes"]),
        contract=contract_from_json(header["contract"]),
        card={},
    )
    try:
        _limit_memory(artefact)
        session = _open_and_run(artefact, header)
        _forbid_files()
        _answer(answers, b"ok\n")
        while line := sys.stdin.buffer.readline():
            scores = _scores(session, artefact, json.loads(line)["shape"])
            _answer(answers, b"ok\n" + scores.tobytes())
    except CifarEdgeError as error:
        return _fail(answers, error)
    except MemoryError:
        what = f"takes more than {_memory_bytes(artefact) // 2**20} MiB of memory"
        return _fail(answers, ArtefactError(f"{header['path']}: {what}."))
    return 0


def _private_stdout() -> BinaryIO:
    """Where answers go; what native code writes to stdout goes to stderr from here on."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _answer(answers: BinaryIO, data: bytes) -> None:
    answers.write(data)
    answers.flush()


def _fail(answers: BinaryIO, error: CifarEdgeError) -> int:
    _answer(answers, json.dumps(error.to_json()).encode() + b"\n")
    return error.exit_code


def _open_and_run(artefact: Artefact, header: dict[str, Any]) -> Session:
    with suppress(ImportError):  # the session says what is missing
        import_interpreter(artefact.format)
    image = np.random.default_rng(0).integers(0, 256, (1, *artefact.contract.input.shape))
    _limit_time(cpu_seconds(artefact))  # from here on the model's work counts, not Python's start
    options = SessionOptions(**header["options"])
    session = open_session(artefact, threads=header["threads"], options=options)
    session.run(np.take(input_table(artefact.contract.input), image))
    return session


def _scores(session: Session, artefact: Artefact, shape: list[int]) -> NDArray[Any]:
    """The scores of the next batch on stdin."""
    dtype = np.dtype(artefact.contract.input.dtype)
    data = sys.stdin.buffer.read(int(np.prod(shape)) * dtype.itemsize)
    batch = np.frombuffer(data, dtype).reshape(shape)
    _limit_time(len(batch) * cpu_seconds(artefact))
    return session.run(batch)


def _memory_bytes(artefact: Artefact) -> int:
    return SUBPROCESS_MEMORY_BYTES + SUBPROCESS_MEMORY_PER_BYTE * len(artefact.data)


def _limit_memory(artefact: Artefact) -> None:
    with suppress(ImportError, ValueError, OSError):  # no such limits on Windows
        import resource

        limit = _memory_bytes(artefact)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: float) -> None:
    """Gives what follows so much processor time; its signal ends the process, in native code too."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
    with suppress(ImportError, ValueError, OSError):  # as well, should a handler be in the way
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        until = int(time.process_time() + SUBPROCESS_START_CPU_SECONDS + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _forbid_files() -> None:
    """From here on no file and no socket can be opened: the model is open, and needs none."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


if __name__ == "__main__":
    sys.exit(main())
