"""A picture's file in a model's size: decoded as its channels ask, fitted as its contract says."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.contract import InputContract
from cifar_runtime.imaging.image import read_image
from cifar_runtime.imaging.preprocess import fit_picture


def read_fitted(path: Path, contract: InputContract) -> NDArray[np.uint8]:
    """The picture in a file in the model's size, see :func:`cifar_runtime.imaging.preprocess.fit_picture`.

    Raises:
        InputError: the file is no picture that can be read.
    """
    return fit_picture(read_image(path, keep_alpha=contract.shape[2] == 4), contract)
