"""The pictures that are to be classified: listed by the command, opened by the workers, which may be elsewhere.

What is listed are Arrow tables, a row a picture; a part of one is what a worker gets. Nothing is decoded while listing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from cifar_batch.place import Place, files_below, nothing_at, place, reading
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import InputError
from cifar_runtime.imaging.fitted_image import decode_picture, read_picture
from cifar_runtime.imaging.image import IMAGE_SUFFIXES, MAX_IMAGE_BYTES
from cifar_runtime.imaging.image_files import UNDECODABLE_SUFFIXES, image_files
from cifar_runtime.system.files import exists, is_folder

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL.Image import Image

PARQUET = ".parquet"
_ROWS_READ_AT_ONCE = 64


class Picture(Protocol):
    """One picture of a source, not read yet."""

    @property
    def path(self) -> str:
        """What its result is known by."""
        ...

    def read(self, contract: InputContract) -> "Image":
        """The upright picture, as :func:`cifar_runtime.imaging.fitted_image.read_picture` gives it."""
        ...


class Source(Protocol):
    """Where pictures come from; pickled for the workers."""

    @property
    def most_rows(self) -> int:
        """How many pictures are handed out together at most."""
        ...

    def listed(self) -> "list[pa.Table]":
        """Every picture: tables with a column ``path``, unique over all, and what the source finds it by."""
        ...

    def pictures(self, part: "pa.Table") -> Iterator[Picture]:
        """The pictures of a part of a listed table."""
        ...


def source_at(text: str) -> Source:
    """The source at a path or URI: Parquet files where its name ends so or a folder holds any, else pictures.

    Raises:
        InputError: it cannot be listed.
    """
    where = place(text)
    if where.name.endswith(PARQUET):
        return ParquetPictures(where)
    if not where.remote:
        has_parquet = any(Path(where.absolute).rglob(f"[!.]*{PARQUET}"))
        return ParquetPictures(where) if has_parquet else LocalPictures(where)
    return ParquetPictures(where) if files_below(where, (PARQUET,)) else StoredPictures(where)


@dataclass(frozen=True, slots=True)
class _File:
    """A picture in a file of this machine."""

    path: str
    place: str

    def read(self, contract: InputContract) -> "Image":
        return read_picture(self.place, contract)


@dataclass(frozen=True, slots=True)
class _Object:
    """A picture in an object store."""

    path: str
    place: str
    system: Any

    def read(self, contract: InputContract) -> "Image":
        with reading(self.path), self.system.open_input_stream(self.place) as stream:
            data = stream.read(MAX_IMAGE_BYTES + 1)
        return decode_picture(data, self.path, contract)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A picture in a cell of a Parquet file."""

    path: str
    data: bytes | None

    def read(self, contract: InputContract) -> "Image":
        if self.data is None:
            raise InputError(f"{self.path}: has no bytes.", hint="Leave such rows out.")
        return decode_picture(self.data, self.path, contract)


@dataclass(frozen=True, slots=True)
class LocalPictures:
    """The pictures of a folder, those that cannot be decoded too, as cifar-classify takes them.

    Attributes:
        where: the folder.
    """

    where: Place
    most_rows: int = 256

    def listed(self) -> "list[pa.Table]":
        """One table of ``path`` and ``name``, the path inside the folder.

        Raises:
            InputError: it is no folder, holds no pictures, or a name that Parquet cannot hold.
        """
        if not exists(self.where.absolute):
            raise nothing_at(self.where)
        if not is_folder(self.where.absolute):
            raise InputError(
                f"{self.where.given}: is a file, expected a folder of pictures or Parquet.",
                hint="A single picture is cifar-classify's.",
            )
        found = image_files(self.where.absolute, recursive=True)
        return _named(self.where, sorted((*found.images, *found.undecodable)), self.where.absolute)

    def pictures(self, part: "pa.Table") -> Iterator[Picture]:
        """See :class:`Source`."""
        for path, name in zip(*_columns(part, "path", "name"), strict=True):
            yield _File(path, f"{self.where.absolute.rstrip('/')}/{name}")


@dataclass(frozen=True, slots=True)
class StoredPictures:
    """The pictures below a URI.

    Attributes:
        where: the URI.
    """

    where: Place
    most_rows: int = 256

    def listed(self) -> "list[pa.Table]":
        """One table of ``path`` and ``name``, the path below the URI.

        Raises:
            InputError: it cannot be listed, or holds no pictures.
        """
        found = files_below(self.where, (*IMAGE_SUFFIXES, *UNDECODABLE_SUFFIXES))
        return _named(self.where, found, self.where.opened()[1])

    def pictures(self, part: "pa.Table") -> Iterator[Picture]:
        """See :class:`Source`."""
        system, root = self.where.opened()
        for path, name in zip(*_columns(part, "path", "name"), strict=True):
            yield _Object(path, f"{root}/{name}", system)


