"""Operators of one int8 number as tables of their 256 results, bit for bit as TensorFlow Lite Micro computes them.

It knows scales and zero points, no graph. Tables are indexed by ``q + 128``.

Source: tflite-micro, kernels/{logistic,tanh,hard_swish,activations,leaky_relu,quantize,softmax}_common.cc and the
reference kernels that they call.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cifar_export.firmware.fixed_point import (
    exponential,
    input_radius,
    logistic,
    quantize_multiplier,
    rescale,
    round_half_away,
    shift_left,
    shift_right,
    tanh,
)

_SIGMOID_BITS = 4
_SOFTMAX_BITS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How an int8 tensor stands for real numbers: ``(q - zero_point) * scale``; ``scale`` is a float32."""

    scale: float
    zero_point: int


def _table(result: Callable[[int], int]) -> tuple[int, ...]:
    return tuple(max(-128, min(result(q), 127)) for q in range(-128, 128))


def requantize_table(given: Scale, wanted: Scale) -> tuple[int, ...]:
    """QUANTIZE from int8 to int8."""
    return relu_table(given, wanted, lowest=-128, highest=127)


def relu_table(given: Scale, wanted: Scale, *, lowest: int, highest: int) -> tuple[int, ...]:
    """RELU and RELU_N1_TO_1: another scale, and the results held in ``lowest..highest``."""
    multiplier, shift = quantize_multiplier(given.scale / wanted.scale)
    return _table(
        lambda q: max(
            lowest,
            min(
                wanted.zero_point + rescale(q - given.zero_point, multiplier, shift),
                highest,
            ),
        )
    )


def relu6_table(given: Scale) -> tuple[int, ...]:
    """RELU6, which keeps its input's scale: clamped to the integers of 0 and 6."""
    six = round_half_away(float(np.float32(6) / np.float32(given.scale)))
    return _table(lambda q: min(max(q, given.zero_point), given.zero_point + six, 127))


def leaky_relu_table(given: Scale, wanted: Scale, alpha: float) -> tuple[int, ...]:
    """LEAKY_RELU; its factors are float32 products, as there."""
    scale, other = np.float32(given.scale), np.float32(wanted.scale)
    identity = quantize_multiplier(float(scale / other))
    slope = quantize_multiplier(float(scale * np.float32(alpha) / other))

    def result(q: int) -> int:
        value = q - given.zero_point
        return wanted.zero_point + rescale(value, *(identity if value >= 0 else slope))

    return _table(result)


def logistic_table(given: Scale) -> tuple[int, ...]:
    """LOGISTIC; the output is 1/256 a step from -128."""
    return _sigmoid_table(given, lambda value: shift_right(logistic(value, 4), 23) - 128)


def tanh_table(given: Scale) -> tuple[int, ...]:
    """TANH; the output is 1/128 a step around 0."""
    return _sigmoid_table(given, lambda value: shift_right(tanh(value, 4), 24))


def _sigmoid_table(given: Scale, result: Callable[[int], int]) -> tuple[int, ...]:
    """Results of inputs with 4 integer bits; those that need more are at the ends."""
    multiplier, shift = quantize_multiplier(given.scale * 2.0 ** (31 - _SIGMOID_BITS))
    radius = input_radius(_SIGMOID_BITS, shift)

    def one(q: int) -> int:
        value = q - given.zero_point
        if abs(value) >= radius:
            return 127 if value > 0 else -128
        return result(rescale(value, multiplier, shift))

    return _table(one)


def softmax_exponentials(given: Scale, beta: float) -> tuple[int, ...]:
    """exp(-beta * scale * n) for n = 0..255 steps below the largest, 31 fractional bits; 0 where it is left out."""
    real = min(beta * given.scale * 2.0 ** (31 - _SOFTMAX_BITS), 2.0**31 - 1)
    multiplier, shift = quantize_multiplier(real)
    radius = input_radius(_SOFTMAX_BITS, shift)
    return tuple(
        exponential(rescale(-step, multiplier, shift), _SOFTMAX_BITS) if step <= radius else 0
        for step in range(256)
    )


def hard_swish_table(given: Scale, wanted: Scale) -> tuple[int, ...]:
    """HARD_SWISH, x * relu6(x + 3) / 6, in 16-bit fixed point."""
    fine = np.float32(1 / 128) * np.float32(given.scale)
    output_multiplier, output_shift = quantize_multiplier(float(fine / np.float32(wanted.scale)))
    gate_multiplier, gate_shift = quantize_multiplier(float(fine / np.float32(3 / 32768)))

    def result(q: int) -> int:
        value = (q - given.zero_point) * 128
        unshifted = _multiply_high16(value, _half(output_multiplier))
        gate = _gate(value, _half(gate_multiplier), gate_shift)
        # Towards zero, unlike the other products.
        product = abs(gate * unshifted) >> 15
        return wanted.zero_point + shift_right(
            product if gate * unshifted >= 0 else -product, -output_shift
        )

    return _table(result)


def _gate(value: int, multiplier: int, shift: int) -> int:
    """(x + 3) / 6, clamped to 0..1, with 15 fractional bits."""
    gate = _int16(shift_left(value, shift - 1)) if shift > 0 else value
    gate = _multiply_high16(gate, multiplier)
    if shift > 0:
        gate = _int16(gate * 2)
    elif shift < 0:
        gate = shift_right(gate, -shift)
    return (gate + 2**15) >> 1


def _int16(value: int) -> int:
    return max(-(2**15), min(value, 2**15 - 1))


def _half(multiplier: int) -> int:
    """A multiplier of 31 bits as one of 15."""
    return _int16((multiplier + 2**15) >> 16)


def _multiply_high16(a: int, b: int) -> int:
    """``a * b / 2 ** 15``, rounded: gemmlowp's SaturatingRoundingDoublingHighMul of 16 bits.

    The nudge of a negative product makes its halves round up to zero's side, and the division cuts towards zero.
    """
    product = a * b
    nudged = product + (2**14 if product >= 0 else 1 - 2**14)
    return _int16(nudged >> 15 if nudged >= 0 else -(-nudged >> 15))
