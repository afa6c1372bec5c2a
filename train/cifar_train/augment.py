"""Augmentation of uint8 images in NumPy, so that every Keras backend sees the same pixels; random numbers come in."""

import numpy as np
from numpy.typing import NDArray

from cifar_train.recipe import Augmentation

# What cut-out squares are filled with: zero for networks that centre pixels at 128.
_GREY = 128


def augment(
    images: NDArray[np.uint8],
    augmentation: Augmentation,
    generator: np.random.Generator,
    *,
    mirrored: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Randomly varied copies of ``images``, uint8, shape (n, height, width, channels); each image on its own.

    Args:
        images: uint8, shape (n, height, width, channels).
        augmentation: how they vary; mixing pairs is not done here.
        generator: where the random numbers come from.
        mirrored: bool, shape (n,), which images to mirror where flips alternate.
    """
    count, height, width, _ = images.shape
    reach = augmentation.translate
    rows = np.arange(height) + generator.integers(-reach, reach, size=(count, 1), endpoint=True)
    columns = np.arange(width) + generator.integers(-reach, reach, size=(count, 1), endpoint=True)
    if augmentation.flip == "random":
        mirrored = np.less(generator.random(size=count), 0.5)
    if augmentation.flip != "none" and mirrored is not None:
        columns = np.where(mirrored[:, None], width - 1 - columns, columns)
    picked = np.arange(count)[:, None, None]
    varied: NDArray[np.uint8] = images[
        picked, _reflect(rows, height)[:, :, None], _reflect(columns, width)[:, None, :]
    ]
    if augmentation.cutout:
        varied[_squares(varied, augmentation.cutout, generator)] = _GREY
    return varied


def alternating_flips(count: int, epoch: int, *, seed: int) -> NDArray[np.bool_]:
    """Which of ``count`` images are mirrored in ``epoch``, bool: a random half, then the others, and so on.

    Source: K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, section 3.6.
    """
    # Epochs count from 1, so no epoch's own generator starts like this one.
    first = np.random.default_rng([seed, 0]).random(size=count) < 0.5
    mirrored: NDArray[np.bool_] = first ^ bool(epoch % 2)
    return mirrored


def mix_pairs(
    pixels: NDArray[np.float32],
    targets: NDArray[np.float32],
    mixup: float,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each image and its target, float32, blended with another's of the batch, all by one Beta(mixup, mixup) share.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018.
    """
    share = np.float32(generator.beta(mixup, mixup))
    others = generator.permutation(len(pixels))
    return (
        share * pixels + (1 - share) * pixels[others],
        share * targets + (1 - share) * targets[others],
    )


def _squares(
    images: NDArray[np.uint8], side: int, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """A square in each image, bool, shape (n, height, width); its centre is anywhere, so borders may crop it."""
    count, height, width, _ = images.shape
    top = generator.integers(0, height, size=(count, 1)) - side // 2
    left = generator.integers(0, width, size=(count, 1)) - side // 2
    rows, columns = np.arange(height) - top, np.arange(width) - left
    inside_rows = (rows >= 0) & (rows < side)
    inside_columns = (columns >= 0) & (columns < side)
    square: NDArray[np.bool_] = inside_rows[:, :, None] & inside_columns[:, None, :]
    return square


def _reflect(positions: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Positions outside 0..size-1 mirrored at the border pixel, which is not repeated (NumPy's ``reflect``)."""
    reflected: NDArray[np.int64] = size - 1 - np.abs(size - 1 - np.abs(positions))
    return reflected
