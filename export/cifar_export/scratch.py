"""Temporary folders beside the artefacts, where everything is verified and then renamed, and for converters' files.

A folder's name says which process made it, so that the next export removes what a killed one left.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cifar_runtime.system import temporary_names

PREFIX = ".cifar-export-"


@contextlib.contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """A folder inside ``output``, on the same file system, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix=temporary_names.owned_prefix(PREFIX), dir=output))
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
    return temporary_names.sweep(output, PREFIX, now_s=now_s)
