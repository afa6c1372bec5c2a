"""Golden pictures as one compressed block of text, and back: bytes in, pixels out. It knows no scores and no file.

A block holds the pictures on a grid of at most their own size; each cell becomes one rectangle of equal pixels. The
planes of the grid (red and blue less green) are stored as differences to the left and then to the row above, modulo
256, and compressed with zlib, base64. What a block unpacks to is known before it is unpacked, and limited.
"""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENCODING = "zlib-planes"
MAX_PICTURES = 1024
MAX_UNPACKED_BYTES = 2**27  # all pictures in their full size; 24 of 1024x1024 RGB

Grid = tuple[int, int]


def pack_images(images: NDArray[np.uint8], grid: Grid) -> dict[str, Any]:
    """The block of pictures that are constant in every cell of a grid, JSON-ready.

    Args:
        images: uint8, shape (n, height, width, channels).
        grid: rows and columns; (height, width) for any pictures.

    Raises:
        ValueError: the pictures vary within a cell.
    """
    rows, columns = (
        _first_of(size, cells) for size, cells in zip(images.shape[1:3], grid, strict=True)
    )
    cells = images[:, rows][:, :, columns]
    if not np.array_equal(on_grid(cells, images.shape[1:3]), images):
        raise ValueError(f"they vary within the cells of a grid of {grid}")
    data = base64.b64encode(zlib.compress(_residuals(cells).tobytes(), 9)).decode()
    return {"encoding": ENCODING, "count": len(images), "grid": list(grid), "data": data}


def unpack_images(block: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The pictures of a block, uint8, shape (n, height, width, channels).

    Args:
        block: of :func:`pack_images`, from anywhere.
        shape: (height, width, channels) of each.

    Raises:
        KeyError, TypeError, ValueError: the block is damaged, or larger than any that is written.
    """
    if block["encoding"] != ENCODING:
        raise ValueError(f"their encoding is {block['encoding']!r}, not '{ENCODING}'")
    count, (rows, columns) = block["count"], block["grid"]
    height, width, channels = shape
    numbers = (count, rows, columns, height, width, channels)
    if not all(type(number) is int and number > 0 for number in numbers):
        raise ValueError(f"their sizes are {numbers}, not whole numbers above zero")
    if rows > height or columns > width:
        raise ValueError(f"a grid of {(rows, columns)} is finer than pictures of {shape}")
    if count > MAX_PICTURES or count * height * width * channels > MAX_UNPACKED_BYTES:
        raise ValueError(f"{count} pictures of {shape} are more than {MAX_UNPACKED_BYTES} bytes")
    packed = base64.b64decode(block["data"], validate=True)
    residuals = np.frombuffer(
        _unpacked(packed, count * rows * columns * channels), np.uint8
    ).reshape(count, channels, rows, columns)
    return on_grid(_cells(residuals), (height, width))


def on_grid(cells: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Pictures whose cells are those of a grid.

    Args:
        cells: uint8, shape (n, rows, columns, channels).
        size: (height, width), no less than the rows and columns.
    """
    rows, columns = (
        np.arange(pixels) * number // pixels
        for pixels, number in zip(size, cells.shape[1:3], strict=True)
    )
    return np.ascontiguousarray(cells[:, rows][:, :, columns])


def _first_of(size: int, cells: int) -> NDArray[np.int64]:
    """The first position of each cell along an axis: pixel x lies in cell x * cells // size."""
    return -(-np.arange(cells) * size // cells)


def _residuals(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    planes = np.moveaxis(cells, 3, 1).copy()
    if planes.shape[1] >= 3:
        planes[:, 0] -= planes[:, 1]
        planes[:, 2] -= planes[:, 1]
    zero = np.uint8(0)
    return np.diff(np.diff(planes, axis=3, prepend=zero), axis=2, prepend=zero)


def _cells(residuals: NDArray[np.uint8]) -> NDArray[np.uint8]:
    planes = residuals.cumsum(axis=2, dtype=np.uint8).cumsum(axis=3, dtype=np.uint8)
    if planes.shape[1] >= 3:
        planes[:, 0] += planes[:, 1]
        planes[:, 2] += planes[:, 1]
    return np.moveaxis(planes, 1, 3)


def _unpacked(packed: bytes, size: int) -> bytes:
    """What zlib packed, which must be of this very size; never more memory than that."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(data) != size or not stream.eof or stream.unused_data:
        raise ValueError(f"they do not unpack to {size} bytes")
    return data
