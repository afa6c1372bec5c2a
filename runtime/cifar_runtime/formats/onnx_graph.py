"""Reads the graph of an ONNX file: operators, initializers, quantization. It runs nothing.

Shapes between operators stand in a file only where its writer put them (``value_info``); else
``onnx_shapes`` works them out. Where it cannot, multiply-accumulates are unknown, and said to be.

Source: onnx/onnx.proto (field numbers, TensorProto.DataType); onnx/docs/Operators.md.
"""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.graph import PARAMETER_DTYPES, Graph, GraphOperator, GraphTensor
from cifar_runtime.formats.onnx_shapes import Node, Shape, inferred_shapes
from cifar_runtime.formats.protobuf import message_fields, packed_integers
from cifar_runtime.plain_text import reason_of

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_TENSOR_DIMS, _TENSOR_DATA_TYPE, _TENSOR_FLOATS, _TENSOR_INT32S, _TENSOR_INT64S = 1, 2, 4, 5, 7
_TENSOR_NAME, _TENSOR_RAW_DATA = 8, 9
_ATTRIBUTE_NAME, _ATTRIBUTE_INTEGER, _ATTRIBUTE_TEXT, _ATTRIBUTE_INTEGERS = 1, 3, 4, 8
_DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    16: "bfloat16",
    21: "uint4",
    22: "int4",
}
_DATA_BITS = {
    "float64": 64,
    "int64": 64,
    "uint64": 64,
    "float32": 32,
    "int32": 32,
    "uint32": 32,
} | {
    "float16": 16,
    "bfloat16": 16,
    "int16": 16,
    "uint16": 16,
    "int8": 8,
    "uint8": 8,
    "bool": 8,
    "int4": 4,
    "uint4": 4,
}
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
# Operators that multiply matrices and are not counted here.
_UNCOUNTED = {
    *("Attention", "ConvInteger", "ConvTranspose", "Einsum", "GRU", "LSTM", "MatMulInteger", "RNN"),
    *("MultiHeadAttention", "QLinearConv", "QLinearMatMul", "Loop", "If", "Scan"),
}
_MAX_NODES = 100_000
# Longer ones exist in hostile files only, where their product takes minutes.
_MAX_AXES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Constant:
    """An initializer: its tensor, and the few numbers of a scale or zero point."""

    tensor: GraphTensor
    numbers: tuple[float, ...]


def onnx_graph(data: bytes) -> Graph:
    """The graph in the bytes of an .onnx file; of nested subgraphs only the operator that runs them.

    Raises:
        ArtefactError: the file is damaged.
    """
    try:
        graphs = _messages(memoryview(data), _MODEL_GRAPH)
        if not graphs:
            raise ValueError("it has no graph")
        return _graph(graphs[-1])
    except (ValueError, IndexError, KeyError, ArithmeticError, struct.error) as error:
        raise ArtefactError(
            f"the model is not a valid ONNX file: {reason_of(error)}.", hint="Restore the file."
        ) from error


def _graph(graph: memoryview) -> Graph:
    nodes = [_node(message) for message in _messages(graph, _GRAPH_NODE)]
    if len(nodes) > _MAX_NODES:
        raise ValueError(f"it has {len(nodes)} nodes, expected at most {_MAX_NODES}")
    constants = {
        constant.tensor.name: constant
        for constant in map(_constant, _messages(graph, _GRAPH_INITIALIZER))
    }
    inputs = [_value(message) for message in _messages(graph, _GRAPH_INPUT)]
    outputs = [_value(message) for message in _messages(graph, _GRAPH_OUTPUT)]
    known = {
        value.name: value
        for value in (*map(_value, _messages(graph, _GRAPH_VALUE_INFO)), *inputs, *outputs)
    } | {name: constant.tensor for name, constant in constants.items()}
    _note_quantization(nodes, constants, known)
    names = dict.fromkeys(name for node in nodes for name in (*node.inputs, *node.outputs) if name)
    order = {name: index for index, name in enumerate({**known, **names})}
    unknown = GraphTensor(name="", dtype="unknown", shape=None)
    return Graph(
        operators=tuple(_operators(nodes, known, _shapes(nodes, constants, known), order)),
        tensors=tuple(known.get(name, replace(unknown, name=name)) for name in order),
        inputs=tuple(order[value.name] for value in inputs if value.name not in constants),
        outputs=tuple(order[value.name] for value in outputs),
    )


