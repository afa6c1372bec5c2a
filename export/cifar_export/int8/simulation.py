"""What int8 inference rounds, on Keras 3 models: weights per output channel, activations between observed extremes.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
2018, section 3 (simulated quantization).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.probe import Probe, activations, probe
from cifar_export.keras_graph.trace import trace

# The axes of a kernel that share a scale in int8, by the kind of its layer.
SCALE_AXES: Mapping[str, tuple[int, ...]] = {
    "Conv2D": (0, 1, 2),
    "DepthwiseConv2D": (0, 1),
    "Dense": (0, 1),
}
_SAME_VALUES = ("MaxPooling2D", "GlobalMaxPooling2D", "Cropping2D", "Flatten", "Reshape", "Dropout")

Range = tuple[float, float]
Rounding = Callable[[Any, str], Any]
"""A kernel and the kind of its layer to the kernel on the grid that a file has."""


def rounded_to_int8(kernel: Any, axes: tuple[int, ...]) -> Any:
    """The kernel on the grid of int8, symmetric, with one scale for each slice across ``axes``."""
    from keras import ops

    scale = ops.maximum(ops.max(ops.abs(kernel), axis=axes, keepdims=True) / 127, 1e-12)
    return ops.round(kernel / scale) * scale


def rounded_for_tflite(kernel: Any, kind: str) -> Any:
    """The kernel of a layer of ``kind`` as int8 TFLite files have it."""
    return rounded_to_int8(kernel, SCALE_AXES[kind])


def observed_ranges(model: Any, feed: RepresentativeDataset) -> dict[int, Range]:
    """Minimum and maximum, zero included, of what each call that computes new values gives, by its index."""
    rounded = rounding_probe(model)
    return dict(zip(rounded.indices, ranges_of(rounded, feed), strict=True))


def rounding_probe(model: Any) -> Probe:
    """A probe of the calls behind which int8 inference rounds."""
    return probe(model, _rounded_calls(model))


def ranges_of(rounded: Probe, feed: RepresentativeDataset) -> list[Range]:
    """Minimum and maximum, zero included, of each observed call."""
    lowest, highest = np.zeros(len(rounded.indices)), np.zeros(len(rounded.indices))
    for outputs in activations(rounded.tapped, feed):
        for place, values in enumerate(outputs):
            lowest[place] = min(lowest[place], np.min(values))
            highest[place] = max(highest[place], np.max(values))
    return [(float(low), float(high)) for low, high in zip(lowest, highest, strict=True)]


def _rounded_calls(model: Any) -> frozenset[int]:
    """The calls behind which int8 inference rounds: not where values only move, nor before a fused ReLU."""
    calls = trace(model).calls
    before_relu = {
        number
        for call in calls
        if type(call.layer).__name__ in ("ReLU", "Activation")
        for number in call.inputs
    }
    return frozenset(
        call.index
        for call in calls
        if type(call.layer).__name__ not in _SAME_VALUES
        and len(call.outputs) == 1  # what splits a tensor moves its values
        and not (type(call.layer).__name__ in SCALE_AXES and before_relu & set(call.outputs))
    )
