"""Weight scales of an ONNX model whose unsigned activations multiply signed weights, so that no sum is cut off.

x86 processors without VNNI multiply 32 unsigned by 32 signed bytes at once and add neighbouring products in 16 bits
(VPMADDUBSW), where 255 * (a + b) is cut off at 32,767: seed-cnn lost 10 points of accuracy there and none elsewhere.
The usual remedy is 7-bit weights. It is enough that two *neighbouring* weights of a channel never add up to more than
128, which most channels of 8-bit weights nearly fulfil: edge-s agreed with Keras on 98.74 % of 5,000 validation
images (7 bits: 98.66 %), seed-cnn on 97.96 % (96.54 %), bit for bit the same with and without such sums.

Neighbours are positions 0 and 1, 2 and 3, ... along the sum: input channels innermost, as onnxruntime's kernels for
convolutions keep them, or outermost, as its fallback does.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST_PAIR = 32_767 // 255
_LARGEST_WEIGHT = 127
# Rounding moves each of two weights by up to half a step.
_UNROUNDED_PAIR = _LARGEST_PAIR - 1 + 0.4
_TINY = 1e-12


def weight_scales(graph: Any) -> Mapping[str, list[dict[str, Any]]]:
    """What ``TensorQuantOverrides`` takes for the weights of every convolution and matrix product of a float graph."""
    from onnx import numpy_helper

    weights = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    return {
        node.input[1]: _overrides(weights[node.input[1]], _output_axis(node, weights))
        for node in graph.node
        if node.op_type in ("Conv", "MatMul", "Gemm") and node.input[1] in weights
    }


def rounded_within_sums(kernel: Any, kind: str) -> Any:
    """A Keras kernel as int8 ONNX files with uint8 activations have it.

    Args:
        kernel: float32; (height, width, inputs, outputs), of a dense layer (inputs, outputs), of a depthwise one
            (height, width, inputs, outputs of each).
        kind: the layer's class: Conv2D, DepthwiseConv2D or Dense.
    """
    weight = np.asarray(kernel, dtype=np.float32)
    if kind == "Dense":
        return _rounded(weight.T).T
    inputs_last = (2, 3, 0, 1) if kind == "DepthwiseConv2D" else (3, 2, 0, 1)
    channels = weight.transpose(inputs_last)
    shape = channels.shape
    if kind == "DepthwiseConv2D":
        channels = channels.reshape(-1, 1, *shape[2:])
    return _rounded(channels).reshape(shape).transpose(np.argsort(inputs_last))


def _rounded(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights, outputs first, on the grid of their scales."""
    scales = np.array([one["scale"] for one in _overrides(channels, 0)], dtype=np.float32)
    scales = scales.reshape(-1, *[1] * (channels.ndim - 1))
    return np.round(channels / scales) * scales


def _output_axis(node: Any, weights: Mapping[str, NDArray[Any]]) -> int:
    if node.op_type == "Conv":
        return 0
    is_transposed = any(value.name == "transB" and value.i for value in node.attribute)
    return 0 if is_transposed else weights[node.input[1]].ndim - 1


def _overrides(weight: NDArray[Any], axis: int) -> list[dict[str, Any]]:
    channels = np.moveaxis(weight.astype(np.float64), axis, 0)
    scales = np.abs(channels.reshape(len(channels), -1)).max(axis=1) / _LARGEST_WEIGHT
    for summed in _orders(channels):
        even = summed[:, : summed.shape[1] // 2 * 2]
        pairs = np.abs(even[:, ::2] + even[:, 1::2]).max(axis=1, initial=0)
        scales = np.maximum(scales, pairs / _UNROUNDED_PAIR)
    scales = np.maximum(scales, _TINY).astype(np.float32)
    overrides: list[dict[str, Any]] = [
        {"scale": scale, "zero_point": np.int8(0)} for scale in scales
    ]
    overrides[0]["axis"] = axis
    return overrides


def _orders(channels: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """The weights of each output channel, shape (outputs, n), in the orders that kernels add their products in."""
    count = len(channels)
    yield channels.reshape(count, -1)
    if channels.ndim > 2:
        innermost = np.moveaxis(channels, 1, -1)
        yield innermost.reshape(count, -1)
        if channels.shape[1] % 2:  # each position filled up to a whole number of pairs
            filled = np.concatenate([innermost, np.zeros_like(innermost[..., :1])], axis=-1)
            yield filled.reshape(count, -1)
