"""ADD, MUL, MEAN, SUM, SOFTMAX and the operators of one number: from the graph's terms to what the kernels need.

Source: tflite-micro's kernels/{add,mul,reduce,softmax,activations}_common.cc.
"""

import math

from cifar_export.firmware.fixed_point import quantize_multiplier
from cifar_export.firmware.lowering import lookup_tables
from cifar_export.firmware.lowering.convolutions import factor_of
from cifar_export.firmware.lowering.quantized_graph import QuantizedGraph, quantize, refuse
from cifar_export.firmware.operators import (
    Addition,
    Factor,
    Four,
    Lookup,
    Multiplication,
    OutputRange,
    Reduction,
    Softmax,
)
from cifar_runtime.formats.graph import GraphOperator

_ADDED_BITS = 20
_MAX_CLASSES = 4096


def addition(graph: QuantizedGraph, operator: GraphOperator) -> Addition:
    """ADD.

    Raises:
        ArtefactError: shapes do not fit, or a scale is out of range.
    """
    name = operator.name
    one, other = (graph.scale(name, index) for index in operator.inputs)
    wanted = graph.scale(name, operator.outputs[0])
    common = 2 * max(one.scale, other.scale)
    factors = [quantize_multiplier(scale.scale / common) for scale in (one, other)]
    real = common / ((1 << _ADDED_BITS) * wanted.scale)
    shape, strides = _broadcast(graph, operator)
    return Addition(
        name=name,
        inputs=operator.inputs,
        output=operator.outputs[0],
        shape=shape,
        strides=strides,
        zero_points=(one.zero_point, other.zero_point),
        range=graph.output_range(operator),
        factors=(
            Factor(multiplier=factors[0][0], shift=factors[0][1]),
            Factor(multiplier=factors[1][0], shift=factors[1][1]),
        ),
        factor=factor_of(name, real, 255 << _ADDED_BITS),
    )


def multiplication(graph: QuantizedGraph, operator: GraphOperator) -> Multiplication:
    """MUL.

    Raises:
        ArtefactError: shapes do not fit, or a scale is out of range.
    """
    name = operator.name
    one, other = (graph.scale(name, index) for index in operator.inputs)
    wanted = graph.scale(name, operator.outputs[0])
    shape, strides = _broadcast(graph, operator)
    return Multiplication(
        name=name,
        inputs=operator.inputs,
        output=operator.outputs[0],
        shape=shape,
        strides=strides,
        zero_points=(one.zero_point, other.zero_point),
        range=graph.output_range(operator),
        factor=factor_of(name, one.scale * other.scale / wanted.scale, 255 * 255),
    )


def _broadcast(graph: QuantizedGraph, operator: GraphOperator) -> tuple[Four, tuple[Four, Four]]:
    """The output's shape, and how each input is read for it; in one run where neither is repeated."""
    name = operator.name
    shapes = [graph.shape4(name, index) for index in operator.inputs]
    wanted = graph.shape4(name, operator.outputs[0])
    if all(shape == wanted for shape in shapes):
        return (1, 1, 1, math.prod(wanted)), ((0, 0, 0, 1), (0, 0, 0, 1))
    for shape in shapes:
        if any(size not in (1, whole) for size, whole in zip(shape, wanted, strict=True)):
            raise refuse(name, f"its inputs are {shapes}", f"shapes that repeat to {wanted}")
    return wanted, (_repeating_strides(shapes[0]), _repeating_strides(shapes[1]))


def _repeating_strides(shape: Four) -> Four:
    strides = [0 if size == 1 else math.prod(shape[axis + 1 :]) for axis, size in enumerate(shape)]
    return (strides[0], strides[1], strides[2], strides[3])


