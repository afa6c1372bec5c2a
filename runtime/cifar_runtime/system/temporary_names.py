"""Names of temporary files and folders, which say who made them, and the sweep of those that a killed process left.

The one rule for every writer: a prefix, eight digits for the machine, the process, and anything. Imported only by
what writes.
"""

import hashlib
import os
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path

# Where the process cannot be asked (another machine's, or Windows), what is this old has no owner any more.
STALE_AFTER_S = 24 * 3600


def owned_prefix(prefix: str) -> str:
    """The beginning of a name that this process may give, for ``tempfile``."""
    return f"{prefix}{_host()}-{os.getpid()}-"


def sweep(folder: Path, prefix: str, *, now_s: float | None = None) -> tuple[Path, ...]:
    """Removes the files and folders of that prefix whose process is gone, and returns them.

    Args:
        folder: where they lie.
        prefix: as for :func:`owned_prefix`.
        now_s: seconds since 1970; None for the clock.
    """
    now_s = time.time() if now_s is None else now_s
    stale = tuple(
        path for path in sorted(folder.glob(f"{prefix}*")) if _is_stale(path, prefix, now_s=now_s)
    )
    for path in stale:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
    return stale


def _is_stale(path: Path, prefix: str, *, now_s: float) -> bool:
    try:
        is_old = now_s - path.lstat().st_mtime > STALE_AFTER_S
    except OSError:  # its owner has just finished
        return False
    host, _, rest = path.name.removeprefix(prefix).partition("-")
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
