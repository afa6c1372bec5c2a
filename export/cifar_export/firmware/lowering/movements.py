"""PAD, SLICE, STRIDED_SLICE, TRANSPOSE and CONCATENATION as copies between strided blocks."""

from cifar_export.firmware.lowering.quantized_graph import QuantizedGraph, refuse
from cifar_export.firmware.operators import Block, Four, Movement, contiguous_strides
from cifar_runtime.formats.graph import GraphOperator


def pad(graph: QuantizedGraph, operator: GraphOperator) -> tuple[Movement, ...]:
    """PAD and PADV2 with the output's zero point or a constant of its scale.

    Raises:
        ArtefactError: scales differ, or sizes are negative.
    """
    name, source, target = operator.name, operator.inputs[0], operator.outputs[0]
    _check_scales(graph, operator, source)
    amounts = graph.integers(name, operator.inputs[1])
    before = _four(amounts[::2], 0)
    if min(amounts) < 0:
        raise refuse(name, f"it pads by {amounts}", "0 or more")
    fill = graph.scale(name, target).zero_point
    if len(operator.inputs) > 2:
        fill = int(graph.constant(name, operator.inputs[2], "int8").ravel()[0])
    strides = contiguous_strides(graph.shape4(name, target))
    return (
        Movement(
            name=name,
            inputs=(source,),
            output=target,
            shape=graph.shape4(name, source),
            source=Block(start=0, strides=contiguous_strides(graph.shape4(name, source))),
            target=Block(start=_dot(before, strides), strides=strides),
            fill=fill,
            output_bytes=graph.size(target),
        ),
    )


def cut(graph: QuantizedGraph, operator: GraphOperator) -> tuple[Movement, ...]:
    """SLICE and STRIDED_SLICE.

    Raises:
        ArtefactError: scales differ, or it adds or drops axes other than whole ones.
    """
    name, source, target = operator.name, operator.inputs[0], operator.outputs[0]
    _check_scales(graph, operator, source)
    shape = graph.shape(source)
    begin = list(graph.integers(name, operator.inputs[1]))
    steps = [1] * len(shape)
    if name == "STRIDED_SLICE":
        steps = list(graph.integers(name, operator.inputs[3]))
        _resolve_begin(operator, begin, steps, shape)
    start = _four(begin, 0)
    given = contiguous_strides(graph.shape4(name, source))
    stepped = tuple(stride * step for stride, step in zip(given, _four(steps, 1), strict=True))
    return (
        Movement(
            name=name,
            inputs=(source,),
            output=target,
            shape=graph.shape4(name, target),
            source=Block(start=_dot(start, given), strides=_four(stepped, 1)),
            target=Block(start=0, strides=contiguous_strides(graph.shape4(name, target))),
        ),
    )


def _resolve_begin(
    operator: GraphOperator, begin: list[int], steps: list[int], shape: tuple[int, ...]
) -> None:
    """Replaces masked and negative starts; the ends are in the output's shape."""
    special = [f"{mask}_mask" for mask in ("ellipsis", "new_axis", "shrink_axis")]
    if any(operator.options[mask] for mask in special) or min(steps) < 1:
        raise refuse(operator.name, "it adds or drops axes, or runs backwards", "plain slices")
    for axis, size in enumerate(shape):
        if int(operator.options["begin_mask"]) & (1 << axis):
            begin[axis] = 0
        begin[axis] = min(size, max(0, begin[axis] + (size if begin[axis] < 0 else 0)))


def transpose(graph: QuantizedGraph, operator: GraphOperator) -> tuple[Movement, ...]:
    """TRANSPOSE.

    Raises:
        ArtefactError: it has more than four axes.
    """
    name, source, target = operator.name, operator.inputs[0], operator.outputs[0]
    _check_scales(graph, operator, source)
    order = graph.integers(name, operator.inputs[1])
    new = 4 - len(order)
    given = contiguous_strides(graph.shape4(name, source))
    strides = [given[axis] for axis in (*range(new), *(axis + new for axis in order))]
    return (
        Movement(
            name=name,
            inputs=(source,),
            output=target,
            shape=graph.shape4(name, target),
            source=Block(start=0, strides=_four(strides, 1)),
            target=Block(start=0, strides=contiguous_strides(graph.shape4(name, target))),
        ),
    )


def concatenation(graph: QuantizedGraph, operator: GraphOperator) -> tuple[Movement, ...]:
    """CONCATENATION: one copy for each input.

    Raises:
        ArtefactError: an input has another scale than the output.
    """
    name, target = operator.name, operator.outputs[0]
    if operator.options["fused_activation_function"]:
        raise refuse(name, "it has an activation", "none")
    whole = graph.shape(target)
    axis = int(operator.options["axis"]) % len(whole) + 4 - len(whole)
    strides = contiguous_strides(graph.shape4(name, target))
    moves, at = [], 0
    for source in operator.inputs:
        _check_scales(graph, operator, source)
        shape = graph.shape4(name, source)
        moves.append(
            Movement(
                name=name,
                inputs=(source,),
                output=target,
                shape=shape,
                source=Block(start=0, strides=contiguous_strides(shape)),
                target=Block(start=at * strides[axis], strides=strides),
            )
        )
        at += shape[axis]
    return tuple(moves)


def _check_scales(graph: QuantizedGraph, operator: GraphOperator, source: int) -> None:
    given = graph.scale(operator.name, source)
    wanted = graph.scale(operator.name, operator.outputs[0])
    if given != wanted:
        raise refuse(operator.name, f"its scales are {given} and {wanted}", "the same")


def _four(values: tuple[int, ...] | list[int], missing: int) -> Four:
    padded = [missing] * (4 - len(values)) + list(values)
    return (padded[0], padded[1], padded[2], padded[3])


def _dot(one: Four, other: Four) -> int:
    return sum(a * b for a, b in zip(one, other, strict=True))
