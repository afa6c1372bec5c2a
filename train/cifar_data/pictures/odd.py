"""Pictures that are worth a look before training: nearly empty, very dark or bright, or cut a lot. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_data.pictures.load import Pictures

# Of 0..255: a lens cap, a wall, a flash.
_FLAT, _DARK, _BRIGHT = 6.0, 20.0, 235.0
# The contract's centre crop keeps the middle square of a picture for a square model.
_CUT = 0.5
_LOOKED_AT = 24
_CHUNK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """One odd picture.

    Attributes:
        position: in the listing.
        why: in a few words.
    """

    position: int
    why: str


def odd_pictures(pictures: Pictures) -> tuple[Odd, ...]:
    """The odd ones among the pictures that are used, in the order of the listing."""
    found = [
        Odd(position=int(position), why=why)
        for split in pictures.splits.values()
        for position, mean, deviation in zip(split.ids, *_statistics(split.images), strict=True)
        if (why := _why(pictures, int(position), float(mean), float(deviation)))
    ]
    return tuple(sorted(found, key=lambda one: one.position))


def _why(pictures: Pictures, position: int, mean: float, deviation: float) -> str:
    """The first of the reasons that holds; empty where none does."""
    size = pictures.decoded[position].size
    height, width, _ = pictures.contract.shape
    if deviation < _FLAT:
        return "almost one colour"
    if mean < _DARK:
        return "very dark"
    if mean > _BRIGHT:
        return "very bright"
    if size is None:
        return ""
    scale = max(width / size[0], height / size[1])
    if width * height / (size[0] * size[1] * scale**2) < _CUT:
        return f"{size[0]}x{size[1]}: more than half is cut off"
    return ""


def _statistics(images: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each picture's pixels, of a grid of them where there are many."""
    height, width = images.shape[1:3]
    grid = images[:, :: max(1, height // _LOOKED_AT), :: max(1, width // _LOOKED_AT)]
    both = [(part.mean(axis=(1, 2, 3)), part.std(axis=(1, 2, 3))) for part in _chunks(grid)]
    if not both:
        return np.zeros(0), np.zeros(0)
    means, deviations = zip(*both, strict=True)
    return np.concatenate(means), np.concatenate(deviations)


def _chunks(images: NDArray[np.uint8]) -> Iterator[NDArray[np.float64]]:
    """The pictures a few at a time: they may be more than fit into memory."""
    for start in range(0, len(images), _CHUNK):
        yield images[start : start + _CHUNK].astype(np.float64)
