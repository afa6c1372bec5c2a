"""Pictures come to size pixel for pixel as Keras and TensorFlow bring them there, on real photographs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cifar_data.image_folder import read_image_folder
from cifar_runtime.contract import Resize, ResizeFilter, pixel_contract
from cifar_runtime.imaging.preprocess import fit_picture

SIZES = ((32, 32), (96, 96), (224, 224), (160, 120), (500, 700))
Pictures = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def photographs() -> Pictures:
    """A temple and a flower, 640x427, and a high and a wide part of each."""
    from sklearn.datasets import load_sample_images

    whole = load_sample_images().images
    return [part for one in whole for part in (one, one[:, 40:173], one[200:277])]


def fitted(
    picture: NDArray[np.uint8], size: tuple[int, int], name: ResizeFilter, rule: Resize
) -> NDArray[np.uint8]:
    return fit_picture(Image.fromarray(picture), pixel_contract((*size, 3), name, rule))


@pytest.mark.parametrize("size", SIZES)
def test_stretching_is_tf_image_resize(size: tuple[int, int], photographs: Pictures) -> None:
    import tensorflow as tf

    for picture in photographs:
        expected = tf.image.resize(picture, size).numpy()
        found = fitted(picture, size, "bilinear-no-antialias", "stretch")
        np.testing.assert_array_equal(found, np.rint(expected))


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("stretch", {}),
        ("centre-crop", {"crop_to_aspect_ratio": True}),
        ("letterbox", {"pad_to_aspect_ratio": True}),
    ],
)
def test_a_folder_is_read_as_keras_reads_it(
    rule: Resize, options: dict[str, Any], photographs: Pictures, tmp_path: Path
) -> None:
    import keras

    for index, picture in enumerate(photographs):
        folder = tmp_path / "pictures" / ("a", "b")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{index}.png")
    expected = keras.utils.image_dataset_from_directory(
        tmp_path / "pictures",
        image_size=(96, 96),
        batch_size=None,
        shuffle=False,
        verbose=False,
        **options,
    )
    contract = pixel_contract((96, 96, 3), "bilinear-no-antialias", rule)
    split = read_image_folder(tmp_path / "pictures", contract=contract)
    for found, label, (image, index) in zip(split.images, split.labels, expected, strict=True):
        assert label == index
        np.testing.assert_array_equal(found, np.rint(image.numpy()))


def test_padding_agrees_for_any_sizes() -> None:
    import tensorflow as tf

    random = np.random.default_rng(0)
    for height, width, rows, columns in random.integers(20, 300, (40, 4)).tolist():
        white = np.full((height, width, 3), 255, np.uint8)
        expected = tf.image.resize_with_pad(white, rows, columns).numpy()
        found = fitted(white, (rows, columns), "bilinear-no-antialias", "letterbox")
        np.testing.assert_array_equal(found, expected)


def test_letterboxing_with_a_filter_of_pillow_is_its_pad(photographs: Pictures) -> None:
    from PIL import ImageOps

    for picture in photographs:
        for height, width in SIZES:
            expected = ImageOps.pad(
                Image.fromarray(picture), (width, height), Image.Resampling.BICUBIC
            )
            found = fitted(picture, (height, width), "bicubic", "letterbox")
            np.testing.assert_array_equal(found, np.asarray(expected))


def test_a_line_of_a_million_pixels_needs_no_square_of_them() -> None:
    line = Image.new("RGB", (4096 * 4096, 1), (255, 255, 255))
    for name in ("bicubic", "bilinear-no-antialias"):
        found = fit_picture(line, pixel_contract((32, 32, 3), name, "letterbox"))
        assert found.shape == (32, 32, 3)


@pytest.mark.parametrize("size", SIZES)
def test_antialiased_bilinear_is_one_level_from_tensorflow(
    size: tuple[int, int], photographs: Pictures
) -> None:
    import tensorflow as tf

    for picture in photographs:
        expected = tf.image.resize(picture, size, antialias=True).numpy()
        found = fitted(picture, size, "bilinear", "stretch")
        assert np.abs(found - expected).max() <= 1.0
