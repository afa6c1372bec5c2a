"""Contracts of checkpoints and of what is converted from them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cifar_export.converted import Quantization
from cifar_runtime.contract import (
    InputContract,
    OutputContract,
    ScoreKind,
)
from cifar_runtime.errors import ArtefactError
from cifar_runtime.imaging.preprocess import input_table


def quantized_contract(
    pixels: InputContract, quantization: Quantization, *, multiplier: float, offset: float
) -> InputContract:
    """The contract of an integer input that is exact: pixel - 128 in int8, the pixel in uint8.

    The calibrated grid replaces a mapping that it is at most half a step away from: else two pixel values
    could round to the same integer.

    Args:
        pixels: the contract of the float model.
        quantization: of the integer input.
        multiplier: real units per pixel step that the model was calibrated with.
        offset: real value of pixel 0.

    Raises:
        ArtefactError: the calibrated range is not that of the pixels.
    """
    scale, zero_point = quantization.scale, quantization.zero_point
    lowest = -128 if quantization.dtype == "int8" else 0
    grid_offset = (lowest - zero_point) * scale
    is_close = (
        np.isclose(scale, multiplier, rtol=1e-3) and abs(grid_offset - offset) <= 0.51 * scale
    )
    contract = replace(
        pixels,
        dtype=quantization.dtype,
        multiplier=scale if is_close else multiplier,
        offset=grid_offset if is_close else offset,
        scale=scale,
        zero_point=zero_point,
    )
    if not np.array_equal(input_table(contract), np.arange(lowest, lowest + 256)):
        raise ArtefactError(
            f"the {quantization.dtype} input was calibrated to scale {scale} and zero point {zero_point}, "
            f"expected {multiplier} a pixel step from {offset}.",
            hint="Give calibration images with pixels from 0 to 255.",
        )
    return contract


def score_kind(stated: ScoreKind, reference: NDArray[np.float32]) -> ScoreKind:
    """What scores are: as their last operation says, but probabilities where logits are distributions, every one.

    Args:
        stated: what the model's last operation gives, or what was made of it.
        reference: the Keras model's scores of real images, float32, shape (n, num_classes).
    """
    sums_to_one = np.allclose(reference.sum(axis=1), 1, atol=1e-3)
    is_distribution = stated == "logits" and sums_to_one and reference.min() >= 0
    return "probabilities" if is_distribution else stated


def output_contract(kind: ScoreKind, quantization: Quantization | None) -> OutputContract:
    """The contract of the scores.

    Args:
        kind: what they are.
        quantization: of an integer output.
    """
    return OutputContract(
        kind=kind,
        dtype="float32" if quantization is None else quantization.dtype,
        scale=None if quantization is None else quantization.scale,
        zero_point=None if quantization is None else quantization.zero_point,
    )