def reduction(graph: QuantizedGraph, operator: GraphOperator) -> Reduction:
    """MEAN and SUM.

    Raises:
        ArtefactError: the axes are not neighbours.

    Source: tensorflow/lite/kernels/internal/reference/reduce.h, QuantizedMeanOrSum (1/n goes into the multiplier).
    """
    name, source = operator.name, operator.inputs[0]
    shape = graph.shape(source)
    axes = sorted({axis % len(shape) for axis in graph.integers(name, operator.inputs[1])})
    if not axes or axes != list(range(axes[0], axes[-1] + 1)):
        raise refuse(name, f"its axes are {axes}", "neighbours")
    count = math.prod(shape[axis] for axis in axes)
    given, wanted = graph.scale(name, source), graph.scale(name, operator.outputs[0])
    factor = factor_of(name, given.scale / wanted.scale, 255 * count)
    return Reduction(
        name=name,
        inputs=(source,),
        output=operator.outputs[0],
        outer=math.prod(shape[: axes[0]]),
        reduced=count,
        inner=math.prod(shape[axes[-1] + 1 :]),
        offset=-given.zero_point * count,
        factor=_divided(factor, count) if name == "MEAN" else factor,
        range=OutputRange(zero_point=wanted.zero_point, lowest=-128, highest=127),
    )


def _divided(factor: Factor, count: int) -> Factor:
    shift = min(count.bit_length() - 1, 32, 31 + factor.shift)
    return Factor(multiplier=(factor.multiplier << shift) // count, shift=factor.shift - shift)


def softmax(graph: QuantizedGraph, operator: GraphOperator) -> Softmax:
    """SOFTMAX.

    Raises:
        ArtefactError: its output's scale is not 1/256 from -128, or there are too many classes.
    """
    name, source = operator.name, operator.inputs[0]
    wanted = graph.scale(name, operator.outputs[0])
    if (wanted.scale, wanted.zero_point) != (1 / 256, -128):
        raise refuse(name, f"its output has the scale {wanted.scale}", "1/256 from -128")
    classes = graph.shape(source)[-1]
    if classes > _MAX_CLASSES:
        raise refuse(name, f"it has {classes} classes", f"at most {_MAX_CLASSES}")
    return Softmax(
        name=name,
        inputs=(source,),
        output=operator.outputs[0],
        rows=graph.size(source) // classes,
        classes=classes,
        exponentials=lookup_tables.softmax_exponentials(
            graph.scale(name, source), float(operator.options["beta"])
        ),
    )


def lookup(graph: QuantizedGraph, operator: GraphOperator) -> Lookup:
    """LOGISTIC, TANH, HARD_SWISH, RELU, RELU6, RELU_N1_TO_1, LEAKY_RELU, and QUANTIZE between int8 tensors.

    Raises:
        ArtefactError: a tensor is not int8, or has a scale that the reference kernel refuses.
    """
    return Lookup(
        name=operator.name,
        inputs=(operator.inputs[0],),
        output=operator.outputs[0],
        table=_table(graph, operator),
        count=graph.size(operator.inputs[0]),
    )


def _table(graph: QuantizedGraph, operator: GraphOperator) -> tuple[int, ...]:
    name = operator.name
    given = graph.scale(name, operator.inputs[0])
    wanted = graph.scale(name, operator.outputs[0])
    if name in _SIGMOIDS:
        make, scale = _SIGMOIDS[name]
        if (wanted.scale, wanted.zero_point) != scale:
            raise refuse(name, f"its output has the scale {wanted}", f"{scale[0]} from {scale[1]}")
        return make(given)
    match name:
        case "HARD_SWISH":
            return lookup_tables.hard_swish_table(given, wanted)
        case "LEAKY_RELU":
            return lookup_tables.leaky_relu_table(given, wanted, float(operator.options["alpha"]))
        case "RELU6":
            return lookup_tables.relu6_table(given)
        case "RELU":
            low = max(-128, quantize(0.0, wanted))
            return lookup_tables.relu_table(given, wanted, lowest=low, highest=127)
        case _:
            return lookup_tables.requantize_table(given, wanted)


_SIGMOIDS = {
    "LOGISTIC": (lookup_tables.logistic_table, (1 / 256, -128)),
    "TANH": (lookup_tables.tanh_table, (1 / 128, 0)),
}