@dataclass(frozen=True, slots=True)
class ParquetPictures:
    """The pictures in the column ``image`` of Parquet files: bytes, or a structure with a field ``bytes``.

    A row is known by its column ``path``, or where there is none by its file and number.

    Attributes:
        where: a file, or a folder of them.
    """

    where: Place
    most_rows: int = 4096  # a part of a row group is found by reading what stands before it

    def listed(self) -> "list[pa.Table]":
        """A table for each row group, of ``path``, ``file``, ``group`` and ``row``, the row's number in its group.

        Raises:
            InputError: a file is no Parquet, has no pictures, or two rows have one path.
        """
        import pyarrow.parquet as pq

        system, root = self.where.opened()
        tables: list[pa.Table] = []
        for file in files_below(self.where, (PARQUET,)):
            name = self._name(file, root)
            with reading(name), pq.ParquetFile(file, filesystem=system) as opened:
                _check_columns(name, opened.schema_arrow)
                tables += _row_groups(name, file, opened)
        _check_unique(self.where.given, tables)
        return tables

    def pictures(self, part: "pa.Table") -> Iterator[Picture]:
        """See :class:`Source`; the rows of a part are of one row group."""
        import pyarrow.parquet as pq

        paths, rows = _columns(part, "path", "row")
        file, group = part["file"][0].as_py(), part["group"][0].as_py()
        wanted = dict(zip(rows, paths, strict=True))
        with pq.ParquetFile(file, filesystem=self.where.opened()[0]) as opened:
            for row, data in enumerate(_cells(opened, group)):
                if row in wanted:
                    yield _Cell(wanted.pop(row), data())
                if not wanted:
                    return

    def _name(self, file: str, root: str) -> str:
        return self.where.name + file.removeprefix(root)


def _cells(opened: Any, group: int) -> Iterator[Any]:
    """What gives the bytes of each row of a row group: a row that nobody wants is not copied."""
    batches = opened.iter_batches(_ROWS_READ_AT_ONCE, row_groups=[group], columns=["image"])
    for batch in batches:
        column = batch.column("image")
        if hasattr(column, "field"):
            column = column.field("bytes")
        for cell in column:
            yield cell.as_py


def _row_groups(name: str, file: str, opened: Any) -> "Iterator[pa.Table]":
    import pyarrow as pa

    first = 0
    for group in range(opened.num_row_groups):
        rows = opened.metadata.row_group(group).num_rows
        if "path" in opened.schema_arrow.names:
            column = opened.read_row_group(group, columns=["path"])["path"]
            paths = [
                f"{name}#{first + i}" if one is None else one
                for i, one in enumerate(column.to_pylist())
            ]
        else:
            paths = [f"{name}#{first + row}" for row in range(rows)]
        first += rows
        yield pa.table(
            {"path": paths, "file": [file] * rows, "group": [group] * rows, "row": range(rows)}
        )


def _check_columns(name: str, schema: Any) -> None:
    import pyarrow as pa

    kind = schema.field("image").type if "image" in schema.names else None
    if kind is not None and pa.types.is_struct(kind):
        kind = kind.field("bytes").type if kind.get_field_index("bytes") >= 0 else None
    if kind is None or not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise InputError(
            f"{name}: has the columns {', '.join(schema.names)}, expected one called image with the bytes of picture "
            "files, or with a structure whose field is called bytes.",
            hint="Rename the column.",
        )


def _check_unique(name: str, tables: "list[pa.Table]") -> None:
    paths = [path for table in tables for path in table["path"].to_pylist()]
    if len(set(paths)) < len(paths):
        seen: set[str] = set()
        double = next(path for path in paths if path in seen or seen.add(path))  # type: ignore[func-returns-value]
        raise InputError(
            f"{name}: two rows have the path {double}, expected each to have its own.",
            hint="Results are known by their path: make it unique, or leave the column out.",
        )


def _named(where: Place, files: list[str], root: str) -> "list[pa.Table]":
    import pyarrow as pa

    if not files:
        raise InputError(
            f"{where.given}: holds no pictures and no Parquet file.", hint="Check the path."
        )
    for file in files:
        _check_name(file)
    names = [str(PurePosixPath(file).relative_to(root)) for file in files]
    return [pa.table({"path": [f"{where.name}/{name}" for name in names], "name": names})]


def _check_name(file: str) -> None:
    try:
        file.encode()
    except UnicodeEncodeError as cause:
        raise InputError(
            f"{file}: has a name that is not UTF-8, expected one, as Parquet holds no other.",
            hint="Rename the file.",
        ) from cause


def _columns(part: "pa.Table", *names: str) -> list[list[Any]]:
    return [part[name].to_pylist() for name in names]
