"""Reads a file once without ever blocking, and writes one so that a kill never leaves a half."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from cifar_runtime.errors import ArtefactError, InputError

MAX_MODEL_BYTES = 512 * 1024 * 1024


def read_once(
    path: Path, *, max_bytes: int, error: type[ArtefactError] | type[InputError]
) -> bytes:
    """The bytes of a regular file.

    Args:
        path: the file; a FIFO, device or directory is refused before it is opened for reading.
        max_bytes: refuse anything larger.
        error: the class to raise, since a model and an image have different exit codes.

    Raises:
        ArtefactError | InputError: the file is missing, unreadable, not regular, or too large.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
    except (OSError, ValueError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else str(cause)
        raise error(f"{path}: cannot be read: {reason}.", hint="Check the path.") from cause
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)  # before fdopen, which fails on a directory
        raise error(f"{path}: is not a regular file.", hint="Give the path of a file.")
    too_large = error(f"{path}: is larger than {max_bytes} bytes.", hint="Give a smaller file.")
    with os.fdopen(descriptor, "rb") as stream:
        if status.st_size > max_bytes:
            raise too_large
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:  # it grew meanwhile, or its file system knows no sizes
        raise too_large
    return data


def write_atomically(path: Path, data: bytes) -> None:
    """Writes ``data`` under a temporary name beside ``path``, syncs it, renames it into place."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    replace_atomically(path, write)


def replace_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Like :func:`write_atomically`, for writers that want a path: ``write(temporary)``, rename.

    The temporary name keeps the suffix of ``path``, since some writers choose a format by it.
    """
    import tempfile  # with shutil, which it imports, 8 ms that reading alone should not pay

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(
        prefix=f".{path.stem}.", suffix=f".tmp{path.suffix}", dir=path.parent
    )
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        _sync(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
