"""The child process in which a foreign model first runs; its parent is ``isolation``."""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from cifar_runtime.artefact import Artefact
from cifar_runtime.contract import contract_from_json
from cifar_runtime.errors import ArtefactError, CifarEdgeError
from cifar_runtime.sessions.base import SessionOptions
from cifar_runtime.sessions.interpreters import import_interpreter
from cifar_runtime.sessions.isolation import cpu_seconds
from cifar_runtime.sessions.open import open_session

SUBPROCESS_MEMORY_BYTES = 1024 * 1024 * 1024  # of address space, libraries included
SUBPROCESS_MEMORY_PER_BYTE = 8  # and so many times the file
SUBPROCESS_START_CPU_SECONDS = 20  # above that, for a slow machine to start Python and import


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
    import numpy as np

    from cifar_runtime.preprocess import input_table

    with suppress(ImportError):  # the session says what is missing
        import_interpreter(artefact.format)
    image = np.random.default_rng(0).integers(0, 256, (1, *artefact.contract.input.shape))
    _limit_time(artefact)  # from here on the model's work counts, not Python's start
    session = open_session(artefact, threads=threads, options=options)
    session.run(np.take(input_table(artefact.contract.input), image))


def _limit_memory(artefact: Artefact) -> None:
    with suppress(ImportError, ValueError, OSError):  # no such limits on Windows
        import resource

        limit = SUBPROCESS_MEMORY_BYTES + SUBPROCESS_MEMORY_PER_BYTE * len(artefact.data)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        seconds = int(SUBPROCESS_START_CPU_SECONDS + cpu_seconds(artefact))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(artefact: Artefact) -> None:
    # Unlike RLIMIT_CPU it counts parts of a second; its signal ends the process, invoke() or not.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds(artefact))


if __name__ == "__main__":
    sys.exit(main())
