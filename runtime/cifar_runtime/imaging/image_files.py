"""Which files of a folder are pictures: the one walk of all commands. It never opens a picture.

What systems and tools leave beside pictures is passed over: hidden files and folders (``._cat.png``,
``.ipynb_checkpoints``, ``.Trash``) and the names in :data:`LITTER`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cifar_runtime.imaging.image import IMAGE_SUFFIXES
from cifar_runtime.system.files import list_folder

LITTER = frozenset(
    ("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX", "lost+found")
)
# Pictures to their owner, but of formats that this does not decode.
UNDECODABLE_SUFFIXES = (
    *(".arw", ".avif", ".cr2", ".cr3", ".dng", ".eps", ".exr", ".hdr", ".heic", ".heif", ".ico"),
    *(".j2k", ".jp2", ".jxl", ".nef", ".orf", ".psd", ".raf", ".rw2", ".svg", ".tga"),
)


class ImageFiles(NamedTuple):
    """The pictures of a folder, each sorted by folder and name.

    Attributes:
        images: files of the formats that this decodes, by their suffix.
        undecodable: pictures of other formats.
    """

    images: tuple[str, ...]
    undecodable: tuple[str, ...]


def is_litter(name: str) -> bool:
    """Whether a file or folder of that name is no one's picture and no one's class."""
    return name.startswith(".") or name in LITTER


def image_files(folder: str | Path, *, recursive: bool) -> ImageFiles:
    """The pictures in a folder; links are followed, and no folder is entered twice.

    Args:
        folder: where to look.
        recursive: look in the folders inside as well.

    Raises:
        InputError: a folder cannot be listed.
    """
    found = sorted(_files(os.fspath(folder), set(), recursive=recursive), key=_by_folder)
    return ImageFiles(
        images=tuple(path for path in found if path.lower().endswith(IMAGE_SUFFIXES)),
        undecodable=tuple(path for path in found if path.lower().endswith(UNDECODABLE_SUFFIXES)),
    )


def _files(folder: str, entered: set[str], *, recursive: bool) -> Iterator[str]:
    place = os.path.realpath(folder)
    if place in entered:
        return
    entered.add(place)
    for entry in list_folder(folder):
        if is_litter(entry.name):
            continue
        if not entry.is_dir():  # a broken link too: reading it says so
            yield entry.path
        elif recursive:
            yield from _files(entry.path, entered, recursive=True)


def _by_folder(path: str) -> tuple[str, ...]:
    return Path(path).parts
