"""Turns a picture into a model's input tensor, exactly as its contract says.

Two steps, usable apart: ``fit_picture`` (geometry) and ``input_table`` (values, 256 of them, looked up). It never
decodes files (see ``fitted_image``) and never runs a model.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.contract import InputContract
from cifar_runtime.imaging.resample import letterboxed, resized

if TYPE_CHECKING:
    from PIL.Image import Image


def fit_picture(picture: "Image", contract: InputContract) -> NDArray[np.uint8]:
    """The picture in the model's size: uint8, shape (height, width, channels), 0..255.

    ``centre-crop`` cuts out the largest centred part with the model's aspect ratio, in whole pixels (an odd pixel is
    left over at the right or at the bottom); ``letterbox`` takes the whole picture, as large as it fits, between black
    bars; ``stretch`` takes it as it is. What was taken is resized with the contract's filter. A picture that has the
    size already comes back pixel by pixel. Grey is the luma of ITU-R BT.601.

    Args:
        picture: mode RGB, or RGBA for four channels; any size.
        contract: gives the size, the rule and the filter.
    """
    height, width, channels = contract.shape
    if channels != 3:
        picture = picture.convert("L" if channels == 1 else "RGBA")
    size, resize_filter = (width, height), contract.resize_filter
    if contract.resize == "letterbox":
        return letterboxed(picture, size, resize_filter)
    box = centre_box(picture.size, size) if contract.resize == "centre-crop" else None
    return resized(picture, size, resize_filter, box)


def centre_box(size: tuple[int, int], aspect: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest centred box of an aspect ratio, as (left, top, right, bottom) in pixels.

    Args:
        size: (width, height) of the picture.
        aspect: (width, height) whose ratio the box takes, rounded to the nearest pixel.
    """
    width, height = size
    aspect_width, aspect_height = aspect
    box_width = min(width, max(1, _divide_rounding(height * aspect_width, aspect_height)))
    box_height = min(height, max(1, _divide_rounding(width * aspect_height, aspect_width)))
    left, top = (width - box_width) // 2, (height - box_height) // 2
    return left, top, left + box_width, top + box_height


def input_table(contract: InputContract) -> NDArray[Any]:
    """The input value of every pixel value: the contract's dtype, shape (256,).

    Computed in float64 and rounded once, so that scales like 1 and 1/64 are exact. Halves round to
    even.

    Source: ONNX operator specification, QuantizeLinear (rounding to nearest even, saturation).
    """
    real = np.arange(256, dtype=np.float64) * contract.multiplier + contract.offset
    if contract.scale is None or contract.zero_point is None:
        return real.astype(np.float32)
    limits = np.iinfo(contract.dtype)
    steps = np.rint(real / contract.scale) + contract.zero_point
    table: NDArray[Any] = np.clip(steps, limits.min, limits.max).astype(contract.dtype)
    return table


def _divide_rounding(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
