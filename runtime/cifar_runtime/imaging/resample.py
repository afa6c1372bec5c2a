"""Brings pictures to another size, pixel for pixel as Pillow does it, or as TensorFlow does it without antialiasing.

It knows no contract and no aspect ratio (see ``preprocess``).
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.contract import ResizeFilter
from cifar_runtime.imaging.large_pictures import Box, cut_out

if TYPE_CHECKING:
    from PIL.Image import Image


def resized(
    picture: "Image", size: tuple[int, int], resize_filter: ResizeFilter, box: Box | None = None
) -> NDArray[np.uint8]:
    """The picture, or a box of it, in another size: uint8, shape (height, width, channels), each channel by itself.

    Args:
        picture: mode RGB, RGBA or L.
        size: (width, height).
        resize_filter: how pixels are mixed.
        box: left, top, right and bottom of the part to take, in pixels; None for all.
    """
    whole = (0, 0, *picture.size)
    box = box or whole
    if picture.size == size and box == whole:
        return _pixels(picture)
    if resize_filter == "bilinear-no-antialias":
        return bilinear(_pixels(picture.crop(box)), size)
    resampling = _resampling(resize_filter)
    # Pillow weighs colours with their alpha.
    bands = picture.split() if picture.mode == "RGBA" else (picture,)
    cut = (cut_out(band, box, size[0], resampling) for band in bands)
    return np.concatenate([_pixels(band.resize(size, resampling)) for band in cut], axis=2)


def letterboxed(
    picture: "Image", size: tuple[int, int], resize_filter: ResizeFilter
) -> NDArray[np.uint8]:
    """The whole picture, as large as it fits, between black bars: uint8, shape (height, width, channels).

    Where it lies is rounded as TensorFlow's ``resize_with_pad`` does it for the filter that is TensorFlow's, and as
    Pillow's ``ImageOps.pad`` does it for the others.

    Args:
        picture: mode RGB, RGBA or L.
        size: (width, height).
        resize_filter: how pixels are mixed.
    """
    place = _place_of_tensorflow if resize_filter == "bilinear-no-antialias" else _place_of_pillow
    left, top, width, height = place(picture.size, size)
    inner = resized(picture, (width, height), resize_filter)
    whole = np.zeros((size[1], size[0], inner.shape[2]), np.uint8)
    whole[top : top + height, left : left + width] = inner
    return whole


def _place_of_tensorflow(
    size: tuple[int, int], target: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Left, top, width and height of a picture in a target, of floats of 32 bits.

    Source: tensorflow/python/ops/image_ops_impl.py, resize_image_with_pad.
    """
    sides, room = (np.asarray(pair, np.float32) for pair in (size, target))
    scaled = sides / (sides / room).max()
    left, top = np.maximum(0, np.floor((room - scaled) / np.float32(2)))
    width, height = np.maximum(1, np.floor(scaled))
    return int(left), int(top), int(width), int(height)


def _place_of_pillow(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, width and height of a picture in a target. Source: Pillow, ImageOps.contain and ImageOps.pad."""
    (width, height), (columns, rows) = size, target
    if width / height > columns / rows:
        inside = max(1, round(height / width * columns))
        return 0, round((rows - inside) * 0.5), columns, inside
    inside = max(1, round(width / height * rows))
    return round((columns - inside) * 0.5), 0, inside, rows


def bilinear(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Each pixel mixed of the four around its centre, in float32, then rounded, halves to even.

    A smaller picture leaves pixels out: that is what Keras' ``image_dataset_from_directory`` and ``tf.image.resize``
    do unless asked to antialias.

    Args:
        pixels: uint8, shape (height, width, channels).
        size: (width, height).

    Source: tensorflow/core/kernels/image/resize_bilinear_op.cc, with half pixel centres.
    """
    (left, right, x), (top, bottom, y) = (
        _neighbours(found, wanted) for found, wanted in zip(pixels.shape[1::-1], size, strict=True)
    )
    above, below = (_mixed(pixels[rows], left, right, x[:, None]) for rows in (top, bottom))
    return np.rint(above + (below - above) * y[:, None, None]).astype(np.uint8)


def _mixed(
    rows: NDArray[np.uint8], left: NDArray[np.int64], right: NDArray[np.int64], share: Any
) -> NDArray[np.float32]:
    first, second = (rows[:, columns].astype(np.float32) for columns in (left, right))
    return np.asarray(first + (second - first) * share, np.float32)


def _neighbours(
    inputs: int, outputs: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The two positions along an axis that each output lies between, and how far from the first, 0..1."""
    half = np.float32(0.5)
    scale = np.float32(inputs) / np.float32(outputs)
    centres = (np.arange(outputs, dtype=np.float32) + half) * scale - half
    below = np.floor(centres)
    first = np.maximum(below, 0).astype(np.int64)
    second = np.minimum(np.ceil(centres), inputs - 1).astype(np.int64)
    return first, second, centres - below


def _pixels(picture: "Image") -> NDArray[np.uint8]:
    width, height = picture.size
    return np.frombuffer(picture.tobytes(), np.uint8).reshape(height, width, -1)


def _resampling(name: str) -> Any:
    from PIL.Image import Resampling

    return {
        "bilinear": Resampling.BILINEAR,
        "bicubic": Resampling.BICUBIC,
        "lanczos": Resampling.LANCZOS,
    }[name]
