"""Decoded pictures in the user's cache folder: memory-mapped pixels, and an index that notices changed files.

``index.json`` names the file of pixels that it belongs to, so that a kill leaves the old pair or the new one.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.cifar10.splits import cache_folder
from cifar_data.pictures.decode import Decoded, Job, decode_all
from cifar_data.pictures.find import Listing
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import InputError
from cifar_runtime.system.files import write_atomically

# Of another number, an index is not read, and pictures are decoded anew: raise it when decoding changes.
_VERSION = 1
_ROWS_A_COPY = 256

Stamp = tuple[str, int, int]
Order = Callable[[Sequence[Decoded]], Sequence[int]]
OnDone = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One picture in the cache.

    Attributes:
        stamp: name, size in bytes and time of change in nanoseconds of its file; zeros for a missing one.
        row: where its pixels are.
        decoded: what decoding found.
    """

    stamp: Stamp
    row: int
    decoded: Decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """Decoded pictures.

    Attributes:
        decoded: of each picture, in the order of the listing.
        rows: uint8, shape (n, height, width, 3), memory-mapped, in the order that was asked for.
    """

    decoded: tuple[Decoded, ...]
    rows: NDArray[np.uint8]


def open_cached(
    listing: Listing,
    contract: InputContract,
    order: Order,
    *,
    processes: int,
    on_done: OnDone,
) -> Cached:
    """The pictures of a listing, of which only new and changed files are decoded.

    Args:
        listing: the pictures.
        contract: the size, and how pictures are brought to it.
        order: takes what decoding found and gives positions in the listing in the order that rows shall have.
        processes: how many decode at once.
        on_done: takes how many of how many are done.

    Raises:
        InputError: the cache folder cannot be written.
        CifarEdgeError: a process that decodes was killed.
    """
    folder = _folder_of(listing, contract)
    stamps = [_stamp(listing.root, file.name) for file in listing.files]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pixels, known = _read_index(folder, contract.shape)
        if [entry.stamp for entry in known] != stamps:
            draft = _Draft(folder, contract, (pixels, known), stamps)
            pixels, known = draft.decoded(listing, processes, on_done)
        decoded = tuple(entry.decoded for entry in known)
        wanted = np.asarray(order(decoded), dtype=np.int64)
        rows = np.array([entry.row for entry in known])
        if not np.array_equal(rows[wanted], np.arange(len(wanted))):
            pixels, known = _reordered(folder, contract, (pixels, known), wanted)
        _write_index(folder, pixels, known)
    except OSError as cause:
        raise InputError(
            f"{folder}: decoded pictures cannot be kept there: {cause.strerror or cause}.",
            hint="Free some space, or set CIFAR_EDGE_CACHE to another folder.",
        ) from cause
    return Cached(decoded=decoded, rows=_mapped(pixels, len(known), contract.shape))


def _folder_of(listing: Listing, contract: InputContract) -> Path:
    height, width, _ = contract.shape
    way = f"{height}x{width}|{contract.resize_filter}|{contract.jpeg_decoding}"
    key = f"{listing.root.resolve()}|{listing.name}|{way}"
    return cache_folder() / "pictures" / hashlib.sha256(key.encode()).hexdigest()[:16]


def _stamp(root: Path, name: str) -> Stamp:
    try:
        status = (root / name).stat()
    except OSError:
        return name, 0, 0
    return name, status.st_size, status.st_mtime_ns


def _read_index(folder: Path, shape: tuple[int, int, int]) -> tuple[Path, list[Entry]]:
    """The file of pixels and its entries; no entries where there is none, or a damaged one."""
    try:
        document = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        pixels = folder / document["pixels"]
        entries = [_entry_from(entry) for entry in document["pictures"]]
        size_bytes = len(entries) * int(np.prod(shape))
        if document["version"] == _VERSION and pixels.stat().st_size == size_bytes:
            return pixels, entries
    except (OSError, ValueError, KeyError, TypeError):
        pass  # decoding anew mends it
    return folder / "none", []


