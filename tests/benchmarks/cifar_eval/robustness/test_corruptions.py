"""Corruptions against independent computations: SciPy, colorsys, Pillow and plain loops."""

import colorsys
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cifar_data import packaged
from cifar_eval.robustness.corruptions import CORRUPTIONS, CorruptionName, corrupted

NAMES = [corruption.name for corruption in CORRUPTIONS]


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return packaged.test_sample().images[:20]


def values(name: CorruptionName) -> tuple[float, ...]:
    return next(one.values for one in CORRUPTIONS if one.name == name)


def test_the_parameters_are_those_of_cifar_10_c() -> None:
    assert {one.name: one.values for one in CORRUPTIONS if one.source == "CIFAR-10-C"} == {
        "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),
        "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1.0),
        "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
        "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
        "jpeg": (80, 65, 58, 50, 40),
    }


@pytest.mark.parametrize("name", NAMES)
def test_damage_grows_with_severity_and_keeps_shape_and_type(
    name: CorruptionName, images: NDArray[np.uint8]
) -> None:
    damage = []
    for severity in range(1, 6):
        result = corrupted(images, name, severity, seed=0)
        assert (result.dtype, result.shape) == (np.uint8, images.shape)
        damage.append(float(np.square(result.astype(float) - images).mean()))
    assert damage == sorted(damage)
    assert damage[0] > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_names_the_damage(name: CorruptionName, images: NDArray[np.uint8]) -> None:
    first, again, other = (corrupted(images, name, 3, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    is_random = name in ("gaussian_noise", "shift")
    assert np.array_equal(first, other) != is_random


def test_the_given_images_stay_as_they_were(images: NDArray[np.uint8]) -> None:
    before = images.copy()
    for name in NAMES:
        corrupted(images, name, 5, seed=0)
    np.testing.assert_array_equal(images, before)


def test_noise_has_the_stated_deviation_around_mid_grey() -> None:
    grey = np.full((300, 16, 16, 3), 128, dtype=np.uint8)
    for severity, deviation in enumerate(values("gaussian_noise"), start=1):
        noise = corrupted(grey, "gaussian_noise", severity, seed=1).astype(float) - 128
        assert noise.std() == pytest.approx(255 * deviation, rel=0.01)
        assert abs(noise.mean()) < 0.2
    # More than one chunk of images: every image has its own noise.
    assert len(np.unique(noise.reshape(300, -1), axis=0)) == 300


def test_blur_is_scipys_gaussian_filter(images: NDArray[np.uint8]) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    for severity, sigma in enumerate(values("gaussian_blur"), start=1):
        expected = ndimage.gaussian_filter(
            images.astype(float), sigma=(0, sigma, sigma, 0), mode="nearest", truncate=4.0
        )
        found = corrupted(images, "gaussian_blur", severity, seed=0)
        # Half a step is the rounding to whole pixel values.
        assert np.abs(found - expected).max() < 0.5001


def test_contrast_draws_every_channel_towards_its_mean(images: NDArray[np.uint8]) -> None:
    kept = values("contrast")[2]
    found = corrupted(images, "contrast", 3, seed=0)
    for image, result in zip(images, found, strict=True):
        for channel in range(3):
            mean = image[..., channel].mean()
            expected = np.clip((image[..., channel] - mean) * kept + mean, 0, 255)
            assert np.abs(result[..., channel] - expected).max() < 0.51


def test_brightness_adds_to_the_value_of_hsv_and_keeps_hue_and_saturation() -> None:
    colours = [(0, 0, 0), (255, 255, 255), (10, 200, 30), (255, 0, 0), (3, 2, 1), (90, 90, 90)]
    pixels = np.array(colours, dtype=np.uint8).reshape(1, 2, 3, 3)
    for severity, added in enumerate(values("brightness"), start=1):
        found = corrupted(pixels, "brightness", severity, seed=0).reshape(-1, 3)
        for colour, result in zip(colours, found, strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in colour))
            exact = colorsys.hsv_to_rgb(hue, saturation, min(1.0, value + added))
            assert np.abs(result - 255 * np.array(exact)).max() < 0.501


def test_jpeg_is_what_pillow_writes_at_that_quality(images: NDArray[np.uint8]) -> None:
    stream = io.BytesIO()
    Image.fromarray(images[4]).save(stream, "JPEG", quality=50)
    expected = np.asarray(Image.open(stream))
    np.testing.assert_array_equal(corrupted(images, "jpeg", 4, seed=0)[4], expected)


def test_shift_moves_each_image_and_repeats_the_border() -> None:
    """The pixel's own place as its colour: what is seen there tells where it came from."""
    y, x = np.indices((32, 32))
    places = np.stack([y, x, np.zeros_like(y)], axis=-1).astype(np.uint8)
    found = corrupted(np.repeat(places[np.newaxis], 200, axis=0), "shift", 5, seed=0)
    directions = set()
    for image in found:
        dy, dx = 16 - image[16, 16, 0].astype(int), 16 - image[16, 16, 1].astype(int)
        directions.add((dy // 6, dx // 6))
        expected = np.stack([np.clip(y - dy, 0, 31), np.clip(x - dx, 0, 31)], axis=-1)
        np.testing.assert_array_equal(image[..., :2], expected)
    assert directions == {(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)} - {(0, 0)}


@pytest.mark.parametrize(
    ("shape", "dtype", "severity"),
    [((2, 8, 8, 3), np.float32, 1), ((8, 8, 3), np.uint8, 1), ((2, 8, 8, 3), np.uint8, 6)],
)
def test_what_is_no_batch_or_severity_is_refused(
    shape: tuple[int, ...], dtype: type, severity: int
) -> None:
    with pytest.raises(ValueError, match=r"is no batch of RGB images|is not one of 1 to 5"):
        corrupted(np.zeros(shape, dtype), "contrast", severity, seed=0)
