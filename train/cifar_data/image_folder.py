"""Labelled images from a folder that has one folder a class, prepared as a contract says."""

import os
import unicodedata
import warnings
from pathlib import Path

import numpy as np

from cifar_data.choose import stratified_positions
from cifar_data.split import Split
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import CifarEdgeWarning, InputError, not_one_of
from cifar_runtime.imaging.fitted_image import read_fitted
from cifar_runtime.imaging.image_files import image_files, is_litter
from cifar_runtime.system.files import is_folder, list_folder


def class_names(folder: str | Path) -> tuple[str, ...]:
    """The names of the class folders in Unicode's form NFC, sorted.

    Raises:
        InputError: it is not a folder, cannot be listed, or has no folder inside.
    """
    return tuple(sorted(_class_folders(Path(folder))))


def read_image_folder(
    folder: str | Path,
    *,
    labels: tuple[str, ...] | None = None,
    contract: InputContract,
    limit: int | None = None,
) -> Split:
    """The pictures of a folder with one folder a class, in the order of the labels, then of the file names.

    Args:
        folder: holds one folder for each label; the split has its name.
        labels: class names in the order of the scores; None for the folders' names, sorted, as Keras has them.
        contract: the size of the images, and how pictures are brought to it.
        limit: read at most this many images, evenly over the classes, and say so in the name (``pets[:200]``); None
            for all.

    Raises:
        InputError: the folders are not the labels, hold no images, or an image does not decode.

    Example:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from cifar_data import read_image_folder
        >>> from cifar_runtime.contract import InputContract
        >>> for name in ("cat", "dog"):
        ...     Path("pets", name).mkdir(parents=True)
        ...     Image.new("RGB", (640, 480)).save(f"pets/{name}/first.png")
        >>> pixels = InputContract(
        ...     shape=(96, 96, 3),
        ...     dtype="float32",
        ...     multiplier=1.0,
        ...     offset=0.0,
        ...     scale=None,
        ...     zero_point=None,
        ...     resize_filter="bicubic",
        ... )
        >>> split = read_image_folder("pets", contract=pixels)
        >>> split.label_names, split.images.shape
        (('cat', 'dog'), (2, 96, 96, 3))
    """
    folder = Path(folder)
    name = Path(os.path.realpath(folder)).name
    if not name:
        raise InputError("the root folder is no folder of images.", hint="Check the path.")
    folders = _class_folders(folder)
    labels = labels or tuple(sorted(folders))
    _check_names(folder, labels, tuple(folders))
    files = [
        (path, index)
        for index, label in enumerate(labels)
        for path in images_below(folders[_nfc(label)])
    ]
    if not files:
        raise InputError(
            f"{folder}: its class folders hold no image, expected files such as .png or .jpg.",
            hint="Check the path.",
        )
    classes = np.array([index for _, index in files], dtype=np.int64)
    positions = stratified_positions(classes, min(limit or len(files), len(files)))
    images = np.empty((len(positions), *contract.shape), dtype=np.uint8)
    for row, position in enumerate(positions):
        images[row] = read_fitted(files[position][0], contract)
    return Split(
        name=f"{name}[:{limit}]" if limit is not None and limit <= len(files) else name,
        images=images,
        labels=classes[positions],
        label_names=labels,
        ids=positions,
    )


def image_paths(folder: Path, labels: tuple[str, ...]) -> list[Path]:
    """The pictures that :func:`read_image_folder` reads, in the order that its split's ids count.

    Raises:
        InputError: a folder cannot be listed.
    """
    folders = _class_folders(folder)
    listings = (image_files(folders[_nfc(label)], recursive=True) for label in labels)
    return [Path(path) for listing in listings for path in listing.images]


def images_below(folder: Path) -> list[Path]:
    """All image files below ``folder``, sorted; warns of pictures that cannot be decoded.

    Raises:
        InputError: a folder cannot be listed.

    Warns:
        CifarEdgeWarning: pictures were left out, with their number and some names.
    """
    found = image_files(folder, recursive=True)
    if left_out := found.undecodable:
        names = ", ".join(Path(path).name for path in left_out[:3])
        number = len(left_out)
        warnings.warn(
            f"{folder}: {number} picture{'s are' if number > 1 else ' is'} left out, since this decodes no such "
            f"format: {names}{', ...' if number > 3 else ''}. Save them as PNG or JPEG.",
            CifarEdgeWarning,
            stacklevel=2,
        )
    return [Path(path) for path in found.images]


def _class_folders(folder: Path) -> dict[str, Path]:
    """The folders inside by their names in form NFC, links to folders among them, litter not."""
    if not is_folder(folder):
        raise InputError(f"{folder}: is not a folder of images.", hint="Check the path.")
    folders: dict[str, Path] = {}
    for entry in list_folder(folder):
        if not entry.is_dir() or is_litter(entry.name):
            continue
        if folders.setdefault(_nfc(entry.name), Path(entry.path)) != Path(entry.path):
            raise InputError(
                f"{folder}: two class folders are named {entry.name}, in two forms of Unicode.",
                hint="Move the images of one into the other.",
            )
    if not folders:
        raise InputError(
            f"{folder}: holds no class folders, expected one a class, named like the label.",
            hint="Sort the images into folders first.",
        )
    return folders


def _nfc(name: str) -> str:
    """The name in the one form in which a composed and a decomposed letter are equal."""
    return unicodedata.normalize("NFC", name)


def _check_names(folder: Path, labels: tuple[str, ...], found: tuple[str, ...]) -> None:
    known = [_nfc(label) for label in labels]
    foreign = [name for name in found if name not in known]
    if foreign:
        raise InputError(
            f"{folder}: class folder {not_one_of(foreign[0], labels)}.",
            hint="Name the folders like the model's labels.",
        )
    missing = [label for label in labels if _nfc(label) not in found]
    if missing:
        raise InputError(
            f"{folder}: has no folder for {', '.join(missing)}, expected one for each of the "
            f"{len(labels)} labels.",
            hint="Make an empty folder for a class that has no images.",
        )
