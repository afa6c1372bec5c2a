"""Quantized multipliers and gemmlowp's fixed-point functions, in Python integers: what is computed at export.

It knows numbers only, neither operators nor C. A "multiplier" of 31 bits and a "shift" stand for
``multiplier * 2 ** (shift - 31)``.

Source: gemmlowp, fixedpoint.h; TensorFlow Lite 8-bit quantization specification; quantization_util.cc
(QuantizeMultiplier, CalculateInputRadius).
"""

import math

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)
# exp(-2 ** k) for k = -2 .. 4, with 31 fractional bits.
_EXPONENTIALS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def round_half_away(value: float) -> int:
    """The nearest integer, halves away from zero, as C's ``round``."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def quantize_multiplier(real: float) -> tuple[int, int]:
    """The multiplier of 31 bits and the shift that stand for a real factor.

    Args:
        real: at least 0, below 2 ** 31.
    """
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * 2**31)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def multiply_high(a: int, b: int) -> int:
    """``a * b / 2 ** 31``, rounded: gemmlowp's SaturatingRoundingDoublingHighMul of 32 bits."""
    return INT32_MAX if a == b == INT32_MIN else (a * b + 2**30) >> 31


def shift_right(value: int, bits: int) -> int:
    """``value / 2 ** bits``, rounded, halves away from zero: gemmlowp's RoundingDivideByPOT."""
    mask = (1 << bits) - 1
    return (value >> bits) + int((value & mask) > (mask >> 1) + (value < 0))


def shift_left(value: int, bits: int) -> int:
    """``value * 2 ** bits`` in 32 bits, saturated."""
    return max(INT32_MIN, min(value * (1 << bits), INT32_MAX))


def rescale(value: int, multiplier: int, shift: int) -> int:
    """``value * multiplier * 2 ** (shift - 31)``: TensorFlow Lite's MultiplyByQuantizedMultiplier."""
    return shift_right(multiply_high(value << max(shift, 0), multiplier), max(-shift, 0))


def input_radius(integer_bits: int, shift: int) -> int:
    """The largest difference whose fixed-point image has ``integer_bits`` before the point."""
    return math.floor(math.ldexp(float((1 << integer_bits) - 1), 31 - integer_bits - shift))


def exponential(value: int, integer_bits: int) -> int:
    """Exp of a number that is 0 or less, with 31 fractional bits.

    Args:
        value: with ``31 - integer_bits`` fractional bits.
        integer_bits: at most 5.
    """
    if value == 0:
        return INT32_MAX
    fractional_bits = 31 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    last_quarter = (value & (quarter - 1)) - quarter
    result = _exponential_of_a_quarter(shift_left(last_quarter, integer_bits))
    whole_quarters = last_quarter - value
    for exponent, factor in enumerate(_EXPONENTIALS, start=-2):
        if integer_bits > exponent and whole_quarters & (1 << (fractional_bits + exponent)):
            result = multiply_high(result, factor)
    return result


def _exponential_of_a_quarter(value: int) -> int:
    """Exp on -1/4 .. 0 by Taylor's series around -1/8, all with 31 fractional bits."""
    x = value + (1 << 28)
    x2 = multiply_high(x, x)
    x3, x4 = multiply_high(x2, x), multiply_high(x2, x2)
    third = multiply_high(shift_right(x4, 2) + x3, 715827883)
    constant = 1895147668
    return constant + multiply_high(constant, x + shift_right(third + x2, 1))


def _half_reciprocal(value: int) -> int:
    """2 / (1 + x) for x in 0..1 with 31 fractional bits, by Newton and Raphson; 29 fractional bits."""
    half = (value + INT32_MAX + 1) // 2
    estimate = 1515870810 + multiply_high(half, -1010580540)
    for _ in range(3):
        remainder = (1 << 29) - multiply_high(half, estimate)
        estimate += shift_left(multiply_high(estimate, remainder), 2)
    return estimate


def reciprocal(value: int) -> int:
    """The inverse of 1 + x for x in 0..1; both with 31 fractional bits."""
    return shift_left(_half_reciprocal(value), 1)


def logistic(value: int, integer_bits: int) -> int:
    """The logistic function of x, with 31 fractional bits; ``value`` has ``31 - integer_bits``."""
    if value == 0:
        return 1 << 30
    positive = reciprocal(exponential(-abs(value), integer_bits))
    return positive if value > 0 else INT32_MAX - positive


def tanh(value: int, integer_bits: int) -> int:
    """The hyperbolic tangent of x, with 31 fractional bits; ``value`` has ``31 - integer_bits``."""
    if value == 0:
        return 0
    reciprocal = _half_reciprocal(exponential(-abs(value), integer_bits + 1))
    positive = shift_left(reciprocal - (1 << 29), 2)
    return positive if value > 0 else -positive
