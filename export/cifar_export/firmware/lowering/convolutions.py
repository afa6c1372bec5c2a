"""CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED and pooling: from the graph's terms to what the kernels need.

Source: TensorFlow Lite 8-bit quantization specification; tflite-micro's kernels/{conv,depthwise_conv,fully_connected,
pooling}_common.cc (which products are float32 and which float64).
"""

import math

import numpy as np
from numpy.typing import NDArray

from cifar_export.firmware.fixed_point import quantize_multiplier
from cifar_export.firmware.lowering.lookup_tables import Scale
from cifar_export.firmware.lowering.quantized_graph import QuantizedGraph, refuse
from cifar_export.firmware.operators import (
    Channel,
    Convolution,
    Depthwise,
    Factor,
    Pooling,
    Window,
)
from cifar_runtime.formats.graph import GraphOperator

_SAME = 0
# The kernels' arithmetic is exact below it; see c/arithmetic.h.
_ACCUMULATOR_LIMIT = 2**31


def factor_of(name: str, real: float, bound: int) -> Factor:
    """A real factor for accumulators up to ``bound`` in magnitude.

    Raises:
        ArtefactError: they would not fit 32 bits, rounding included.
    """
    multiplier, shift = quantize_multiplier(real)
    if (bound << max(shift, 0)) + (1 << max(-shift - 1, 0)) >= _ACCUMULATOR_LIMIT:
        raise refuse(name, f"its sums reach {bound} times {real:g}", "less than 2 ** 31")
    return Factor(multiplier=multiplier, shift=shift)


def convolution(graph: QuantizedGraph, operator: GraphOperator) -> Convolution:
    """CONV_2D.

    Raises:
        ArtefactError: its types, shapes or sums are not those of an int8 convolution of one image.
    """
    name, source = operator.name, operator.inputs[0]
    weights = graph.constant(name, operator.inputs[1], "int8")
    _, height, width, channels = graph.shape4(name, operator.inputs[1])
    given = graph.shape4(name, source)
    if given[3] != channels or given[0] != 1:
        raise refuse(name, f"its input is {given}", f"one image of {channels} channels")
    return Convolution(
        name=name,
        inputs=(source,),
        output=operator.outputs[0],
        window=window(graph, operator, (height, width)),
        range=graph.output_range(operator),
        input_zero_point=graph.scale(name, source).zero_point,
        weights=np.ascontiguousarray(weights.reshape(len(weights), -1), np.int8),
        channels=_channels(graph, operator, weights.reshape(len(weights), -1).T, axis=0),
    )


def depthwise(graph: QuantizedGraph, operator: GraphOperator) -> Depthwise:
    """DEPTHWISE_CONV_2D.

    Raises:
        ArtefactError: its types, shapes or sums are not those of an int8 convolution of one image.
    """
    name, source = operator.name, operator.inputs[0]
    weights = graph.constant(name, operator.inputs[1], "int8")
    _, height, width, outputs = graph.shape4(name, operator.inputs[1])
    given = graph.shape4(name, source)
    if given[0] != 1 or outputs % given[3]:
        raise refuse(name, f"its input is {given}", f"one image of a divisor of {outputs} channels")
    flat = weights.reshape(height * width, outputs)
    return Depthwise(
        name=name,
        inputs=(source,),
        output=operator.outputs[0],
        window=window(graph, operator, (height, width)),
        range=graph.output_range(operator),
        input_zero_point=graph.scale(name, source).zero_point,
        multiplier=outputs // given[3],
        weights=np.ascontiguousarray(flat, np.int8),
        channels=_channels(graph, operator, flat, axis=3),
    )


def fully_connected(graph: QuantizedGraph, operator: GraphOperator) -> Convolution:
    """FULLY_CONNECTED, as a convolution of one pixel for each row of its input.

    Raises:
        ArtefactError: its types, shapes or sums are not those of an int8 layer.
    """
    name, source = operator.name, operator.inputs[0]
    weights = graph.constant(name, operator.inputs[1], "int8")
    if weights.ndim != 2 or graph.size(source) % weights.shape[1]:
        raise refuse(name, f"its weights are {weights.shape}", f"a divisor of {graph.size(source)}")
    rows = graph.size(source) // weights.shape[1]
    return Convolution(
        name=name,
        inputs=(source,),
        output=operator.outputs[0],
        window=Window(
            input_size=(1, rows),
            channels=weights.shape[1],
            size=(1, 1),
            strides=(1, 1),
            dilations=(1, 1),
            padding=(0, 0),
            output_size=(1, rows),
        ),
        range=graph.output_range(operator),
        input_zero_point=graph.scale(name, source).zero_point,
        weights=np.ascontiguousarray(weights, np.int8),
        channels=_channels(graph, operator, weights.T, axis=0),
    )


