"""Crop, resize and the mapping to the input dtype, against exact arithmetic done another way."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cifar_runtime.contract import InputContract
from cifar_runtime.imaging.preprocess import centre_box, fit_picture, input_table

RAW = InputContract(
    shape=(4, 4, 3),
    dtype="float32",
    multiplier=1.0,
    offset=0.0,
    scale=None,
    zero_point=None,
    resize_filter="bilinear",
)


def contract(**changes: Any) -> InputContract:
    return replace(RAW, **changes)


def exact_step(pixel: int, stated: InputContract) -> int:
    """Rounded in rational numbers: Python's round takes halves to even."""
    assert stated.scale is not None
    assert stated.zero_point is not None
    real = Fraction(pixel) * Fraction(stated.multiplier) + Fraction(stated.offset)
    step = round(real / Fraction(stated.scale)) + stated.zero_point
    low, high = (-128, 127) if stated.dtype == "int8" else (0, 255)
    return min(max(step, low), high)


@pytest.mark.parametrize(
    "stated",
    [
        contract(dtype="int8", scale=1.0, zero_point=-128),
        contract(dtype="uint8", scale=1.0, zero_point=0),
        contract(dtype="int8", multiplier=1 / 64, offset=-2.0, scale=1 / 64, zero_point=0),
        contract(dtype="int8", multiplier=1 / 255, scale=0.003921568859368563, zero_point=-128),
        contract(dtype="uint8", multiplier=1 / 64, offset=-2.0, scale=1 / 32, zero_point=64),
        contract(dtype="int8", multiplier=1.0, scale=0.25, zero_point=3),  # saturates
    ],
)
def test_integer_inputs_are_the_exact_rounding(stated: InputContract) -> None:
    table = input_table(stated)
    assert table.dtype == stated.dtype
    assert table.tolist() == [exact_step(pixel, stated) for pixel in range(256)]


def test_scale_one_and_one_sixty_fourth_give_pixel_minus_128() -> None:
    centred = contract(dtype="int8", multiplier=1 / 64, offset=-2.0, scale=1 / 64, zero_point=0)
    raw = contract(dtype="int8", scale=1.0, zero_point=-128)
    for stated in (centred, raw):
        assert input_table(stated).tolist() == list(range(-128, 128))


def test_float_inputs_are_the_nearest_float32() -> None:
    stated = contract(multiplier=1 / 255, offset=-0.1)
    table = input_table(stated)
    assert table.dtype == np.float32
    for pixel in range(256):
        exact = Fraction(pixel) * Fraction(1 / 255) + Fraction(-0.1)
        nearest = np.float32(float(exact))
        assert abs(float(table[pixel]) - float(exact)) <= abs(float(nearest) - float(exact)) * 1.01


@pytest.mark.parametrize(
    ("size", "aspect", "box"),
    [
        ((10, 10), (32, 32), (0, 0, 10, 10)),
        ((30, 10), (32, 32), (10, 0, 20, 10)),
        ((10, 31), (1, 1), (0, 10, 10, 20)),
        ((100, 50), (8, 6), (16, 0, 83, 50)),  # 50 * 8 / 6 = 66.7 wide
        ((50, 100), (8, 6), (0, 31, 50, 69)),  # 50 * 6 / 8 = 37.5 high, rounds up
        ((10_000, 1), (1, 1), (4999, 0, 5000, 1)),
        ((1, 10_000), (1, 1), (0, 4999, 1, 5000)),
        ((1, 1), (3, 2), (0, 0, 1, 1)),
    ],
)
def test_the_crop_is_the_largest_centred_box(
    size: tuple[int, int], aspect: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    assert centre_box(size, aspect) == box


def test_a_picture_of_the_right_size_is_untouched() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    assert (fit_picture(Image.fromarray(pixels), RAW) == pixels).all()


def test_resizing_is_antialiased() -> None:
    """Columns of 0 and 255 in turn become grey when halved many times, not one of the two."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    found = fit_picture(Image.fromarray(stripes), RAW).astype(int)
    assert abs(found - 128).max() <= 4


def test_only_the_centre_is_seen() -> None:
    pixels = np.full((8, 24, 3), 255, np.uint8)
    pixels[:, 8:16] = 7
    assert (fit_picture(Image.fromarray(pixels), RAW) == 7).all()


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos"])
def test_the_filter_is_the_contracts(name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    picture = Image.fromarray(pixels)
    expected = picture.resize((4, 4), Image.Resampling[name.upper()])
    assert (fit_picture(picture, contract(resize_filter=name)) == np.asarray(expected)).all()


def test_height_and_width_are_not_swapped() -> None:
    assert fit_picture(Image.new("RGB", (50, 50)), contract(shape=(6, 8, 3))).shape == (6, 8, 3)
