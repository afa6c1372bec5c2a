"""Reads a file once without ever blocking, and writes one so that a kill never leaves a half.

Asking whether something exists never fails here, unlike ``Path.exists``, which raises for a name that is too long
or a folder without permission: what cannot be looked at is refused when it is read, in words.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cifar_runtime.errors import ArtefactError, CifarEdgeError, InputError
from cifar_runtime.plain_text import reason_of

MAX_MODEL_BYTES = 512 * 1024 * 1024
TEMPORARY_PREFIX = ".cifar-edge-"
MAX_NAME_BYTES = 255  # of a file, on every file system in use


def read_once(
    path: str | Path, *, max_bytes: int, error: type[ArtefactError] | type[InputError]
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
        raise error(f"{Path(path)}: cannot be read: {reason}.", hint="Check the path.") from cause
    data = b""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise error(f"{Path(path)}: is not a regular file.", hint="Give the path of a file.")
        if status.st_size <= max_bytes:
            data = _read(descriptor, status.st_size + 1)
        if len(data) > status.st_size:  # it grew meanwhile, or its file system knows no sizes
            data += _read(descriptor, max_bytes + 1 - len(data))
    finally:
        os.close(descriptor)
    if max(status.st_size, len(data)) > max_bytes:
        raise error(f"{Path(path)}: is larger than {max_bytes} bytes.", hint="Give a smaller file.")
    return data


def _read(descriptor: int, num_bytes: int) -> bytes:
    """So many bytes, or all that are left; past ``open``, whose buffer costs more than a small picture's bytes."""
    parts = []
    while num_bytes > 0 and (part := os.read(descriptor, num_bytes)):
        parts.append(part)
        num_bytes -= len(part)
    return b"".join(parts)


@contextmanager
def archive_boundary(
    what: str, *, error: type[ArtefactError] | type[InputError], hint: str
) -> Iterator[None]:
    """Turns whatever reading a damaged archive raises into ``error``: ``what`` and the reason.

    zipfile, zlib, json and NumPy raise a dozen classes on flipped bytes, tokenize's among them. Our own errors pass.

    Args:
        what: the path and what it is not, without a full stop.
        error: the class to raise.
        hint: what the user can do.

    Raises:
        ArtefactError | InputError: the body failed.
    """
    try:
        yield
    except CifarEdgeError:
        raise
    except Exception as cause:
        raise error(f"{what}: {reason_of(cause)}.", hint=hint) from cause


def exists(path: str | Path) -> bool:
    """Whether something is at ``path``, as far as can be seen."""
    return os.path.exists(path)


def is_folder(path: str | Path) -> bool:
    """Whether ``path`` is a folder, as far as can be seen; the empty name is none."""
    return os.path.isdir(path)


def is_file(path: str | Path) -> bool:
    """Whether ``path`` is a regular file, as far as can be seen."""
    return os.path.isfile(path)


def why_unwritable(path: str | Path) -> str | None:
    """Why no file can be made at ``path`` with the folders it lacks, in the system's words; None where it can."""
    import errno

    if os.path.isdir(path):
        return os.strerror(errno.EISDIR)
    folder, name = os.path.split(os.path.abspath(path))
    while len(os.fsencode(name)) <= MAX_NAME_BYTES and not os.path.lexists(folder):
        folder, name = os.path.split(folder)
    if len(os.fsencode(name)) > MAX_NAME_BYTES:
        return os.strerror(errno.ENAMETOOLONG)
    if not os.path.isdir(folder):
        return os.strerror(errno.ENOTDIR)
    if not os.access(folder, os.W_OK | os.X_OK):
        return os.strerror(errno.EACCES)
    return _why_no_file_in(folder)


def _why_no_file_in(folder: str) -> str | None:
    """Why a file cannot be made there, as trying it says: /proc refuses root, who may write everywhere."""
    import tempfile

    from cifar_runtime.system.temporary_names import owned_prefix

    try:
        descriptor, name = tempfile.mkstemp(prefix=owned_prefix(TEMPORARY_PREFIX), dir=folder)
    except OSError as error:
        return error.strerror
    os.close(descriptor)
    os.unlink(name)
    return None


def list_folder(folder: str | Path) -> list["os.DirEntry[str]"]:
    """What lies in a folder, sorted by name.

    Raises:
        InputError: it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (OSError, ValueError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else str(cause)
        raise InputError(
            f"{folder}: cannot be listed: {reason}.", hint="Check the path and its permissions."
        ) from cause


def read_text_once(
    path: Path, *, max_bytes: int, error: type[ArtefactError] | type[InputError]
) -> str:
    """The text of a UTF-8 file, read as :func:`read_once` does, without a byte order mark and in form NFC.

    Editors add the mark and macOS decomposes letters; a label must be equal to itself nevertheless.

    Raises:
        ArtefactError | InputError: as ``read_once``, or it is not UTF-8.
    """
    import unicodedata

    data = read_once(path, max_bytes=max_bytes, error=error)
    try:
        return unicodedata.normalize("NFC", data.decode("utf-8-sig"))
    except UnicodeDecodeError as cause:
        raise error(f"{path}: is not UTF-8 text: {cause}.", hint="Save it as UTF-8.") from cause


def write_atomically(path: Path, data: bytes) -> None:
    """Writes ``data`` under a temporary name beside ``path``, syncs it, renames it into place."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    replace_atomically(path, write)


def replace_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Like :func:`write_atomically`, for writers that want a path: ``write(temporary)``, rename.

    The temporary name keeps the suffix of ``path``, since some writers choose a format by it. What a killed writer
    left in the folder is swept.
    """
    import tempfile  # with shutil, which it imports, 8 ms that reading alone should not pay

    from cifar_runtime.system.temporary_names import owned_prefix, sweep

    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, TEMPORARY_PREFIX)
    descriptor, name = tempfile.mkstemp(
        prefix=owned_prefix(TEMPORARY_PREFIX), suffix=path.suffix, dir=path.parent
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
