"""What a process that runs a foreign model may use: memory, processor time, files. It knows no interpreter.

Windows has no such limits; there these functions do nothing.
"""

import signal
import time
from contextlib import suppress
from pathlib import Path

from cifar_runtime.artefact import Artefact

SUBPROCESS_CPU_SECONDS = 0.8  # to open the model and run it once, and then for every picture
SUBPROCESS_CPU_SECONDS_PER_BYTE = 1e-7  # 1 s more for every 10 MB
SUBPROCESS_MEMORY_BYTES = 1024 * 1024 * 1024  # of address space, libraries included
SUBPROCESS_MEMORY_PER_BYTE = 8  # and so many times the file
SUBPROCESS_START_CPU_SECONDS = 20  # above that, for a slow machine to start Python and import


def cpu_seconds(artefact: Artefact) -> float:
    """Processor time in seconds that opening this model and running it once may take, and then each picture."""
    return SUBPROCESS_CPU_SECONDS + SUBPROCESS_CPU_SECONDS_PER_BYTE * len(artefact.data)


def memory_bytes(artefact: Artefact) -> int:
    """Address space that running this model may take."""
    return SUBPROCESS_MEMORY_BYTES + SUBPROCESS_MEMORY_PER_BYTE * len(artefact.data)


def limit_memory(artefact: Artefact, *, beside_what_is_held: bool = False) -> None:
    """Limits this process' address space to :func:`memory_bytes`, ``beside_what_is_held`` by it already or not."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        limit = memory_bytes(artefact) + (_held_bytes() if beside_what_is_held else 0)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_time(seconds: float) -> None:
    """Gives what follows so much processor time; its signal ends the process, in native code too."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
    with suppress(ImportError, ValueError, OSError):  # as well, should a handler be in the way
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        until = int(time.process_time() + SUBPROCESS_START_CPU_SECONDS + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def forbid_files() -> None:
    """From here on no file and no socket can be opened: the model is open, and needs none."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _held_bytes() -> int:
    """The address space of this process, where the system says it."""
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        import resource

        return pages * resource.getpagesize()
    return 0