def _shapes(
    nodes: Sequence[Node], constants: Mapping[str, _Constant], known: Mapping[str, GraphTensor]
) -> dict[str, Shape]:
    """The shape of every tensor as far as it is known, for one image."""
    given = {
        name: tuple(
            1 if axis == 0 and size is None else size for axis, size in enumerate(tensor.shape)
        )
        for name, tensor in known.items()
        if tensor.shape is not None
    }
    whole = {name: shape for name, shape in given.items() if None not in shape}
    integers = {
        name: tuple(map(int, constant.numbers))
        for name, constant in constants.items()
        if constant.tensor.dtype == "int64" and len(constant.numbers) <= _MAX_AXES
    }
    return inferred_shapes(nodes, whole, integers)  # type: ignore[arg-type]  # no None is left


def _operators(
    nodes: Sequence[Node],
    known: Mapping[str, GraphTensor],
    shapes: Mapping[str, Shape],
    order: Mapping[str, int],
) -> Iterator[GraphOperator]:
    for node in nodes:
        macs = _macs(node, shapes)
        yield GraphOperator(
            name=node.op_type,
            inputs=tuple(order[name] if name else -1 for name in node.inputs),
            outputs=tuple(order[name] if name else -1 for name in node.outputs),
            parameters=tuple(order[name] for name in _parameters(node, known)),
            macs=macs,
            activations=macs and _activations(node, shapes),
        )


def _parameters(node: Node, known: Mapping[str, GraphTensor]) -> list[str]:
    # The other inputs of a quantizer are scales and zero points.
    names = node.inputs[:1] if node.op_type in _QUANTIZERS else node.inputs
    dtypes = (*PARAMETER_DTYPES, "int32") if node.op_type in _QUANTIZERS else PARAMETER_DTYPES
    constants = [name for name in names if name in known and known[name].constant_bytes is not None]
    return [
        name for name in constants if known[name].dtype in dtypes and known[name].num_elements != 1
    ]


def _macs(node: Node, shapes: Mapping[str, Shape]) -> int | None:
    if node.op_type not in ("Conv", "Gemm", "MatMul"):
        return None if node.op_type in _UNCOUNTED else 0
    if len(node.inputs) < 2 or not node.outputs:
        raise ValueError(f"a {node.op_type} has fewer than two inputs")
    kernel, result = shapes.get(node.inputs[1]), shapes.get(node.outputs[0])
    if not kernel or result is None:
        return None
    if node.op_type == "Conv":  # (channels out, channels in of a group, height, width)
        return math.prod(result) * math.prod(kernel[1:])
    # (inputs, outputs), or the other way round
    return math.prod(result) * (kernel[-1] if node.integers.get("transB") else kernel[-2:][0])


def _activations(node: Node, shapes: Mapping[str, Shape]) -> int | None:
    """Elements of the first input, which holds the activations, and of the result."""
    read, written = shapes.get(node.inputs[0]), shapes.get(node.outputs[0])
    return None if read is None or written is None else math.prod(read) + math.prod(written)


def _note_quantization(
    nodes: Sequence[Node], constants: Mapping[str, _Constant], known: dict[str, GraphTensor]
) -> None:
    """Writes the scales of the quantizers onto the integer tensors that they read or make."""
    for node in nodes:
        if node.op_type not in _QUANTIZERS or len(node.inputs) < 2 or not node.outputs:
            continue
        name = node.inputs[0] if node.op_type == "DequantizeLinear" else node.outputs[0]
        scale = constants.get(node.inputs[1])
        point = constants.get(node.inputs[2]) if len(node.inputs) > 2 else None
        if scale is None:
            continue
        dtype = "uint8" if point is None else point.tensor.dtype
        known[name] = replace(
            known.get(name, GraphTensor(name=name, dtype=dtype, shape=None)),
            scales=scale.numbers,
            zero_points=() if point is None else tuple(map(int, point.numbers)),
            axis=node.integers.get("axis", 1) if len(scale.numbers) > 1 else None,
        )


def _node(message: memoryview) -> Node:
    texts: dict[int, list[str]] = {
        number: [] for number in (_NODE_INPUT, _NODE_OUTPUT, _NODE_OP_TYPE, _NODE_DOMAIN)
    }
    attributes: dict[str, int | Shape | str] = {}
    for number, value in message_fields(message):
        if isinstance(value, int):
            continue
        if number in texts:
            texts[number].append(_text(value))
        elif number == _NODE_ATTRIBUTE:
            attributes |= _attribute(value)
    domain = "".join(texts[_NODE_DOMAIN][-1:])
    op_type = "".join(texts[_NODE_OP_TYPE][-1:])
    return Node(
        op_type=f"{domain}.{op_type}" if domain not in ("", "ai.onnx") else op_type,
        inputs=tuple(texts[_NODE_INPUT]),
        outputs=tuple(texts[_NODE_OUTPUT]),
        integers={name: value for name, value in attributes.items() if isinstance(value, int)},
        lists={name: value for name, value in attributes.items() if isinstance(value, tuple)},
        texts={name: value for name, value in attributes.items() if isinstance(value, str)},
    )


