"""One epoch's batches: order, augmentation and targets; everything random follows from (seed, epoch).

NumPy draws what is random, image by image; the pixels follow from the draws, on the host or wherever the images lie.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_train.input.augment import (
    Mix,
    Views,
    alternating_flips,
    blend,
    draw_mix,
    draw_views,
    numbered_views,
    view,
)
from cifar_train.recipe import TrainRecipe
from cifar_train.teacher.distillation import CheckpointTeacher, LabelledViews, SoftLabels, Teacher

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


class Draw(NamedTuple):
    """What is random about one batch; a tuple, which JAX takes as it is.

    Attributes:
        chosen: int32, shape (n,): positions of the images.
        views: how they vary; None for as they are.
        mix: how they are blended; None for not at all.
    """

    chosen: NDArray[np.int32]
    views: Views | None
    mix: Mix | None


def batches(
    recipe: TrainRecipe, train: Split, epoch: int, *, teacher: Teacher | None = None
) -> Iterator[Batch]:
    """One epoch of (pixels, targets), float32, every image once or the classes equally often.

    Shapes are (n, height, width, channels), in 0..255, and (n, num_classes); with a teacher, targets have its
    probabilities after those of the labels: shape (n, 2 * num_classes).
    """
    table = target_table(recipe, train, teacher, epoch)
    for draw in draws(recipe, train, epoch, teacher=teacher):
        pixels, targets = batch_from_draw(train.images, table, draw)
        if isinstance(teacher, CheckpointTeacher):
            targets = np.hstack([targets, teacher.judge(pixels)])
        yield pixels, targets


def draws(
    recipe: TrainRecipe, train: Split, epoch: int, *, teacher: Teacher | None = None
) -> Iterator[Draw]:
    """What is random about each batch of an epoch; of the views, nothing where a teacher has labelled some."""
    generator = np.random.default_rng([recipe.seed, epoch])
    order = _order(recipe, train, generator)
    flips = alternating_flips(len(order), epoch, seed=recipe.seed)
    count, height, width, _ = train.images.shape
    augmentation = recipe.augmentation
    labelled = None
    if isinstance(teacher, LabelledViews):
        labelled = numbered_views(
            (count, height, width), teacher.augmentation, teacher.number(epoch)
        )
    for start in range(0, len(order), recipe.batch_size):
        chosen = order[start : start + recipe.batch_size]
        shape = len(chosen), height, width
        views = mix = None
        if labelled is not None:
            views = labelled.of(chosen)
        elif augmentation is not None:
            views = draw_views(shape, augmentation, generator, mirrored=flips[chosen])
        if augmentation is not None and augmentation.mixup:
            mix = draw_mix(len(chosen), augmentation.mixup, generator)
        yield Draw(chosen=chosen.astype(np.int32), views=views, mix=mix)


def _order(recipe: TrainRecipe, train: Split, generator: np.random.Generator) -> NDArray[np.int64]:
    """Positions of an epoch's images, as many as there are."""
    count = len(train.labels)
    if recipe.sampling == "every image once":
        return generator.permutation(count)
    classes = [np.flatnonzero(train.labels == label) for label in np.unique(train.labels)]
    share = -(-count // len(classes))
    # Each class in turns of all its images, so that none is repeated before the others were seen.
    drawn = [
        np.concatenate([generator.permutation(one) for _ in range(-(-share // len(one)))])[:share]
        for one in classes
    ]
    return generator.permutation(np.concatenate(drawn))[:count]


def batch_from_draw(images: NDArray[np.uint8], table: NDArray[np.float32], draw: Draw) -> Batch:
    """One batch of (pixels, targets), float32, from all images and targets; JAX arrays give JAX arrays."""
    chosen = images[draw.chosen]
    if draw.views is not None:
        chosen = view(chosen, draw.views)
    pixels, targets = chosen.astype(np.float32), table[draw.chosen]
    if draw.mix is not None:
        pixels, targets = blend(pixels, draw.mix), blend(targets, draw.mix)
    return pixels, targets


def target_table(
    recipe: TrainRecipe, train: Split, teacher: Teacher | None, epoch: int
) -> NDArray[np.float32]:
    """The target of each training image in an epoch, float32, shape (n, num_classes); stored soft labels follow."""
    targets = smoothed(one_hot(train), recipe.label_smoothing)
    if isinstance(teacher, SoftLabels):
        targets = np.hstack([targets, teacher.probabilities])
    if isinstance(teacher, LabelledViews):
        targets = np.hstack([targets, teacher.probabilities[teacher.number(epoch)]])
    return targets


def one_hot(split: Split) -> NDArray[np.float32]:
    """The labels as float32 rows of zeros and a one, shape (n, num_classes)."""
    return np.eye(split.num_classes, dtype=np.float32)[split.labels]


def smoothed(targets: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Targets, float32, shape (n, classes), of which ``share`` is spread over all classes.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015.
    """
    if not share:
        return targets
    return targets * np.float32(1 - share) + np.float32(share / targets.shape[1])
