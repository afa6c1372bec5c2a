"""Works out the shapes between the operators of an ONNX graph, for one image, where the file has none.

It knows the operators of image classifiers; what follows another one stays unknown.

Source: onnx/docs/Operators.md (shape rules of each operator).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator with those of its attributes that shape its output.

    Attributes:
        op_type: with its domain in front where that is not ONNX's own.
        inputs: names of tensors; empty for one that is left out.
        outputs: names of those it computes.
        integers: attributes that are a number.
        lists: attributes that are numbers.
        texts: attributes that are a string.
    """

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: Mapping[str, int] = field(default_factory=dict)
    lists: Mapping[str, Shape] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def inferred_shapes(
    nodes: Sequence[Node], known: Mapping[str, Shape], constants: Mapping[str, Shape]
) -> dict[str, Shape]:
    """The shape of every tensor that follows from the known ones.

    Args:
        nodes: in an order in which each finds its inputs made.
        known: shapes of inputs, constants and whatever the file holds, the batch being 1.
        constants: values of integer constants, such as the target of a Reshape.
    """
    shapes = dict(known)
    for node in nodes:
        rule = _RULES.get(node.op_type)
        first = shapes.get(node.inputs[0]) if node.inputs else None
        if rule is None or first is None or not node.outputs or node.outputs[0] in shapes:
            continue
        others = [shapes.get(name) for name in node.inputs[1:]]
        values = [constants.get(name) for name in node.inputs[1:]]
        shape = rule(node, first, others, values)
        if shape is not None:
            shapes[node.outputs[0]] = shape
    return shapes


_Others = Sequence[Shape | None]


def _same(node: Node, first: Shape, others: _Others, values: _Others) -> Shape:
    del node, others, values
    return first


def _broadcast(node: Node, first: Shape, others: _Others, values: _Others) -> Shape | None:
    del node, values
    if not others or others[0] is None:
        return None
    one, other = sorted((first, others[0]), key=len)
    padded = (1,) * (len(other) - len(one)) + one
    return tuple(max(sizes) for sizes in zip(padded, other, strict=True))


def _transposed(node: Node, first: Shape, others: _Others, values: _Others) -> Shape | None:
    del others, values
    axes = node.lists.get("perm", tuple(reversed(range(len(first)))))
    if len(axes) != len(first):  # what came before was no flattening
        return None
    return tuple(first[axis] for axis in axes)


def _convolved(node: Node, first: Shape, others: _Others, values: _Others) -> Shape | None:
    del values
    if not others or others[0] is None or len(others[0]) != len(first):
        return None
    kernel = others[0]
    return (first[0], kernel[0], *_window_counts(node, first[2:], kernel[2:]))


def _pooled(node: Node, first: Shape, others: _Others, values: _Others) -> Shape:
    del others, values
    return (*first[:2], *_window_counts(node, first[2:], node.lists["kernel_shape"]))


def _window_counts(node: Node, sizes: Shape, kernel: Shape) -> Shape:
    count = len(sizes)
    strides = node.lists.get("strides", (1,) * count)
    dilations = node.lists.get("dilations", (1,) * count)
    pads = node.lists.get("pads", (0,) * (2 * count))
    counts = []
    for axis, size in enumerate(sizes):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        if node.texts.get("auto_pad", "NOTSET").startswith("SAME"):
            counts.append(-(-size // strides[axis]))
            continue
        room = size + pads[axis] + pads[axis + count] - reach
        rounding = strides[axis] - 1 if node.integers.get("ceil_mode") else 0
        counts.append((room + rounding) // strides[axis] + 1)
    return tuple(counts)


def _one_per_channel(node: Node, first: Shape, others: _Others, values: _Others) -> Shape:
    del node, others, values
    return (*first[:2], *(1 for _ in first[2:]))


def _reduced(node: Node, first: Shape, others: _Others, values: _Others) -> Shape | None:
    del others
    axes = node.lists.get("axes") or (values[0] if values else None)
    if axes is None:
        return None
    gone = {axis % len(first) for axis in axes}
    if node.integers.get("keepdims", 1):
        return tuple(1 if axis in gone else size for axis, size in enumerate(first))
    return tuple(size for axis, size in enumerate(first) if axis not in gone)


def _flattened(node: Node, first: Shape, others: _Others, values: _Others) -> Shape:
    del others, values
    axis = node.integers.get("axis", 1)
    return math.prod(first[:axis]), math.prod(first[axis:])


def _joined(node: Node, first: Shape, others: _Others, values: _Others) -> Shape | None:
    del values
    axis = node.integers.get("axis", 0) % max(1, len(first))
    parts = [first, *(other for other in others if other is not None and len(other) == len(first))]
    if len(parts) != len(others) + 1:
        return None
    return (*first[:axis], sum(part[axis] for part in parts), *first[axis + 1 :])


def _sliced(node: Node, first: Shape, others: _Others, values: _Others) -> Shape | None:
    del others
    if any(value is None for name, value in zip(node.inputs[1:], values, strict=True) if name):
        return None
    starts, ends, axes, steps = (*(value or () for value in values), (), (), (), ())[:4]
    sizes = list(first)
    cuts = zip(starts, ends, axes or range(len(starts)), steps or (1,) * len(starts), strict=False)
    for start, end, axis, step in cuts:
        if step == 0 or not -len(first) <= axis < len(first):
            return None
        sizes[axis] = len(range(*slice(start, end, step).indices(first[axis])))
    return tuple(sizes)


def _reshaped(node: Node, first: Shape, others: _Others, values: _Others) -> Shape:
    del node, others
    target = values[0] if values else None
    if target is None:
        # Computed from the batch size, as converters flatten: a row an image. Were it anything else, the dense
        # layer after it would not fit, which leaves its shape unknown.
        return 1, math.prod(first)
    sizes = [first[axis] if size == 0 else size for axis, size in enumerate(target)]
    rest = math.prod(size for size in sizes if size != -1)
    return tuple(math.prod(first) // max(1, rest) if size == -1 else size for size in sizes)


def _multiplied(node: Node, first: Shape, others: _Others, values: _Others) -> Shape | None:
    del values
    kernel = others[0] if others else None
    if not kernel or len(kernel) < 2 or not first:
        return None
    inputs, outputs = reversed(kernel[-2:]) if node.integers.get("transB") else kernel[-2:]
    return (*first[:-1], outputs) if first[-1] == inputs else None


_Rule = Callable[[Node, Shape, _Others, _Others], Shape | None]
_SAME = (
    *("Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish"),
    *("Tanh", "Erf", "Gelu", "Softmax", "LogSoftmax", "Identity", "Cast", "Dropout"),
    *("BatchNormalization", "QuantizeLinear", "DequantizeLinear"),
)
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"), _broadcast),
    "Transpose": _transposed,
    "Conv": _convolved,
    **dict.fromkeys(("MaxPool", "AveragePool"), _pooled),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _one_per_channel),
    **dict.fromkeys(("ReduceMean", "ReduceMax", "ReduceSum"), _reduced),
    "Concat": _joined,
    "Flatten": _flattened,
    "Reshape": _reshaped,
    "Slice": _sliced,
    **dict.fromkeys(("Gemm", "MatMul"), _multiplied),
}
