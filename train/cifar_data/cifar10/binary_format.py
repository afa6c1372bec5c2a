"""CIFAR-10's binary format: records of one label byte and 3,072 planar RGB bytes; bytes in, arrays out.

Source: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version".
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.errors import InputError

RECORD_BYTES = 1 + 3 * 32 * 32


def images_from_records(data: bytes, *, origin: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images, uint8, shape (n, 32, 32, 3), and labels, uint8, shape (n,), from binary records.

    Args:
        data: whole records.
        origin: what to call ``data`` in an error message.

    Raises:
        InputError: the length is no multiple of a record, or a label is above 9.
    """
    if not data or len(data) % RECORD_BYTES:
        raise InputError(
            f"{origin}: {len(data)} bytes are not whole records of {RECORD_BYTES} bytes.",
            hint="Give CIFAR-10's binary version.",
        )
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, RECORD_BYTES)
    labels = records[:, 0].copy()
    if labels.max() > 9:
        raise InputError(
            f"{origin}: holds label {labels.max()}, expected 0 to 9.",
            hint="Give CIFAR-10, not CIFAR-100.",
        )
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels


def records_from_images(images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> bytes:
    """The binary records of ``images``, uint8, shape (n, 32, 32, 3), and ``labels``, integers 0..9, shape (n,)."""
    records = np.empty((len(labels), RECORD_BYTES), dtype=np.uint8)
    records[:, 0] = labels
    records[:, 1:] = images.transpose(0, 3, 1, 2).reshape(len(labels), -1)
    return records.tobytes()
