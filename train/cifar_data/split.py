"""Labelled images under a name."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Labelled images under the name that reports quote.

    Attributes:
        name: the split's name.
        images: uint8, shape (n, 32, 32, 3), RGB, 0..255.
        labels: uint8, shape (n,), indices into ``LABELS``.
        ids: int64, shape (n,), positions in CIFAR-10's official training or test order.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.labels) == len(self.ids):
            raise InputError(
                f"split {self.name}: {len(self.images)} images, {len(self.labels)} labels and "
                f"{len(self.ids)} ids do not belong together.",
                hint="Give one label and one id for each image.",
            )

    def ids_sha256(self) -> str:
        """The digest that names exactly these images: SHA-256 of the ids as little-endian int64."""
        return hashlib.sha256(self.ids.astype("<i8").tobytes()).hexdigest()

    def take(self, positions: NDArray[np.int64], *, name: str) -> "Split":
        """The examples at ``positions``, int64, shape (m,), as a split of another name."""
        return Split(
            name=name,
            images=self.images[positions],
            labels=self.labels[positions],
            ids=self.ids[positions],
        )
