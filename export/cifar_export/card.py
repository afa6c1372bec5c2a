"""The contract of a converted model and the document that travels inside it and in its card; pure data."""

from collections.abc import Mapping
from importlib import metadata
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.converted import Converted, Quantization
from cifar_runtime import __version__
from cifar_runtime.artefact import CARD_SCHEMA
from cifar_runtime.contract import (
    Contract,
    InputContract,
    ModelFormat,
    OutputContract,
    ResizeFilter,
    ScoreKind,
)
from cifar_runtime.errors import ArtefactError
from cifar_runtime.golden import GoldenVectors
from cifar_runtime.preprocess import input_table

_TOOLS: Mapping[ModelFormat, tuple[str, ...]] = {
    "tflite": ("tensorflow", "keras", "numpy", "ai-edge-litert"),
    "onnx": ("tensorflow", "keras", "numpy", "tf2onnx", "onnx", "onnxruntime"),
}


def pixel_contract(shape: tuple[int, int, int], resize_filter: ResizeFilter) -> InputContract:
    """The contract of a float32 input of raw pixels."""
    return InputContract(
        shape=shape,
        dtype="float32",
        multiplier=1.0,
        offset=0.0,
        scale=None,
        zero_point=None,
        resize_filter=resize_filter,
    )


def quantized_contract(
    pixels: InputContract, quantization: Quantization, *, multiplier: float, offset: float
) -> InputContract:
    """The contract of an int8 input that is pixel - 128 for every pixel value.

    The calibrated grid replaces a mapping that it is at most half a step away from: else two pixel values
    could round to the same integer.

    Args:
        pixels: the contract of the float model.
        quantization: of the int8 input.
        multiplier: real units per pixel step that the model was calibrated with.
        offset: real value of pixel 0.

    Raises:
        ArtefactError: the calibrated range is not that of the pixels.
    """
    scale, zero_point = quantization.scale, quantization.zero_point
    grid_offset = (-128 - zero_point) * scale
    is_close = (
        np.isclose(scale, multiplier, rtol=1e-3) and abs(grid_offset - offset) <= 0.51 * scale
    )
    contract = InputContract(
        shape=pixels.shape,
        dtype="int8",
        multiplier=scale if is_close else multiplier,
        offset=grid_offset if is_close else offset,
        scale=scale,
        zero_point=zero_point,
        resize_filter=pixels.resize_filter,
    )
    if not np.array_equal(input_table(contract), np.arange(-128, 128)):
        raise ArtefactError(
            f"the int8 input was calibrated to scale {scale} and zero point {zero_point}, "
            f"expected {multiplier} a pixel step from {offset}.",
            hint="Give calibration images with pixels from 0 to 255.",
        )
    return contract


def output_contract(
    reference: NDArray[np.float32], quantization: Quantization | None
) -> OutputContract:
    """The contract of the scores.

    Args:
        reference: the Keras model's scores of real images, float32, shape (n, num_classes): probabilities when
            every row is one, else logits.
        quantization: of an int8 output.
    """
    sums_to_one = np.allclose(reference.sum(axis=1), 1, atol=1e-3)
    kind: ScoreKind = "probabilities" if sums_to_one and reference.min() >= 0 else "logits"
    return OutputContract(
        kind=kind,
        dtype="float32" if quantization is None else "int8",
        scale=None if quantization is None else quantization.scale,
        zero_point=None if quantization is None else quantization.zero_point,
    )


def card_document(
    *,
    target: PurePath,
    converted: Converted,
    contract: Contract,
    provenance: Mapping[str, Any],
    golden: GoldenVectors | None,
    licence: str | None,
) -> dict[str, Any]:
    """The card but for the file's digest and size, which :func:`cifar_runtime.embedding.sealed` adds.

    Args:
        target: the file to publish; its suffix is the format.
        converted: what the converter made.
        contract: of that model.
        provenance: where it comes from.
        golden: None before the scores are known.
        licence: an SPDX expression; None when it is not known.
    """
    model_format: ModelFormat = "onnx" if target.suffix == ".onnx" else "tflite"
    return {
        "schema": CARD_SCHEMA,
        "name": target.stem,
        "licence": licence,
        "model": {"file": target.name, "format": model_format},
        "contract": contract.to_json(),
        "golden_vectors": None if golden is None else golden.to_json(),
        "provenance": {
            **provenance,
            "conversion": dict(converted.conversion),
            "tools": tool_versions(model_format),
        },
    }


def licence_of(training_card: Mapping[str, Any] | None) -> str | None:
    """The licence that a checkpoint's card states, an SPDX expression; None when it states none."""
    licence = (training_card or {}).get("licence")
    return licence if isinstance(licence, str) else None


def tool_versions(model_format: ModelFormat) -> dict[str, str]:
    """The versions of everything that shapes a file of this format."""
    return {"cifar-edge": __version__} | {name: _version(name) for name in _TOOLS[model_format]}


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # tensorflow-cpu and others provide the same import
        return "unknown"
