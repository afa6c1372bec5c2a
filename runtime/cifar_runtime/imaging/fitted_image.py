"""A picture's file as a contract asks for it: decoded with its channels at its scale, and fitted to its size."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.contract import InputContract
from cifar_runtime.imaging.image import decode_image, read_image
from cifar_runtime.imaging.preprocess import fit_picture

if TYPE_CHECKING:
    from PIL.Image import Image


def read_fitted(path: str | Path, contract: InputContract) -> NDArray[np.uint8]:
    """The picture in a file in the model's size, see :func:`cifar_runtime.imaging.preprocess.fit_picture`.

    Raises:
        InputError: the file is no picture that can be read.
    """
    return fit_picture(read_picture(path, contract), contract)


def read_picture(path: str | Path, contract: InputContract) -> "Image":
    """The upright picture in a file, see :func:`cifar_runtime.imaging.image.read_image`, not fitted yet.

    Raises:
        InputError: the file is no picture that can be read.
    """
    return read_image(
        path, keep_alpha=contract.shape[2] == 4, least_jpeg_side=contract.least_jpeg_side
    )


def decode_picture(data: bytes, name: str, contract: InputContract) -> "Image":
    """The upright picture in the bytes of a file, as :func:`read_picture` gives it.

    Args:
        data: the file's bytes.
        name: what to call it in error messages.
        contract: gives the channels and the scale.

    Raises:
        InputError: the bytes are no picture that can be read.
    """
    return decode_image(
        data,
        name=name,
        keep_alpha=contract.shape[2] == 4,
        least_jpeg_side=contract.least_jpeg_side,
    )
