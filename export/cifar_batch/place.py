"""Where files lie: on a file system of this machine, or in an object store that a URI names (pyarrow reads both)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_runtime.errors import InputError
from cifar_runtime.imaging.image_files import is_litter
from cifar_runtime.plain_text import reason_of

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


@dataclass(frozen=True, slots=True)
class Place:
    """A file or a folder, as the user named it.

    Attributes:
        given: the path or URI.
        absolute: the same for another process, whatever folder it works in.
    """

    given: str
    absolute: str

    @property
    def remote(self) -> bool:
        """Whether it is a URI."""
        return "://" in self.given

    @property
    def name(self) -> str:
        """What the names of files in it begin with: the path or URI without options."""
        return self.given.partition("?")[0].rstrip("/") if self.remote else self.given.rstrip("/")

    def opened(self) -> "tuple[FileSystem, str]":
        """The file system, and the path on it.

        Raises:
            InputError: nothing can read such a URI.
        """
        from pyarrow.fs import FileSystem, LocalFileSystem

        if not self.remote:
            return LocalFileSystem(), self.absolute
        with reading(self.given):
            system, path = FileSystem.from_uri(self.absolute)
        return system, path.rstrip("/")


def place(text: str) -> Place:
    """The place that a path or a URI names."""
    return Place(text, text if "://" in text else str(Path(text).absolute()))


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turns what a file system or pyarrow raises into an InputError on ``name``.

    Raises:
        InputError: the body failed.
    """
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as cause:
        raise InputError(
            f"{name}: cannot be read: {reason_of(cause)}.",
            hint="Check the path, the permissions and, of a URI, the network.",
        ) from cause


def files_below(where: Place, suffixes: tuple[str, ...]) -> list[str]:
    """The files in a folder and the folders inside, sorted, as paths on its file system; a file gives itself.

    Hidden files and what tools leave behind are passed over, as :mod:`cifar_runtime.imaging.image_files` does.

    Raises:
        InputError: it cannot be listed, or does not exist.
    """
    from pyarrow.fs import FileSelector, FileType

    system, root = where.opened()
    with reading(where.given):
        found = system.get_file_info(root)
        if found.type == FileType.NotFound:
            raise nothing_at(where)
        if found.type == FileType.File:
            return [root] if root.lower().endswith(suffixes) else []
        entries: list[Any] = system.get_file_info(FileSelector(root, recursive=True))
    paths = [entry.path for entry in entries if entry.type == FileType.File]
    return sorted(
        path for path in paths if path.lower().endswith(suffixes) and not _is_hidden(path, root)
    )


def nothing_at(where: Place) -> InputError:
    """The refusal of a place where there is nothing."""
    return InputError(
        f"{where.given}: there is nothing, expected a folder or a Parquet file.",
        hint="Check the path.",
    )


def _is_hidden(path: str, root: str) -> bool:
    return any(map(is_litter, path[len(root) :].strip("/").split("/")))
