"""TensorFlow Lite files from elsewhere, each hostile in its own way."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cifar_fixtures.hostile.case import (
    HEIGHT,
    WIDTH,
    Case,
    foreign,
)


def foreign_tflite() -> Iterator[Case]:
    for name, says, data in (
        ("tflite-int8-without-a-scale", "scale", lambda: _tflite(_unscaled)),
        ("tflite-int8-weights-without-a-scale", "", lambda: _tflite(_unscaled_weights)),
        # LiteRT 2.3 aborts the process on it.
        ("tflite-add-without-a-scale", "crashed with SIGABRT", lambda: _tflite(_unscaled_add)),
        ("tflite-while-forever", "processor time", lambda: _tflite(_endless)),
        ("tflite-fill-of-3-gb", "", lambda: _tflite(_huge_fill)),
        ("tflite-reshape-to-another-size", "", lambda: _tflite(_bad_reshape)),
        ("tflite-operator-writes-its-input", "", lambda: _tflite(_overwriting)),
        (
            "tflite-operator-reads-tensor-999",
            "tensor that is not there",
            lambda: _tflite(_dangling),
        ),
        ("tflite-custom-operator", "", lambda: _tflite(_custom)),
        ("tflite-of-another-shape", "its input is", lambda: _tflite(_reshaped_input)),
        ("tflite-two-outputs", "1 inputs and 2 outputs", lambda: _tflite(_two_outputs)),
        ("tflite-no-graph", "it has no graph", lambda: _tflite(_graphless)),
        ("tflite-identifier-and-zeros", "", lambda: b"\x00\x00\x00\x00TFL3" + bytes(400)),
        ("tflite-identifier-and-noise", "", lambda: _noise(b"TFL3")),
        ("tflite-root-outside", "points outside", lambda: b"\xff\xff\xff\x7fTFL3" + bytes(400)),
        ("tflite-vector-of-4-thousand-million", "longer than the file", _long_vector),
        ("tflite-of-20000-graphs-of-20000-tensors", "more than 50000 tables", _quadratic),
    ):
        yield foreign(name, says, "foreign.tflite", data)


def _noise(identifier: bytes) -> bytes:
    noise = np.random.default_rng(7).bytes(4096)
    return b"\x10\x00\x00\x00" + identifier + noise


def _tflite(change: Callable[[Any, Any], None]) -> bytes:
    """A float model, RESHAPE and FULLY_CONNECTED on a 4x4 image, after a change."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    float32, int32 = schema.TensorType.FLOAT32, schema.TensorType.INT32
    size = HEIGHT * WIDTH * 3
    model = schema.ModelT()
    model.version = 3
    constants = [b"", np.array([1, size], np.int32).tobytes(), bytes(4 * 3 * size)]
    model.buffers = [_buffer(schema, data) for data in constants]
    builtin = schema.BuiltinOperator
    model.operatorCodes = [_code(schema, builtin.RESHAPE), _code(schema, builtin.FULLY_CONNECTED)]
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor(schema, [1, HEIGHT, WIDTH, 3], float32),
        _tensor(schema, [2], int32, buffer=1),
        _tensor(schema, [1, size], float32),
        _tensor(schema, [3, size], float32, buffer=2),
        _tensor(schema, [1, 3], float32),
    ]
    reshape = _operator(schema, 0, [0, 1], [2])
    dense = _operator(schema, 1, [2, 3, -1], [4])
    dense.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    dense.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators = [reshape, dense]
    graph.inputs, graph.outputs = [0], [4]
    model.subgraphs = [graph]
    change(model, schema)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _buffer(schema: Any, data: bytes) -> Any:
    buffer = schema.BufferT()
    if data:
        buffer.data = np.frombuffer(data, np.uint8)
    return buffer


