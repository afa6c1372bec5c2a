"""The results: a folder of Parquet files, each whole or not there at all, and what the files of earlier runs hold."""

import uuid
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_batch.place import Place, files_below, reading
from cifar_batch.sources import PARQUET
from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import InputError, UsageError
from cifar_runtime.system.files import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

    from cifar_runtime.classifier import Prediction

_MODEL, _SHA256 = b"cifar-edge.model", b"cifar-edge.model_sha256"


def results_table(outcomes: "Iterable[tuple[str, Prediction | InputError]]") -> "pa.Table":
    """The results as a table: path, label, probability, abstained, and error, which alone a bad picture has."""
    import pyarrow as pa

    return pa.Table.from_pylist([_row(path, outcome) for path, outcome in outcomes], _schema())


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("label", pa.string()),
            pa.field("probability", pa.float64()),
            pa.field("abstained", pa.bool_()),
            pa.field("error", pa.string()),
        ]
    )


def _row(path: str, outcome: "Prediction | InputError") -> dict[str, Any]:
    if isinstance(outcome, InputError):
        return {"path": path, "error": str(outcome)}
    return {
        "path": path,
        "label": outcome.label,
        "probability": outcome.probability,
        "abstained": outcome.abstained,
    }


class ResultFolder:
    """The files of results of one model."""

    def __init__(self, where: Place, artefact: Artefact) -> None:
        """Nothing is looked at or made yet."""
        self._where = where
        self._marks = {_MODEL: artefact.name.encode(), _SHA256: artefact.sha256.encode()}
        self._names = (f"part-{uuid.uuid4().hex[:8]}-{number:05d}{PARQUET}" for number in _count())

    def done(self) -> set[str]:
        """The paths whose results are there; none where the folder is not.

        Raises:
            InputError: it is a file, or holds what cifar-batch did not write.
            UsageError: they are results of another model.
        """
        from pyarrow.fs import FileType

        system, root = self._where.opened()
        with reading(self._where.given):
            kind = system.get_file_info(root).type
        if kind == FileType.NotFound:
            return set()
        if kind == FileType.File:
            raise InputError(
                f"{self._where.given}: is a file, expected a folder for Parquet files, or nothing.",
                hint="Give another name.",
            )
        files = files_below(self._where, (PARQUET,))
        return {path for file in files for path in self._paths(system, file)}

    def _paths(self, system: Any, file: str) -> list[str]:
        import pyarrow.parquet as pq

        with reading(file), pq.ParquetFile(file, filesystem=system) as opened:
            marks = opened.schema_arrow.metadata or {}
            if _SHA256 not in marks:
                raise InputError(
                    f"{file}: is not one of cifar-batch's results.", hint="Give another folder."
                )
            if marks[_SHA256] != self._marks[_SHA256]:
                raise UsageError(
                    f"{self._where.given}: holds results of {marks[_MODEL].decode()} (sha256 "
                    f"{marks[_SHA256].decode()[:8]}…), expected those of {self._marks[_MODEL].decode()} "
                    f"({self._marks[_SHA256].decode()[:8]}…).",
                    hint="Give another folder, or the same model.",
                )
            return list(opened.read(["path"])["path"].to_pylist())

    def write(self, tables: "list[pa.Table]") -> None:
        """Writes one more file; it is there at once and whole, or not at all.

        Raises:
            OSError: it cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.concat_tables(tables).replace_schema_metadata(self._marks)
        buffer = BytesIO()
        pq.write_table(table, buffer)
        system, root = self._where.opened()
        path = f"{root}/{next(self._names)}"
        if not self._where.remote:
            write_atomically(Path(path), buffer.getvalue())
            return
        with system.open_output_stream(path) as stream:  # an object appears when closed
            stream.write(buffer.getvalue())


def _count() -> Iterator[int]:
    from itertools import count

    return count()
