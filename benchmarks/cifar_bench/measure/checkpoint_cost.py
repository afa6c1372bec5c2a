"""Counts what a Keras model computes for one image, layer by layer. Layers are handed in: it imports no keras.

What is not known for certain is unknown: a wrong count would look like any other.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cifar_bench.results.cost import Cost

# They have weights, but multiply value by value: no multiply-accumulates of a convolution or dense layer.
_VALUE_BY_VALUE = {
    *("BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization"),
    *("Normalization", "PReLU", "Rescaling"),
}
# They multiply matrices without weights of their own.
_UNCOUNTED_LAYERS = {"Dot", "Attention", "AdditiveAttention", "Lambda"}
# Of what is called as a function of tensors, not as a layer; whatever else there is stays unknown.
_VALUE_OPERATIONS = {
    *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Negative", "Maximum", "Minimum"),
    *("Relu", "Relu6", "Sigmoid", "HardSigmoid", "Silu", "HardSilu", "Tanh", "Softmax", "Clip"),
    *("Mean", "Max", "Sum", "Reshape", "Transpose", "Concatenate", "Pad", "GetItem", "Cast"),
}


_ACTIVATION_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


def checkpoint_cost(model: Any) -> Cost:
    """The cost of one inference of one image.

    Args:
        model: a ``keras.Model``.
    """
    layers = Counter(type(layer).__name__ for layer in model.layers)
    works = list(_works(model))
    known = [work for work in works if work is not None]
    all_known = len(known) == len(works)
    weight_bytes = sum(int(weight.numpy().nbytes) for weight in model.weights)
    return Cost(
        precision=str(model.compute_dtype),
        parameters=int(model.count_params()),
        macs=sum(work.macs for work in known) if all_known else None,
        weight_bytes=weight_bytes,
        operators=dict(layers.most_common()),
        moved_bytes=weight_bytes + sum(work.activation_bytes for work in known)
        if all_known
        else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What one step does for one image: multiply-accumulates, and bytes read and written besides weights."""

    macs: int
    activation_bytes: int


def _works(model: Any) -> Iterator[_Work | None]:
    """The work of every step of the model; None where it is not known."""
    steps: Any = getattr(model, "operations", None) or getattr(model, "layers", ())
    calls = _calls(model)
    for step in steps:
        name = type(step).__name__
        if calls.get(step.name, 1) != 1:
            yield None  # shared by several calls, of which only the first tells its shapes
        elif name in ("Functional", "Sequential"):
            yield from _works(step)
        else:
            yield _work(step, name)


def _calls(model: Any) -> dict[str, int]:
    """How often each step is called in a functional model; empty for a sequential one: once each."""
    return {
        step["name"]: len(step["inbound_nodes"]) or 1
        for step in model.get_config()["layers"]
        if "inbound_nodes" in step
    }


def _work(step: Any, name: str) -> _Work | None:
    if not type(step).__module__.startswith("keras."):
        return None
    if not hasattr(step, "weights"):
        return _NO_WORK if name in _VALUE_OPERATIONS else None
    count = _COUNTS.get(name)
    if count is not None:
        return count(step) if _is_plain(step) else None
    if name in _UNCOUNTED_LAYERS or (step.weights and name not in _VALUE_BY_VALUE):
        return None
    return _NO_WORK


def _is_plain(layer: Any) -> bool:
    """Whether its kernel is what it multiplies by, its shapes are fixed, and its values' size is known."""
    return (
        not layer.quantization_mode
        and not getattr(layer, "lora_enabled", False)
        and None not in (*layer.input.shape[1:], *layer.output.shape[1:])
        and str(layer.compute_dtype) in _ACTIVATION_BYTES
    )


def _each_result(layer: Any, products: int) -> _Work:
    """The work of a layer that takes so many products for every value of its result."""
    read, written = math.prod(layer.input.shape[1:]), math.prod(layer.output.shape[1:])
    return _Work(macs=written * products, activation_bytes=(read + written) * _value_bytes(layer))


def _value_bytes(layer: Any) -> int:
    return _ACTIVATION_BYTES[str(layer.compute_dtype)]


def _conv(layer: Any) -> _Work:
    """Kernel: (height, width, channels in of a group, channels out)."""
    return _each_result(layer, math.prod(layer.kernel.shape[:-1]))


def _depthwise(layer: Any) -> _Work:
    """Kernel: (height, width, channels in, multiplier)."""
    return _each_result(layer, math.prod(layer.kernel.shape[:2]))


def _separable(layer: Any) -> _Work:
    """A depthwise convolution and then a pointwise one, kernel (1, 1, channels between, channels out)."""
    height, width, _, _ = layer.depthwise_kernel.shape
    pointwise = _each_result(layer, layer.pointwise_kernel.shape[2])
    between = pointwise.macs // layer.pointwise_kernel.shape[3]
    return _Work(
        macs=pointwise.macs + between * height * width,
        activation_bytes=pointwise.activation_bytes + 2 * between * _value_bytes(layer),
    )


def _dense(layer: Any) -> _Work:
    """Kernel: (inputs, outputs)."""
    return _each_result(layer, int(layer.kernel.shape[0]))


_COUNTS: dict[str, Callable[[Any], _Work]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
}
_NO_WORK = _Work(macs=0, activation_bytes=0)
