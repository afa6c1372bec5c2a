"""Labelled images of the user's own: a folder with one folder a class, or a CSV file of ``path,label``.

A CSV file can give a picture any number of labels, with semicolons between them: ``beach.jpg,sea;sky``, and
``fog.jpg,`` for none. Its paths begin where it lies.
"""

import csv
import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar_data.image_folder import class_names, image_paths, read_image_folder
from cifar_data.split import Split
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import InputError, not_one_of
from cifar_runtime.imaging.fitted_image import read_fitted
from cifar_runtime.system.files import read_once

TABLE_SUFFIX = ".csv"
SEPARATOR = ";"
TABLE_FORM = (
    f"a CSV file with the line path,label first, then lines such as beach.jpg,sea{SEPARATOR}sky"
)
_COLUMNS = ("path", "label")
_MAX_BYTES = 256 * 1024 * 1024
_EXPECTED = "expected the columns path and label, with semicolons between labels"


def is_table(source: Path) -> bool:
    """Whether images and their labels are listed in a CSV file."""
    return source.suffix.lower() == TABLE_SUFFIX


def label_names(source: Path) -> tuple[str, ...]:
    """The names of all labels in Unicode's form NFC, sorted, as Keras has them.

    Raises:
        InputError: it cannot be read, or names none.
    """
    if not is_table(source):
        return class_names(source)
    return tuple(sorted({name for row in _rows(source) for name in row.labels}))


def check_any_number(source: Path) -> None:
    """Checks that images come with any number of labels each.

    Raises:
        InputError: they lie in class folders, which give each one.
    """
    if not is_table(source):
        raise InputError(
            f"{source}: gives each picture one label, expected a CSV file: any number of the model's labels may hold.",
            hint=f"Give {TABLE_FORM}. If one label holds, end the model in a softmax.",
        )


def labelled_paths(source: Path, labels: tuple[str, ...]) -> list[Path]:
    """The pictures in the order that the ids of :func:`read_labelled_images` count.

    Raises:
        InputError: they cannot be listed.
    """
    if not is_table(source):
        return image_paths(source, labels)
    return [source.parent / row.path for row in _rows(source)]


def read_labelled_images(
    source: Path, *, labels: tuple[str, ...], contract: InputContract, any_number: bool = False
) -> Split:
    """All the pictures of a folder or a CSV file.

    Args:
        source: a folder with one folder a class, or a CSV file.
        labels: in the order of the scores.
        contract: the size of the images, and how pictures are brought to it.
        any_number: whether any number of labels may hold of a picture, which only a CSV file says; else one does.

    Raises:
        InputError: it cannot be read, has other labels, or a picture does not decode.
    """
    if is_table(source):
        return _read_table(source, labels, contract, any_number=any_number)
    if any_number:
        check_any_number(source)
    return read_image_folder(source, labels=labels, contract=contract)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    line: int
    path: str
    labels: tuple[str, ...]


def _rows(table: Path) -> list[_Row]:
    """The rows of a CSV file, each picture in one of them.

    Raises:
        InputError: it is none, or names a picture twice, or no label at all.
    """
    data = read_once(table, max_bytes=_MAX_BYTES, error=InputError)
    try:
        # Labels get one form of Unicode, paths keep theirs: they are names of files.
        rows = list(_parsed(table, data.decode("utf-8-sig")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{table}: is no CSV file: {error}, {_EXPECTED}.", hint="Save it as UTF-8."
        ) from error
    seen: set[str] = set()
    for row in rows:
        if row.path in seen:
            raise _wrong_line(table, row.line, f"names {row.path} again")
        seen.add(row.path)
    if not any(row.labels for row in rows):
        raise InputError(
            f"{table}: names {len(rows)} pictures and no label, {_EXPECTED}.",
            hint="Begin with the line path,label.",
        )
    return rows


def _parsed(table: Path, text: str) -> Iterator[_Row]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    if not set(_COLUMNS) <= set(reader.fieldnames or ()):
        found = ",".join(reader.fieldnames or ()) or "empty"
        raise InputError(
            f"{table}: its first line is {found[:80]}, {_EXPECTED}.",
            hint="Begin with the line path,label.",
        )
    for row in reader:
        path = (row["path"] or "").strip()
        if not path or row["label"] is None or None in row:
            raise _wrong_line(table, reader.line_num, "has other columns")
        names = (
            unicodedata.normalize("NFC", name.strip()) for name in row["label"].split(SEPARATOR)
        )
        labels = tuple(dict.fromkeys(name for name in names if name))
        yield _Row(line=reader.line_num, path=path, labels=labels)


def _wrong_line(table: Path, line: int, what: str) -> InputError:
    return InputError(
        f"{table}: line {line} {what}, {_EXPECTED}, and each picture once.",
        hint="Mend that line.",
    )


def _read_table(
    table: Path, labels: tuple[str, ...], contract: InputContract, *, any_number: bool
) -> Split:
    rows = _rows(table)
    targets = _targets(table, rows, labels)
    if not any_number:
        _refuse_several(table, rows)
    images = np.empty((len(rows), *contract.shape), np.uint8)
    for index, row in enumerate(rows):
        images[index] = read_fitted(table.parent / row.path, contract)
    return Split(
        name=table.stem,
        images=images,
        labels=targets.argmax(axis=1),
        label_names=labels,
        ids=np.arange(len(rows)),
        targets=targets if any_number else None,
    )


def _targets(table: Path, rows: list[_Row], labels: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which labels hold of each picture, bool, shape (n, labels)."""
    places = {unicodedata.normalize("NFC", name): index for index, name in enumerate(labels)}
    targets = np.zeros((len(rows), len(labels)), np.bool_)
    for index, row in enumerate(rows):
        for name in row.labels:
            if name not in places:
                raise InputError(
                    f"{table}: line {row.line}: label {not_one_of(name, labels)}.",
                    hint="Name them like the model's labels.",
                )
            targets[index, places[name]] = True
    return targets


def _refuse_several(table: Path, rows: list[_Row]) -> None:
    for row in rows:
        if len(row.labels) != 1:
            raise InputError(
                f"{table}: line {row.line} gives {row.path} {len(row.labels)} labels, expected one: the model's "
                "scores are of classes of which one holds.",
                hint="A model whose labels hold independently ends in a sigmoid.",
            )
