"""What goes wrong with pictures in the field, in five severities: uint8 batches in, uint8 batches out. Pure.

Source: D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness to common corruptions and
    perturbations", ICLR 2019; parameters as in the authors' CIFAR-10-C (``make_cifar_c.py``), but for
    ``shift``, which has no counterpart there. Differences: results are rounded, not cut off, to whole pixel
    values, and noise is drawn from this project's seed.
"""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CorruptionName = Literal[
    "gaussian_noise", "gaussian_blur", "contrast", "brightness", "jpeg", "shift"
]
Floats = NDArray[np.float32]

NUM_SEVERITIES = 5
_CHUNK = 256
# As scipy.ndimage and scikit-image cut a Gaussian off.
_BLUR_RADIUS_SIGMAS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Corruption:
    """One kind of damage.

    Attributes:
        name: what it is.
        parameter: what its numbers mean.
        values: one for each severity, the mildest first.
        source: where the numbers come from.
    """

    name: CorruptionName
    parameter: str
    values: tuple[float, ...]
    source: str = "CIFAR-10-C"


CORRUPTIONS: tuple[Corruption, ...] = (
    Corruption(
        name="gaussian_noise",
        parameter="standard deviation, in parts of the pixel range",
        values=(0.04, 0.06, 0.08, 0.09, 0.10),
    ),
    Corruption(name="gaussian_blur", parameter="sigma in pixels", values=(0.4, 0.6, 0.7, 0.8, 1.0)),
    Corruption(
        name="contrast",
        parameter="share of each channel's distance from its mean that is kept",
        values=(0.75, 0.5, 0.4, 0.3, 0.15),
    ),
    Corruption(
        name="brightness",
        parameter="added to the value of HSV, in parts of the pixel range",
        values=(0.05, 0.1, 0.15, 0.2, 0.3),
    ),
    Corruption(
        name="jpeg", parameter="quality, chroma halved (4:2:0)", values=(80, 65, 58, 50, 40)
    ),
    Corruption(
        name="shift",
        parameter="pixels along one of eight directions, borders repeated",
        values=(1, 2, 3, 4, 6),
        source="this project",
    ),
)


def corrupted(
    images: NDArray[np.uint8], name: CorruptionName, severity: int, *, seed: int
) -> NDArray[np.uint8]:
    """The damaged images: uint8, in the shape of ``images``; equal for equal arguments and NumPy releases.

    Args:
        images: uint8, shape (n, height, width, 3), RGB, 0..255.
        name: the kind of damage.
        severity: 1 (mild) to 5.
        seed: of the noise and of the directions; every corruption and severity draws its own.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(f"{images.dtype} of shape {images.shape} is no batch of RGB images")
    if not 1 <= severity <= NUM_SEVERITIES:
        raise ValueError(f"severity {severity} is not one of 1 to {NUM_SEVERITIES}")
    kind = get_args(CorruptionName).index(name)
    random = np.random.default_rng([seed, kind, severity])
    value = CORRUPTIONS[kind].values[severity - 1]
    result = np.empty_like(images)
    for start in range(0, len(images), _CHUNK):
        chunk = np.asarray(images[start : start + _CHUNK])
        result[start : start + _CHUNK] = _DAMAGES[name](chunk, value, random)
    return result


def _gaussian_noise(
    images: NDArray[np.uint8], deviation: float, random: np.random.Generator
) -> NDArray[np.uint8]:
    noise = random.standard_normal(images.shape, dtype=np.float32)
    return _pixels(images + np.float32(255 * deviation) * noise)


def _gaussian_blur(
    images: NDArray[np.uint8], sigma: float, _: np.random.Generator
) -> NDArray[np.uint8]:
    """Rows, then columns; borders are repeated."""
    radius = int(_BLUR_RADIUS_SIGMAS * sigma + 0.5)
    weights = [math.exp(-0.5 * (step / sigma) ** 2) for step in range(-radius, radius + 1)]
    kernel = np.asarray(weights, dtype=np.float32) / np.float32(sum(weights))
    blurred = images.astype(np.float32)
    for axis in (1, 2):
        size = blurred.shape[axis]
        padding = [(radius, radius) if axis == each else (0, 0) for each in range(4)]
        padded = np.pad(blurred, padding, mode="edge")
        blurred = sum(
            (
                weight * padded.take(range(step, step + size), axis=axis)
                for step, weight in enumerate(kernel)
            ),
            start=np.zeros_like(blurred),
        )
    return _pixels(blurred)


def _contrast(images: NDArray[np.uint8], kept: float, _: np.random.Generator) -> NDArray[np.uint8]:
    exact = images.astype(np.float32)
    means = exact.mean(axis=(1, 2), keepdims=True)
    return _pixels((exact - means) * np.float32(kept) + means)


def _brightness(
    images: NDArray[np.uint8], added: float, _: np.random.Generator
) -> NDArray[np.uint8]:
    """Adds to the largest channel and scales the others along: hue and saturation stay, as in HSV."""
    exact = images.astype(np.float32)
    value = exact.max(axis=3, keepdims=True)
    brighter = np.minimum(value + np.float32(255 * added), np.float32(255))
    # Black has no hue: all its channels become the new value.
    return _pixels(np.where(value > 0, exact * (brighter / np.maximum(value, 1)), brighter))


def _jpeg(images: NDArray[np.uint8], quality: float, _: np.random.Generator) -> NDArray[np.uint8]:
    return np.stack([_through_jpeg(image, int(quality)) for image in images])


def _through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(stream) as decoded:
        return np.asarray(decoded.convert("RGB"), dtype=np.uint8)


def _shift(
    images: NDArray[np.uint8], pixels: float, random: np.random.Generator
) -> NDArray[np.uint8]:
    directions = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    chosen = random.integers(len(directions), size=len(images))
    height, width = images.shape[1:3]
    shifted = np.empty_like(images)
    for index, (y, x) in enumerate(directions):
        rows = np.clip(np.arange(height) - y * int(pixels), 0, height - 1)
        columns = np.clip(np.arange(width) - x * int(pixels), 0, width - 1)
        moved = images[chosen == index]
        shifted[chosen == index] = moved[:, rows][:, :, columns]
    return shifted


def _pixels(exact: Floats) -> NDArray[np.uint8]:
    return np.rint(np.clip(exact, 0, 255)).astype(np.uint8)


_DAMAGES: Mapping[
    CorruptionName,
    Callable[[NDArray[np.uint8], float, np.random.Generator], NDArray[np.uint8]],
] = {
    "gaussian_noise": _gaussian_noise,
    "gaussian_blur": _gaussian_blur,
    "contrast": _contrast,
    "brightness": _brightness,
    "jpeg": _jpeg,
    "shift": _shift,
}
