"""A split written as a folder of PNG files, one folder a class: the way back from arrays to pictures."""

import tempfile
from pathlib import Path

from cifar_data.split import Split
from cifar_runtime.errors import InputError, UsageError
from cifar_runtime.system.files import TEMPORARY_PREFIX
from cifar_runtime.system.temporary_names import owned_prefix, sweep


def write_picture_folder(split: Split, folder: Path) -> None:
    """Writes ``folder/<class>/<id>.png`` for each image; the folder is there when all of them are.

    Raises:
        InputError: it cannot be written.
        UsageError: the folder is there already and not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder}: is there already, expected a new or empty folder.",
            hint="Choose another folder.",
        )
    try:
        _put_into_place(split, folder)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written: {error.strerror}.",
            hint="Check the path, its permissions and the space left.",
        ) from error


def _put_into_place(split: Split, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent, TEMPORARY_PREFIX)
    prefix = owned_prefix(TEMPORARY_PREFIX)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder.parent) as staging:
        whole = Path(staging) / "whole"
        _write(split, whole)
        if folder.is_dir():
            folder.rmdir()
        whole.rename(folder)


def _write(split: Split, folder: Path) -> None:
    from PIL import Image

    for name in split.label_names:
        (folder / name).mkdir(parents=True)
    for image, label, number in zip(split.images, split.labels, split.ids, strict=True):
        path = folder / split.label_names[label] / f"{number:05d}.png"
        Image.fromarray(image).save(path)
