"""Pictures that show none of CIFAR-10's classes, to count how often a model is sure of them all the same.

Noise and textures are made here; the photographs are the two that scikit-learn ships. They are few and easy: a
model that accepts them is too sure, one that refuses them may still accept what is harder to tell apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cifar_runtime.contract import InputContract
from cifar_runtime.errors import MissingDependencyError
from cifar_runtime.imaging.preprocess import fit_picture
from cifar_runtime.install_hints import install_hint

NUM_IMAGES = 500
"""Images of noise, and of textures."""

SEED = 0
TILE_EDGES = (32, 64, 128)
"""Pixels: a photograph is cut into tiles of each, side by side."""

Random = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Outliers:
    """Pictures from one source.

    Attributes:
        source: a short name.
        description: what they are and where they come from.
        images: uint8, shape (n, height, width, 3), RGB.
    """

    source: str
    description: str
    images: NDArray[np.uint8]


def made_outliers(contract: InputContract) -> tuple[Outliers, ...]:
    """Noise and textures: the same for equal sizes and NumPy releases."""
    height, width = contract.shape[:2]
    noise = np.random.default_rng([SEED, 0]).integers(
        256, size=(NUM_IMAGES, height, width, 3), dtype=np.uint8
    )
    random = np.random.default_rng([SEED, 1])
    makers = (_stripes, _checks, _gradient, _clouds)
    textures = np.stack(
        [makers[index % len(makers)](height, width, random) for index in range(NUM_IMAGES)]
    )
    noise, textures = (_in_channels(images, contract) for images in (noise, textures))
    return (
        Outliers(
            source="noise",
            description=f"every channel of every pixel uniform in 0..255, seed {SEED}",
            images=noise,
        ),
        Outliers(
            source="textures",
            description=f"stripes, checks, gradients and clouds in two colours in turns, seed {SEED}",
            images=textures,
        ),
    )


def _in_channels(images: NDArray[np.uint8], contract: InputContract) -> NDArray[np.uint8]:
    """RGB images of the model's size in its channels."""
    if contract.shape[2] == 3:
        return images
    return np.stack([fit_picture(Image.fromarray(image), contract) for image in images])


def photograph_outliers(contract: InputContract) -> Outliers:
    """Tiles of scikit-learn's two photographs, a Chinese temple and a dahlia, brought to the model's size.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as cause:
        raise MissingDependencyError(
            "--confidence needs scikit-learn for its photographs, which is not installed.",
            hint=install_hint("export"),
        ) from cause
    photographs = datasets.load_sample_images().images
    tiles = [
        fit_picture(Image.fromarray(tile), contract)
        for photograph in photographs
        for edge in TILE_EDGES
        for tile in _tiles(np.asarray(photograph), edge)
    ]
    edges = ", ".join(map(str, TILE_EDGES))
    return Outliers(
        source="photographs",
        description=f"tiles of {edges} pixels of the {len(photographs)} photographs that scikit-learn ships "
        "(china.jpg, flower.jpg): so many tiles, but two scenes",
        images=np.stack(tiles),
    )


def _tiles(photograph: NDArray[np.uint8], edge: int) -> list[NDArray[np.uint8]]:
    height, width = photograph.shape[:2]
    return [
        photograph[top : top + edge, left : left + edge]
        for top in range(0, height - edge + 1, edge)
        for left in range(0, width - edge + 1, edge)
    ]


def _stripes(height: int, width: int, random: Random) -> NDArray[np.uint8]:
    """Waves in any direction, 2 to 16 periods across."""
    y, x = _places(height, width)
    angle, periods = random.uniform(0, np.pi), random.uniform(2, 16)
    wave = np.sin(2 * np.pi * periods * (x * np.cos(angle) + y * np.sin(angle)))
    return _coloured((wave + 1) / 2, random)


def _checks(height: int, width: int, random: Random) -> NDArray[np.uint8]:
    """A checkerboard of 2 to 10 fields each way."""
    y, x = _places(height, width)
    rows, columns = random.integers(2, 11, size=2)
    return _coloured((np.floor(y * rows) + np.floor(x * columns)) % 2, random)


def _gradient(height: int, width: int, random: Random) -> NDArray[np.uint8]:
    """From one border or corner to another."""
    y, x = _places(height, width)
    angle = random.uniform(0, 2 * np.pi)
    slope = x * np.cos(angle) + y * np.sin(angle)
    return _coloured((slope - slope.min()) / np.ptp(slope), random)


def _clouds(height: int, width: int, random: Random) -> NDArray[np.uint8]:
    """Blobs: a 4 x 4 grid of random values, enlarged smoothly."""
    grid = random.integers(256, size=(4, 4), dtype=np.uint8)
    enlarged = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
    return _coloured(np.asarray(enlarged) / 255, random)


def _places(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each pixel's row and column, 0..1."""
    y, x = np.mgrid[0:height, 0:width]
    return y / height, x / width


def _coloured(weights: NDArray[np.float64], random: Random) -> NDArray[np.uint8]:
    """A mixture of two random colours, uint8, shape (height, width, 3); ``weights`` in 0..1."""
    first, second = random.uniform(0, 255, size=(2, 3))
    mixed = weights[..., np.newaxis] * first + (1 - weights[..., np.newaxis]) * second
    return np.asarray(np.rint(mixed), dtype=np.uint8)