def pooling(graph: QuantizedGraph, operator: GraphOperator) -> Pooling:
    """MAX_POOL_2D and AVERAGE_POOL_2D.

    Raises:
        ArtefactError: input and output have different scales, or there is more than one image.
    """
    name, source, target = operator.name, operator.inputs[0], operator.outputs[0]
    given, wanted = graph.scale(name, source), graph.scale(name, target)
    if abs(given.scale - wanted.scale) > 1e-6 or given.zero_point != wanted.zero_point:
        raise refuse(name, f"its scales are {given.scale} and {wanted.scale}", "the same")
    if graph.shape4(name, source)[0] != 1:
        raise refuse(name, f"its input is {graph.shape(source)}", "one image")
    size = int(operator.options["filter_height"]), int(operator.options["filter_width"])
    return Pooling(
        name=name,
        inputs=(source,),
        output=target,
        window=window(graph, operator, size),
        range=graph.output_range(operator),
    )


def window(graph: QuantizedGraph, operator: GraphOperator, size: tuple[int, int]) -> Window:
    """The sliding window of an operator with strides and padding.

    Raises:
        ArtefactError: the output in the file has another size.

    Source: tensorflow/lite/kernels/padding.h, ComputePaddingHeightWidth.
    """
    options, name = operator.options, operator.name
    strides = int(options["stride_h"]), int(options["stride_w"])
    dilations = int(options.get("dilation_h_factor", 1)), int(options.get("dilation_w_factor", 1))
    _, *given, channels = graph.shape4(name, operator.inputs[0])
    spans = [(one - 1) * dilation + 1 for one, dilation in zip(size, dilations, strict=True)]
    same = int(options["padding"]) == _SAME
    if min(*strides, *dilations, *size) < 1:
        raise refuse(name, f"strides, dilations or size are {strides}, {dilations}, {size}", "1..")
    wanted = [
        math.ceil((length if same else length - span + 1) / stride)
        for length, span, stride in zip(given, spans, strides, strict=True)
    ]
    _, *found, _ = graph.shape4(name, operator.outputs[0])
    if found != wanted:
        raise refuse(name, f"its output is {found}", f"{wanted}")
    missing = [
        max(0, (count - 1) * stride + span - length)
        for count, stride, span, length in zip(wanted, strides, spans, given, strict=True)
    ]
    return Window(
        input_size=(given[0], given[1]),
        channels=channels,
        size=size,
        strides=strides,
        dilations=dilations,
        padding=(missing[0] // 2, missing[1] // 2),
        output_size=(wanted[0], wanted[1]),
    )


def _channels(
    graph: QuantizedGraph, operator: GraphOperator, weights: NDArray[np.generic], *, axis: int
) -> tuple[Channel, ...]:
    """Each output channel's bias and factor.

    Args:
        graph: the graph.
        operator: its inputs are the image, weights and bias.
        weights: int8, shape (summands, output channels).
        axis: that of the output channels in the file.
    """
    name, count = operator.name, weights.shape[1]
    given = graph.scale(name, operator.inputs[0])
    wanted = graph.scale(name, operator.outputs[0])
    summands = weights.astype(np.int64)
    folded = _biases(graph, operator, count) - given.zero_point * summands.sum(axis=0)
    bounds = np.abs(folded) + 128 * np.abs(summands).sum(axis=0)
    factors = _real_factors(graph, operator, given, wanted, count=count, axis=axis)
    return tuple(
        Channel(bias=int(bias), factor=factor_of(name, real, int(bound)))
        for bias, real, bound in zip(folded, factors, bounds, strict=True)
    )


def _biases(graph: QuantizedGraph, operator: GraphOperator, count: int) -> NDArray[np.int64]:
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return np.zeros(count, np.int64)
    return graph.constant(operator.name, operator.inputs[2], "int32").ravel().astype(np.int64)


def _real_factors(
    graph: QuantizedGraph,
    operator: GraphOperator,
    given: Scale,
    wanted: Scale,
    *,
    count: int,
    axis: int,
) -> list[float]:
    tensor = graph.tensor(operator.inputs[1])
    if any(tensor.zero_points) or len(tensor.scales) not in (1, count):
        raise refuse(
            operator.name, f"its weights have {len(tensor.scales)} scales", f"1 or {count}"
        )
    if len(tensor.scales) > 1 and tensor.axis != axis:
        raise refuse(operator.name, f"its weights' scales run along axis {tensor.axis}", str(axis))
    if operator.name == "FULLY_CONNECTED" and len(tensor.scales) == 1:
        product = np.float32(given.scale) * np.float32(tensor.scales[0])
        return [float(product) / wanted.scale] * count
    scales = tensor.scales if len(tensor.scales) == count else tensor.scales * count
    return [given.scale * scale / wanted.scale for scale in scales]