def _code(schema: Any, builtin: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = min(builtin, 127)
    code.builtinCode = builtin
    code.version = 1
    return code


def _tensor(schema: Any, shape: list[int], kind: int, *, buffer: int = 0) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = f"t{shape}", shape, kind, buffer
    return tensor


def _operator(schema: Any, code: int, inputs: list[int], outputs: list[int]) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, outputs
    return operator


def _unscaled(model: Any, schema: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == schema.TensorType.FLOAT32:
            tensor.type = schema.TensorType.INT8
    model.buffers[2].data = np.zeros(3 * HEIGHT * WIDTH * 3, np.uint8)


def _unscaled_weights(model: Any, schema: Any) -> None:
    _unscaled(model, schema)
    _scale(model, schema, (0, 4))


def _unscaled_add(model: Any, schema: Any) -> None:
    """An ADD between the other two, whose output alone has no scale."""
    _unscaled(model, schema)
    main = model.subgraphs[0]
    main.tensors.append(_tensor(schema, [1, HEIGHT * WIDTH * 3], schema.TensorType.INT8))
    _scale(model, schema, (0, 2, 3, 4))
    model.operatorCodes.append(_code(schema, schema.BuiltinOperator.ADD))
    add = _operator(schema, 2, [2, 2], [5])
    add.builtinOptionsType = schema.BuiltinOptions.AddOptions
    add.builtinOptions = schema.AddOptionsT()
    main.operators.insert(1, add)
    main.operators[2].inputs = [5, 3, -1]


def _scale(model: Any, schema: Any, indices: tuple[int, ...]) -> None:
    for index in indices:
        tensor = model.subgraphs[0].tensors[index]
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5], [0]


def _endless(model: Any, schema: Any) -> None:
    """A WHILE whose condition is the constant true, before the dense layer."""
    main = model.subgraphs[0]
    shape = list(main.tensors[0].shape)
    float32, boolean = schema.TensorType.FLOAT32, schema.TensorType.BOOL
    model.operatorCodes += [
        _code(schema, schema.BuiltinOperator.WHILE),
        _code(schema, schema.BuiltinOperator.ABS),
        _code(schema, schema.BuiltinOperator.EQUAL),
    ]
    condition, body = schema.SubGraphT(), schema.SubGraphT()
    condition.tensors = [_tensor(schema, shape, float32), _tensor(schema, [1], float32, buffer=3)]
    condition.tensors.append(_tensor(schema, [1], boolean))
    model.buffers.append(_buffer(schema, np.ones(1, np.float32).tobytes()))
    equal = _operator(schema, 4, [1, 1], [2])
    condition.operators, condition.inputs, condition.outputs = [equal], [0], [2]
    body.tensors = [_tensor(schema, shape, float32), _tensor(schema, shape, float32)]
    body.operators, body.inputs, body.outputs = [_operator(schema, 3, [0], [1])], [0], [1]
    main.tensors.append(_tensor(schema, shape, float32))
    loop = _operator(schema, 2, [0], [5])
    loop.builtinOptionsType = schema.BuiltinOptions.WhileOptions
    loop.builtinOptions = schema.WhileOptionsT()
    loop.builtinOptions.condSubgraphIndex, loop.builtinOptions.bodySubgraphIndex = 1, 2
    main.operators[0].inputs = [5, 1]
    main.operators.insert(0, loop)
    model.subgraphs += [condition, body]


def _huge_fill(model: Any, schema: Any) -> None:
    main = model.subgraphs[0]
    float32, int32 = schema.TensorType.FLOAT32, schema.TensorType.INT32
    model.operatorCodes.append(_code(schema, schema.BuiltinOperator.FILL))
    model.buffers += [
        _buffer(schema, np.array([800_000_000], np.int32).tobytes()),
        _buffer(schema, np.ones(1, np.float32).tobytes()),
    ]
    main.tensors += [
        _tensor(schema, [1], int32, buffer=3),
        _tensor(schema, [], float32, buffer=4),
        _tensor(schema, [800_000_000], float32),
    ]
    main.operators.append(_operator(schema, 2, [5, 6], [7]))


def _bad_reshape(model: Any, schema: Any) -> None:
    model.buffers[1] = _buffer(schema, np.array([1, 7], np.int32).tobytes())


def _overwriting(model: Any, schema: Any) -> None:
    del schema
    model.subgraphs[0].operators[1].outputs = [0]


def _dangling(model: Any, schema: Any) -> None:
    del schema
    model.subgraphs[0].operators[1].inputs = [2, 999, -1]


def _custom(model: Any, schema: Any) -> None:
    model.operatorCodes[0] = _code(schema, schema.BuiltinOperator.CUSTOM)
    model.operatorCodes[0].customCode = "RunShell"


def _reshaped_input(model: Any, schema: Any) -> None:
    del schema
    model.subgraphs[0].tensors[0].shape = [1, 2, 8, 3]


def _two_outputs(model: Any, schema: Any) -> None:
    del schema
    model.subgraphs[0].outputs = [4, 2]


def _graphless(model: Any, schema: Any) -> None:
    del schema
    model.subgraphs = []


def _long_vector() -> bytes:
    """A root table whose vector of subgraphs claims 2**32 - 1 elements."""
    vtable = struct.pack("<5H", 10, 16, 0, 0, 4)
    table = struct.pack("<iI", 12, 4)
    return struct.pack("<I4s", 20, b"TFL3") + vtable + bytes(2) + table + b"\xff\xff\xff\xff" * 4


def _quadratic() -> bytes:
    """20,000 subgraphs that are all the same one, of 20,000 tensors that are all the same one."""
    count = 20_000
    # The root table: subgraphs and buffers, fields 2 and 4; one empty buffer; then the subgraphs.
    data = struct.pack("<I4s", 24, b"TFL3") + struct.pack("<7H", 14, 12, 0, 0, 4, 0, 8) + bytes(2)
    data += struct.pack("<iII", 16, 24, 4) + struct.pack("<II2Hi", 1, 8, 4, 4, 4)
    subgraph = len(data) + 4 + 4 * count + 8
    data += struct.pack("<I", count) + _pointers(len(data) + 4, subgraph, count)
    data += struct.pack("<3H", 6, 8, 4) + bytes(2) + struct.pack("<iI", 8, 4)
    tensor = len(data) + 4 + 4 * count + 4
    data += struct.pack("<I", count) + _pointers(len(data) + 4, tensor, count)
    return data + struct.pack("<2H", 4, 4) + struct.pack("<i", 4)


def _pointers(first: int, target: int, count: int) -> bytes:
    return struct.pack(f"<{count}I", *(target - (first + 4 * index) for index in range(count)))
