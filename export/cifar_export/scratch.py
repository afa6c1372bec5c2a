"""Temporary folders beside the artefacts, where everything is verified and then renamed, and for converters' files.

A folder's name says which process made it, so that the next export removes what a killed one left.
"""

import contextlib
import hashlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".cifar-export-"
# Where the process cannot be asked (another machine's, or Windows), a folder this old has no owner any more.
_STALE_AFTER_S = 24 * 3600


@contextlib.contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """A folder inside ``output``, on the same file system, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{_host()}-{os.getpid()}-", dir=output))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for files that are never published, in the system's temporary folder, removed at the end."""
    with staging_folder(scratch_parent()) as path:
        yield path


def scratch_parent() -> Path:
    """Where :func:`scratch_folder` makes its folders, for :func:`sweep`."""
    return Path(tempfile.gettempdir())


def sweep(output: Path, *, now_s: float | None = None) -> tuple[Path, ...]:
    """Removes the staging folders whose process is gone, and returns them.

    Args:
        output: the folder to publish into, or :func:`scratch_parent`.
        now_s: seconds since 1970; None for the clock.
    """
    now_s = time.time() if now_s is None else now_s
    stale = tuple(
        path for path in sorted(output.glob(f"{PREFIX}*")) if _is_stale(path, now_s=now_s)
    )
    for path in stale:
        shutil.rmtree(path, ignore_errors=True)
    return stale


def _is_stale(path: Path, *, now_s: float) -> bool:
    try:
        is_old = now_s - path.stat().st_mtime > _STALE_AFTER_S
    except FileNotFoundError:  # its owner has just finished
        return False
    host, _, rest = path.name.removeprefix(PREFIX).partition("-")
    pid = rest.partition("-")[0]
    return is_old or (host == _host() and pid.isdecimal() and not _is_running(int(pid)))


def _host() -> str:
    """Eight hexadecimal digits that stand for this machine, without its name."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _is_running(pid: int) -> bool:
    if os.name != "posix":  # there signal 0 is an interrupt
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
