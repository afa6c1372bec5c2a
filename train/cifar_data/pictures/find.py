"""Which pictures a folder or a CSV file names, with their labels; reads names, never pixels."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cifar_data.image_folder import class_names
from cifar_runtime.errors import InputError
from cifar_runtime.imaging.image_files import image_files
from cifar_runtime.system.files import read_once

Part = Literal["train", "validation", "test"]

_PART_FOLDERS: dict[str, Part] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_COLUMNS = ("path", "label")
_MAX_CSV_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One picture's file.

    Attributes:
        name: its path below the root, with slashes.
        label: index into the labels.
        part: the split that its folder names; None where the content decides.
    """

    name: str
    label: int
    part: Part | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All pictures that a folder or a CSV file names.

    Attributes:
        name: of the folder or the file, without its path.
        root: where the names of the pictures begin.
        labels: class names, sorted.
        files: the pictures, ordered by label, then by name.
        ignored: how many pictures are of formats that this does not decode, by suffix.
    """

    name: str
    root: Path
    labels: tuple[str, ...]
    files: tuple[Found, ...]
    ignored: dict[str, int]


def find_pictures(source: str | Path) -> Listing:
    """The pictures of ``FOLDER/<class>/``, ``FOLDER/train|val|test/<class>/``, or a CSV file of ``path,label``.

    Raises:
        InputError: it is none of these, or names fewer than two classes or no picture.
    """
    source = Path(source)
    listing = _from_csv(source) if source.suffix.lower() == ".csv" else _from_folder(source)
    if len(listing.labels) < 2 or not listing.files:
        raise InputError(
            f"{source}: number of pictures {len(listing.files)}, of classes {len(listing.labels)}; expected some "
            "pictures of two classes or more.",
            hint="Sort the pictures into one folder a class.",
        )
    return listing


def _from_folder(folder: Path) -> Listing:
    tops = class_names(folder)
    parts = {name: _PART_FOLDERS.get(name.lower()) for name in tops}
    if "train" not in parts.values() or None in parts.values():
        return _listing(folder, {folder: None})
    return _listing(folder, {folder / name: part for name, part in parts.items()})


def _listing(root: Path, parents: dict[Path, Part | None]) -> Listing:
    """The pictures in the class folders of ``parents``."""
    labels = tuple(sorted({name for parent in parents for name in class_names(parent)}))
    walks = [
        (image_files(parent / folder, recursive=True), label, part)
        for parent, part in parents.items()
        for label, folder in enumerate(labels)
        if (parent / folder).is_dir()
    ]
    files = [
        Found(name=Path(path).relative_to(root).as_posix(), label=label, part=part)
        for walk, label, part in walks
        for path in walk.images
    ]
    suffixes = Counter(Path(path).suffix.lower() for walk, *_ in walks for path in walk.undecodable)
    return Listing(
        name=root.resolve().name or "pictures",
        root=root,
        labels=labels,
        files=_in_order(files),
        ignored=dict(sorted(suffixes.items())),
    )


def _from_csv(path: Path) -> Listing:
    data = read_once(path, max_bytes=_MAX_CSV_BYTES, error=InputError)
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as cause:
        raise InputError(f"{path}: is no CSV file: {cause}.", hint="Save it as UTF-8.") from cause
    for number, row in enumerate(rows, start=2):
        if not all((row.get(column) or "").strip() for column in _COLUMNS):
            raise InputError(
                f"{path}: line {number} has no path or no label, expected columns named path and label.",
                hint="Begin with the line path,label.",
            )
    labels = tuple(sorted({row["label"].strip() for row in rows}))
    files = [
        Found(name=row["path"].strip(), label=labels.index(row["label"].strip())) for row in rows
    ]
    return Listing(
        name=path.stem, root=path.parent, labels=labels, files=_in_order(files), ignored={}
    )


def _in_order(files: list[Found]) -> tuple[Found, ...]:
    return tuple(sorted(files, key=lambda file: (file.label, file.name)))
