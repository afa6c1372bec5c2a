"""One epoch's batches: order, augmentation and targets, in NumPy; everything random follows from (seed, epoch)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cifar_train.augment import alternating_flips, augment, mix_pairs
from cifar_train.dataset import LABELS, Split
from cifar_train.distillation import SoftLabels, Teacher
from cifar_train.recipe import TrainRecipe

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


def batches(
    recipe: TrainRecipe, train: Split, epoch: int, *, teacher: Teacher | None = None
) -> Iterator[Batch]:
    """One epoch of (pixels, targets), float32, shapes (n, 32, 32, 3) in 0..255 and (n, 10); every image once.

    With a teacher, targets have its 10 probabilities behind those of the labels: shape (n, 20).
    """
    generator = np.random.default_rng([recipe.seed, epoch])
    order = generator.permutation(len(train.labels))
    flips = alternating_flips(len(order), epoch, seed=recipe.seed)
    augmentation = recipe.augmentation
    for start in range(0, len(order), recipe.batch_size):
        chosen = order[start : start + recipe.batch_size]
        images = train.images[chosen]
        targets = smoothed(one_hot(train.labels[chosen]), recipe.label_smoothing)
        if isinstance(teacher, SoftLabels):
            targets = np.hstack([targets, teacher.probabilities[chosen]])
        if augmentation is not None:
            images = augment(images, augmentation, generator, mirrored=flips[chosen])
        pixels = images.astype(np.float32)
        if augmentation is not None and augmentation.mixup:
            pixels, targets = mix_pairs(pixels, targets, augmentation.mixup, generator)
        if teacher is not None and not isinstance(teacher, SoftLabels):
            targets = np.hstack([targets, teacher.judge(pixels)])
        yield pixels, targets


def one_hot(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Labels, uint8, shape (n,), as float32 rows of zeros and a one, shape (n, 10)."""
    return np.eye(len(LABELS), dtype=np.float32)[labels]


def smoothed(targets: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Targets, float32, shape (n, classes), of which ``share`` is spread over all classes.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015.
    """
    if not share:
        return targets
    return targets * np.float32(1 - share) + np.float32(share / targets.shape[1])
