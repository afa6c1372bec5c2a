"""Fixed-point functions against real ones, and roundings by hand."""

import math

import pytest

from cifar_export.firmware.fixed_point import (
    exponential,
    logistic,
    multiply_high,
    quantize_multiplier,
    rescale,
    round_half_away,
    shift_right,
    tanh,
)


@pytest.mark.parametrize(
    ("value", "bits", "expected"),
    [(5, 1, 3), (-5, 1, -3), (4, 3, 1), (-4, 3, -1), (3, 3, 0), (-3, 3, 0), (7, 0, 7)],
)
def test_halves_are_rounded_away_from_zero(value: int, bits: int, expected: int) -> None:
    assert shift_right(value, bits) == expected


def test_a_product_of_half_a_step_is_rounded_up() -> None:
    assert multiply_high(1, 2**30) == 1
    assert multiply_high(-1, 2**30) == 0
    assert multiply_high(-(2**31), -(2**31)) == 2**31 - 1


@pytest.mark.parametrize(
    ("real", "expected"),
    [(0.0, (0, 0)), (1.0, (2**30, 1)), (0.75, (3 * 2**29, 0)), (2**-33, (0, 0))],
)
def test_a_factor_has_31_bits_and_a_shift(real: float, expected: tuple[int, int]) -> None:
    assert quantize_multiplier(real) == expected


def test_rescaling_is_multiplying() -> None:
    for real in (0.0003, 0.02, 0.9, 1.7, 12.0):
        for value in (-9999, -77, 0, 1, 12345):
            assert abs(rescale(value, *quantize_multiplier(real)) - value * real) <= 1


def test_round_half_away() -> None:
    assert [round_half_away(x) for x in (0.5, -0.5, 1.49, -2.5)] == [1, -1, 1, -3]


@pytest.mark.parametrize("x", [-0.001, -0.2, -0.25, -1.0, -3.7, -9.9, 0.0])
def test_exponential(x: float) -> None:
    assert exponential(round(x * 2**26), 5) / 2**31 == pytest.approx(math.exp(x), abs=1e-6)


@pytest.mark.parametrize("x", [-6.0, -1.0, -0.01, 0.0, 0.3, 2.0, 6.0])
def test_logistic_and_tanh(x: float) -> None:
    value = round(x * 2**27)
    assert logistic(value, 4) / 2**31 == pytest.approx(1 / (1 + math.exp(-x)), abs=1e-6)
    assert tanh(value, 4) / 2**31 == pytest.approx(math.tanh(x), abs=1e-6)