def _attribute(message: memoryview) -> dict[str, int | Shape | str]:
    name, found = "", None
    numbers: list[int] = []
    for number, value in message_fields(message):
        if number == _ATTRIBUTE_INTEGERS:
            numbers.extend(map(_signed, packed_integers(value)))
        elif number == _ATTRIBUTE_INTEGER and isinstance(value, int):
            found = _signed(value)
        elif number == _ATTRIBUTE_NAME and isinstance(value, memoryview):
            name = _text(value)
        elif number == _ATTRIBUTE_TEXT and isinstance(value, memoryview):
            return {name: _text(value)}
    if numbers:
        return {name: tuple(numbers)}
    return {} if found is None else {name: found}


def _constant(message: memoryview) -> _Constant:
    dims: list[int] = []
    typed: list[memoryview] = []
    name, dtype, raw = "", "unknown", memoryview(b"")
    for number, value in message_fields(message):
        if number == _TENSOR_DIMS:
            dims.extend(packed_integers(value))
        elif isinstance(value, int):
            dtype = _DTYPES.get(value, f"type {value}") if number == _TENSOR_DATA_TYPE else dtype
        elif number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_RAW_DATA:
            raw = value
        elif number in (_TENSOR_FLOATS, _TENSOR_INT32S, _TENSOR_INT64S):
            typed.append(value)
    if len(dims) > _MAX_AXES:
        raise ValueError(f"a tensor has {len(dims)} axes, expected at most {_MAX_AXES}")
    size = math.prod(dims) * _DATA_BITS.get(dtype, 32) // 8
    tensor = GraphTensor(name=name, dtype=dtype, shape=tuple(dims), constant_bytes=size)
    return _Constant(tensor=tensor, numbers=_numbers(dtype, raw, b"".join(typed)))


def _numbers(dtype: str, raw: memoryview, typed: bytes) -> tuple[float, ...]:
    """The values of a float32, int8, uint8, int32 or int64 initializer; none of another type."""
    form = {"float32": "f", "int8": "b", "uint8": "B", "int32": "i", "int64": "q"}.get(dtype)
    if form is None:
        return ()
    if len(raw):
        count = len(raw) // struct.calcsize(form)
        return struct.unpack_from(f"<{count}{form}", raw)
    if form == "f":
        return struct.unpack_from(f"<{len(typed) // 4}f", typed)
    # Negative numbers stand as their 64-bit two's complement.
    return tuple(map(_signed, packed_integers(memoryview(typed))))


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _value(message: memoryview) -> GraphTensor:
    """A ValueInfoProto: name 1, type 2 > tensor_type 1 > elem_type 1, shape 2 > dim 1 > dim_value 1."""
    name, dtype = "", "unknown"
    shape: tuple[int | None, ...] | None = None
    for number, value in message_fields(message):
        if number == 1 and isinstance(value, memoryview):
            name = _text(value)
        elif number == 2 and isinstance(value, memoryview):
            for tensor_type in _messages(value, 1):
                dtype, shape = _tensor_type(tensor_type)
    return GraphTensor(name=name, dtype=dtype, shape=shape)


def _tensor_type(message: memoryview) -> tuple[str, tuple[int | None, ...] | None]:
    dtype, shape = "unknown", None
    for number, value in message_fields(message):
        if number == 1 and isinstance(value, int):
            dtype = _DTYPES.get(value, f"type {value}")
        elif number == 2 and isinstance(value, memoryview):
            shape = tuple(map(_dimension, _messages(value, 1)[: _MAX_AXES + 1]))
            if len(shape) > _MAX_AXES:
                raise ValueError(f"a tensor has more than {_MAX_AXES} axes")
    return dtype, shape


def _dimension(message: memoryview) -> int | None:
    size = dict(message_fields(message)).get(1)
    return size if isinstance(size, int) else None


def _messages(message: memoryview, field: int) -> list[memoryview]:
    return [
        value
        for number, value in message_fields(message)
        if number == field and isinstance(value, memoryview)
    ]


def _text(value: memoryview) -> str:
    return bytes(value).decode("utf-8", "replace")
