"""Labelled pictures that need no download: scikit-learn's handwritten digits in colour, one folder a class."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

NUM_TEST = 1000
NUM_DRAWN = 2  # times that a training digit is drawn, in other colours


def pictures(size: int, *, num_classes: int) -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """Training and test images, uint8 RGB, shape (n, size, size, 3), and the index of each one's class.

    Args:
        size: of each side, in pixels.
        num_classes: 10 for the digits, 2 for even and odd ones.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    random = np.random.default_rng(7)
    labels = digits.target.astype(np.int64) % num_classes
    order = random.permutation(len(labels))
    test, train = order[:NUM_TEST], np.repeat(order[NUM_TEST:], NUM_DRAWN)

    def drawn(which: NDArray[np.int64]) -> tuple[Images, Labels]:
        images = [_coloured(image, size, random) for image in digits.images[which]]
        return np.stack(images), labels[which]

    return drawn(train), drawn(test)


def write_pictures(folder: Path, size: int, *, num_classes: int) -> None:
    """Writes them as ``train/CLASS/NUMBER.png`` and ``test/CLASS/NUMBER.png``."""
    parts = zip(("train", "test"), pictures(size, num_classes=num_classes), strict=True)
    for part, (images, labels) in parts:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            place = folder / part / f"class{label}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{number:04d}.png")


def _coloured(digit: NDArray[np.float64], size: int, random: np.random.Generator) -> Images:
    """A bright digit of one colour on a dark ground of another, with noise."""
    ink = Image.fromarray((digit * (255 / 16)).astype(np.uint8)).resize((size, size))
    share = np.asarray(ink, np.float64)[..., None] / 255
    ground, colour = random.uniform(0, 60, 3), random.uniform(160, 255, 3)
    noise = random.normal(0, 8, (size, size, 3))
    mixed = ground + (colour - ground) * share + noise
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)
