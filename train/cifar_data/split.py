"""Labelled images under a name: of any size, with any classes. Holds arrays; reads no files."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Labelled images under the name that reports quote.

    Attributes:
        name: the split's name, or a folder's without its path.
        images: uint8, shape (n, height, width, channels), RGB, 0..255.
        labels: integers, shape (n,), indices into ``label_names``; kept as int64.
        label_names: the classes, in the order of the scores of a model trained on them.
        ids: int64, shape (n,), positions in the data set's own order: CIFAR-10's training or test order, a folder's
            order of files.
        targets: bool, shape (n, num_classes), which labels hold of each image, where any number may; ``labels`` then
            has the first of them, 0 where none does. None where one label holds.

    Raises:
        InputError: the arrays do not belong together, or a label has no name.

    Example:
        >>> import numpy as np
        >>> from cifar_data import Split
        >>> split = Split(
        ...     name="grey",
        ...     images=np.full((2, 16, 24, 3), 128, np.uint8),
        ...     labels=np.array([0, 1]),
        ...     label_names=("cat", "dog"),
        ...     ids=np.arange(2),
        ... )
        >>> split.image_shape
        (16, 24, 3)
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    ids: NDArray[np.int64]
    targets: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.labels) == len(self.ids):
            raise InputError(
                f"split {self.name}: {len(self.images)} images, {len(self.labels)} labels and "
                f"{len(self.ids)} ids do not belong together.",
                hint="Give one label and one id for each image.",
            )
        _check_images(self.name, self.images)
        # CIFAR-10 stores uint8, in which counting pairs of labels overflows from 17 classes on.
        labels = _checked_labels(self.name, self.labels, len(self.label_names))
        object.__setattr__(self, "labels", labels)
        _check_targets(self.name, self.targets, (len(labels), len(self.label_names)))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        _, height, width, channels = self.images.shape
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """How many classes there are, whether or not each has an image."""
        return len(self.label_names)

    def ids_sha256(self) -> str:
        """The digest that names exactly these images: SHA-256 of the ids as little-endian int64."""
        return hashlib.sha256(self.ids.astype("<i8").tobytes()).hexdigest()

    def sha256(self) -> str:
        """The digest of the pixels, followed by the labels as little-endian int64, or the targets as bytes 0 and 1."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).tobytes())
        truth = self.labels.astype("<i8") if self.targets is None else self.targets
        digest.update(np.ascontiguousarray(truth).tobytes())
        return digest.hexdigest()

    def take(self, positions: NDArray[np.integer[Any]], *, name: str) -> "Split":
        """The examples at ``positions``, integers, shape (m,), as a split of another name."""
        return replace(
            self,
            name=name,
            images=self.images[positions],
            labels=self.labels[positions],
            ids=self.ids[positions],
            targets=None if self.targets is None else self.targets[positions],
        )


def _check_images(name: str, images: NDArray[np.uint8]) -> None:
    if images.ndim != 4 or images.dtype != np.uint8:
        raise InputError(
            f"split {name}: images are {images.dtype} of shape {images.shape}, expected uint8 of shape "
            "(n, height, width, channels).",
            hint="Give whole pixels 0..255.",
        )


def _check_targets(name: str, targets: NDArray[np.bool_] | None, shape: tuple[int, int]) -> None:
    if targets is not None and (targets.dtype != np.bool_ or targets.shape != shape):
        raise InputError(
            f"split {name}: targets are {targets.dtype} of shape {targets.shape}, expected bool of shape {shape}.",
            hint="Say of each image and each label whether it holds.",
        )


def _checked_labels(
    name: str, labels: NDArray[np.integer[Any]], num_classes: int
) -> NDArray[np.int64]:
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise InputError(
            f"split {name}: labels are {labels.dtype} of shape {labels.shape}, expected integers of shape (n,).",
            hint="Give each image the index of its class.",
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise InputError(
            f"split {name}: its labels are {labels.min()} to {labels.max()}, expected 0 to {num_classes - 1} "
            f"for {num_classes} label names.",
            hint="Give one name for each class.",
        )
    return labels.astype(np.int64, copy=False)