def _entry_from(document: dict[str, Any]) -> Entry:
    name, size_bytes, mtime_ns = document["stamp"]
    found = document["decoded"]
    size = found["size"] and (found["size"][0], found["size"][1])
    return Entry(
        stamp=(name, size_bytes, mtime_ns),
        row=document["row"],
        decoded=Decoded(**{**found, "size": size}),
    )


def _write_index(folder: Path, pixels: Path, entries: Sequence[Entry]) -> None:
    """Writes the index, then removes pixels that it does not name."""
    document = {
        "version": _VERSION,
        "pixels": pixels.name,
        "pictures": [asdict(entry) for entry in entries],
    }
    write_atomically(folder / "index.json", json.dumps(document).encode())
    for old in folder.glob("pixels-*.bin"):
        if old != pixels:
            old.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Draft:
    """New pixels, from old ones where a file is as it was."""

    folder: Path
    contract: InputContract
    old: tuple[Path, list[Entry]]
    stamps: list[Stamp]

    def decoded(
        self, listing: Listing, processes: int, on_done: OnDone
    ) -> tuple[Path, list[Entry]]:
        """The file of pixels in the order of the listing, and its entries."""
        pixels, known = self.old
        before = {entry.stamp: entry for entry in known}
        kept = {row: before[stamp] for row, stamp in enumerate(self.stamps) if stamp in before}
        path = _new_pixels(self.folder, len(self.stamps), self.contract.shape)
        if kept:
            source = np.array([entry.row for entry in kept.values()])
            _copy_rows(
                (pixels, len(known)),
                (path, len(self.stamps)),
                self.contract,
                source,
                np.array(list(kept)),
            )
        job = Job(
            rows=path,
            num_rows=len(self.stamps),
            contract=self.contract,
            files=tuple(
                (row, listing.root / stamp[0])
                for row, stamp in enumerate(self.stamps)
                if row not in kept
            ),
        )
        fresh = decode_all(job, processes=processes, on_done=on_done)
        found = fresh | {row: entry.decoded for row, entry in kept.items()}
        return path, [
            Entry(stamp=stamp, row=row, decoded=found[row]) for row, stamp in enumerate(self.stamps)
        ]


def _reordered(
    folder: Path,
    contract: InputContract,
    old: tuple[Path, list[Entry]],
    wanted: NDArray[np.int64],
) -> tuple[Path, list[Entry]]:
    pixels, known = old
    rest = np.setdiff1d(np.arange(len(known)), wanted)
    places = np.concatenate([wanted, rest]).astype(np.int64)
    path = _new_pixels(folder, len(known), contract.shape)
    source = np.array([known[position].row for position in places])
    count = len(known)
    _copy_rows((pixels, count), (path, count), contract, source, np.arange(count))
    row_of = {int(position): row for row, position in enumerate(places)}
    return path, [
        Entry(stamp=entry.stamp, row=row_of[position], decoded=entry.decoded)
        for position, entry in enumerate(known)
    ]


def _new_pixels(folder: Path, count: int, shape: tuple[int, int, int]) -> Path:
    path = folder / f"pixels-{uuid.uuid4().hex}.bin"
    with path.open("wb") as stream:
        os.truncate(stream.fileno(), count * int(np.prod(shape)))
    return path


def _copy_rows(
    source: tuple[Path, int],
    target: tuple[Path, int],
    contract: InputContract,
    source_rows: NDArray[np.int64],
    target_rows: NDArray[np.int64],
) -> None:
    """Copies rows from one file of pixels to another, a few at a time."""
    old = np.memmap(source[0], np.uint8, "r", shape=(source[1], *contract.shape))
    new = np.memmap(target[0], np.uint8, "r+", shape=(target[1], *contract.shape))
    for start in range(0, len(source_rows), _ROWS_A_COPY):
        part = slice(start, start + _ROWS_A_COPY)
        new[target_rows[part]] = old[source_rows[part]]
    new.flush()


def _mapped(path: Path, count: int, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.memmap(path, np.uint8, "r", shape=(count, *shape))
