"""A folder of the user's pictures as train, validation and test splits of a model's size."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cifar_data.pictures.cache import Cached, open_cached
from cifar_data.pictures.decode import Decoded
from cifar_data.pictures.divide import PARTS, Division, divide
from cifar_data.pictures.find import Listing, Part, find_pictures
from cifar_data.split import Split
from cifar_runtime.contract import InputContract, JpegDecoding, ResizeFilter, pixel_contract
from cifar_runtime.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """A folder's pictures, decoded and divided.

    Attributes:
        listing: what the folder names.
        contract: the size, and how pictures were brought to it.
        decoded: what decoding found, in the order of the listing.
        division: what becomes of each.
        splits: the images, memory-mapped; ids are positions in the listing.
    """

    listing: Listing
    contract: InputContract
    decoded: tuple[Decoded, ...]
    division: Division
    splits: dict[Part, Split]

    def digest(self, part: Part) -> str:
        """What names exactly the pictures and labels of a split, whatever their files are called.

        SHA-256 of the lines ``digest label``, sorted, each with a line feed.
        """
        files, labels = self.listing.files, self.listing.labels
        lines = sorted(
            f"{self.decoded[at].sha256} {labels[files[at].label]}\n"
            for at in self.division.parts[part]
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def splits_document(self) -> dict[str, dict[str, Any]]:
        """Number and digest of each split's pictures, as JSON-ready data."""
        return {
            part: {"images": len(self.division.parts[part]), "sha256": self.digest(part)}
            for part in PARTS
        }


def picture_contract(
    size: tuple[int, int], resize_filter: ResizeFilter, jpeg_decoding: JpegDecoding = "reduced"
) -> InputContract:
    """How a picture becomes the raw pixels of a size, (height, width), that training sees."""
    return pixel_contract((*size, 3), resize_filter, jpeg_decoding=jpeg_decoding)


def load_pictures(
    source: str | Path,
    contract: InputContract,
    *,
    processes: int = 1,
    on_done: Callable[[int, int], None] | None = None,
) -> Pictures:
    """The pictures of a folder or a CSV file, decoded once and kept in the user's cache folder.

    Args:
        source: ``FOLDER/<class>/``, ``FOLDER/train|val|test/<class>/``, or a CSV file of ``path,label``.
        contract: the size, and how pictures are brought to it.
        processes: how many decode at once; with more than one, the calling script's main module is imported in each.
        on_done: takes how many of how many are decoded.

    Raises:
        InputError: the source names no pictures of two classes, or none can be decoded.
        CifarEdgeError: a process that decodes was killed.

    Example:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from cifar_data import load_pictures, picture_contract
        >>> for name, red in (("cat", 0), ("dog", 128)):
        ...     Path("animals", name).mkdir(parents=True)
        ...     for shade in range(20):
        ...         Image.new("RGB", (64, 48), (red + shade, 0, 0)).save(f"animals/{name}/{shade}.png")
        >>> pictures = load_pictures("animals", picture_contract((32, 32), "bicubic"))
        >>> sum(len(split.labels) for split in pictures.splits.values())
        40
    """
    listing = find_pictures(source)

    def order(decoded: Sequence[Decoded]) -> list[int]:
        division = _division(listing, decoded)
        return [at for part in PARTS for at in division.parts[part]]

    cached = open_cached(
        listing, contract, order, processes=processes, on_done=on_done or (lambda *_: None)
    )
    if all(one.sha256 is None for one in cached.decoded):
        raise InputError(
            f"{source}: none of its {len(cached.decoded)} pictures can be decoded; the first, "
            f"{listing.files[0].name}: {cached.decoded[0].problem}",
            hint="Check the files.",
        )
    division = _division(listing, cached.decoded)
    return Pictures(
        listing=listing,
        contract=contract,
        decoded=cached.decoded,
        division=division,
        splits=_splits(listing, cached, division),
    )


def _division(listing: Listing, decoded: Sequence[Decoded]) -> Division:
    return divide(
        listing.files,
        [one.sha256 for one in decoded],
        fitted=[one.fitted_sha256 for one in decoded],
    )


def _splits(listing: Listing, cached: Cached, division: Division) -> dict[Part, Split]:
    """Consecutive parts of the rows, which stay in the file."""
    splits: dict[Part, Split] = {}
    start = 0
    for part in PARTS:
        positions = np.array(division.parts[part], dtype=np.int64)
        splits[part] = Split(
            name=part,
            images=cached.rows[start : start + len(positions)],
            labels=np.array([listing.files[at].label for at in positions], dtype=np.int64),
            label_names=listing.labels,
            ids=positions,
        )
        start += len(positions)
    return splits
