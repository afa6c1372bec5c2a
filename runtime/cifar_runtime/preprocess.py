"""Turns an upright RGB picture into a model's input tensor, exactly as its contract says.

Two steps, usable apart: ``fit_picture`` (geometry, Pillow) and ``input_table`` (values, 256 of
them, looked up). It never decodes files (see ``image``) and never runs a model.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.contract import InputContract
from cifar_runtime.large_pictures import cut_out

if TYPE_CHECKING:
    from PIL.Image import Image


def fit_picture(picture: "Image", contract: InputContract) -> NDArray[np.uint8]:
    """The picture in the model's size: uint8, shape (height, width, 3), RGB, 0..255.

    The largest centred part with the model's aspect ratio is cut out, in whole pixels (an odd pixel
    is left over at the right or at the bottom), and resized with the contract's filter,
    antialiased. A picture that has the size already comes back pixel by pixel.

    Args:
        picture: mode RGB, any size.
        contract: gives the size and the filter.
    """
    height, width, _ = contract.shape
    resampling = _resampling(contract.resize_filter)
    box = centre_box(picture.size, (width, height))
    cropped = cut_out(picture, box, width, resampling)
    if cropped.size != (width, height):
        cropped = cropped.resize((width, height), resampling)
    return np.asarray(cropped, dtype=np.uint8)


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


def _resampling(name: str) -> Any:
    from PIL.Image import Resampling

    return {
        "bilinear": Resampling.BILINEAR,
        "bicubic": Resampling.BICUBIC,
        "lanczos": Resampling.LANCZOS,
    }[name]
