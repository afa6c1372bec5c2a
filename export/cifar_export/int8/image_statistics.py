"""Whether calibration images look like those that a model is measured on: three figures of their pixels, compared.

Ranges follow from what calibration shows, so images that are darker, flatter or noisier than the real ones give
ranges that real images leave. Pure.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

# A share of the other images' contrast, and factors. Parts of CIFAR-10 down to 16 images stay within them; noise
# does not (docs/log.md has the figures).
_MAX_BRIGHTNESS_SHIFT = 0.5
_MAX_FACTOR = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStatistics:
    """Figures of a set of images, in pixel values, 0..255.

    Attributes:
        brightness: mean of all pixels.
        contrast: their standard deviation.
        detail: mean absolute difference of horizontal neighbours.
    """

    brightness: float
    contrast: float
    detail: float

    def __str__(self) -> str:
        return ", ".join(f"{field.name} {getattr(self, field.name):.1f}" for field in fields(self))


def image_statistics(images: NDArray[np.uint8]) -> ImageStatistics:
    """The figures of images, uint8, shape (n, height, width, 3)."""
    exact = images.astype(np.float32)
    return ImageStatistics(
        brightness=float(exact.mean(dtype=np.float64)),
        contrast=float(exact.std(dtype=np.float64)),
        detail=float(np.abs(np.diff(exact, axis=2)).mean(dtype=np.float64)),
    )


def calibration_is_unlike(found: ImageStatistics, expected: ImageStatistics) -> bool:
    """Whether calibration images differ from those expected by more than parts of one set do."""
    shift = abs(found.brightness - expected.brightness)
    pairs = ((found.contrast, expected.contrast), (found.detail, expected.detail))
    return shift > _MAX_BRIGHTNESS_SHIFT * expected.contrast or any(
        not here <= _MAX_FACTOR * there or not there <= _MAX_FACTOR * here for here, there in pairs
    )
