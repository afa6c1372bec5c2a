"""The child process in which a foreign model runs; its parent is ``isolation``.

It answers each request with a line, ``ok`` or an error as JSON, and after ``ok`` with the scores' bytes. The first
``ok`` may be followed by why the kernel refuses a filter of system calls.
"""

import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.artefact import Artefact
from cifar_runtime.contract import contract_from_json
from cifar_runtime.errors import ArtefactError, CifarEdgeError
from cifar_runtime.imaging.preprocess import input_table
from cifar_runtime.sessions.base import Session, SessionOptions
from cifar_runtime.sessions.interpreters import import_interpreter
from cifar_runtime.sessions.open import open_session
from cifar_runtime.sessions.process_limits import (
    cpu_seconds,
    forbid_files,
    limit_memory,
    limit_time,
    memory_bytes,
)
from cifar_runtime.sessions.system_calls import forbid_system_calls

# How the interpreters say that the limit was met.
_RAN_OUT = re.compile(r"bad_?\s?alloc|allocate memory|out of memory", re.IGNORECASE)


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
        limit_memory(artefact)
        session, unfiltered = _open_and_run(artefact, header)
        forbid_files()
        _answer(answers, f"ok {unfiltered or ''}".rstrip().encode() + b"\n")
        while line := sys.stdin.buffer.readline():
            scores = _scores(session, artefact, json.loads(line)["shape"])
            _answer(answers, b"ok\n" + scores.tobytes())
    except CifarEdgeError as error:
        return _fail(answers, _beyond_memory(artefact) if _RAN_OUT.search(str(error)) else error)
    except MemoryError:
        return _fail(answers, _beyond_memory(artefact))
    return 0


def _beyond_memory(artefact: Artefact) -> ArtefactError:
    what = f"takes more than {memory_bytes(artefact) // 2**20} MiB of memory"
    return ArtefactError(f"{artefact.path}: {what}.")


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


def _open_and_run(artefact: Artefact, header: dict[str, Any]) -> tuple[Session, str | None]:
    """The session, and why no filter of system calls stands around it; see ``system_calls``."""
    with suppress(ImportError):  # the session says what is missing
        import_interpreter(artefact.format)
    image = np.random.default_rng(0).integers(0, 256, (1, *artefact.contract.input.shape))
    unfiltered = forbid_system_calls(files=True)
    limit_time(cpu_seconds(artefact))  # from here on the model's work counts, not Python's start
    options = SessionOptions(**header["options"])
    session = open_session(artefact, threads=header["threads"], options=options)
    session.run(np.take(input_table(artefact.contract.input), image))
    return session, unfiltered


def _scores(session: Session, artefact: Artefact, shape: list[int]) -> NDArray[Any]:
    """The scores of the next batch on stdin."""
    dtype = np.dtype(artefact.contract.input.dtype)
    data = sys.stdin.buffer.read(int(np.prod(shape)) * dtype.itemsize)
    batch = np.frombuffer(data, dtype).reshape(shape)
    limit_time(len(batch) * cpu_seconds(artefact))
    return session.run(batch)


if __name__ == "__main__":
    sys.exit(main())
