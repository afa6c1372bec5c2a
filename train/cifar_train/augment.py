"""Augmentation of uint8 images in NumPy, so that every Keras backend sees the same pixels; random numbers come in."""

import numpy as np
from numpy.typing import NDArray

from cifar_train.recipes import Augmentation


def augment(
    images: NDArray[np.uint8], augmentation: Augmentation, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Randomly varied copies of ``images``, uint8, shape (n, height, width, channels); each image on its own."""
    count, height, width, _ = images.shape
    reach = augmentation.translate
    rows = np.arange(height) + generator.integers(-reach, reach, size=(count, 1), endpoint=True)
    columns = np.arange(width) + generator.integers(-reach, reach, size=(count, 1), endpoint=True)
    if augmentation.flip:
        mirrored = generator.random(size=(count, 1)) < 0.5
        columns = np.where(mirrored, width - 1 - columns, columns)
    picked = np.arange(count)[:, None, None]
    varied: NDArray[np.uint8] = images[
        picked, _reflect(rows, height)[:, :, None], _reflect(columns, width)[:, None, :]
    ]
    return varied


def _reflect(positions: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Positions outside 0..size-1 mirrored at the border pixel, which is not repeated (NumPy's ``reflect``)."""
    reflected: NDArray[np.int64] = size - 1 - np.abs(size - 1 - np.abs(positions))
    return reflected
