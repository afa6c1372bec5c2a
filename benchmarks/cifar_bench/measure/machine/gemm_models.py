"""Writes one-operator models that multiply two square matrices, to measure what a runtime can do at most.

Both formats are written by hand, so that measuring needs no converter. int8 uses the operators that
exported classifiers use: FULLY_CONNECTED in TFLite, QLinearMatMul in ONNX. There the left side is
uint8, which onnxruntime on x86 rewrites int8 models to: int8 by int8 has no fast kernel.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_bench.results.roofline import CeilingPrecision
from cifar_runtime.formats.known_formats import TFLITE_SIGNATURE
from cifar_runtime.formats.protobuf import bytes_field, integer_field

# Source: onnx/onnx.proto (field numbers and element types), opset 17.
_FLOAT, _UINT8, _INT8 = 1, 2, 3
_SCALE = 0.5


def weights(precision: CeilingPrecision, size: int) -> NDArray[Any]:
    """The right-hand matrix, shape (size, size), of seeded random values."""
    generator = np.random.default_rng(0)
    if precision == "int8":
        return generator.integers(-127, 128, (size, size)).astype(np.int8)
    return generator.normal(size=(size, size)).astype(np.float32)


def tflite_product(precision: CeilingPrecision, size: int) -> bytes:
    """A TFLite model of one FULLY_CONNECTED, input and output of shape (size, size)."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    is_int8 = precision == "int8"
    model = schema.ModelT()
    model.version = 3
    model.description = "matrix product"
    constant = schema.BufferT()
    constant.data = np.frombuffer(weights(precision, size).tobytes(), dtype=np.uint8)
    model.buffers = [schema.BufferT(), constant]
    code = schema.OperatorCodeT()
    code.deprecatedBuiltinCode = code.builtinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4 if is_int8 else 1
    model.operatorCodes = [code]
    graph = schema.SubGraphT()
    graph.tensors = [
        _tflite_tensor(schema, name, size, buffer=buffer, is_int8=is_int8)
        for name, buffer in (("left", 0), ("right", 1), ("product", 0))
    ]
    graph.inputs, graph.outputs = [0], [2]
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, -1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators = [operator]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), TFLITE_SIGNATURE)
    return bytes(builder.Output())


def _tflite_tensor(schema: Any, name: str, size: int, *, buffer: int, is_int8: bool) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, [size, size], buffer
    tensor.type = schema.TensorType.INT8 if is_int8 else schema.TensorType.FLOAT32
    if is_int8:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [_SCALE], [0]
    return tensor


def onnx_product(precision: CeilingPrecision, size: int) -> bytes:
    """An ONNX model of one MatMul or QLinearMatMul, input and output of shape (size, size)."""
    right = weights(precision, size)
    if precision == "int8":
        element, operator = _UINT8, "QLinearMatMul"
        names = ["left", "scale", "zero", "right", "scale", "right_zero", "scale", "zero"]
        constants = [
            _onnx_tensor("right", _INT8, right),
            _onnx_tensor("scale", _FLOAT, np.float32(_SCALE)),
            _onnx_tensor("zero", _UINT8, np.uint8(0)),
            _onnx_tensor("right_zero", _INT8, np.int8(0)),
        ]
    else:
        element, operator, names = _FLOAT, "MatMul", ["left", "right"]
        constants = [_onnx_tensor("right", _FLOAT, right)]
    node = b"".join(_text(1, name) for name in names) + _text(2, "product") + _text(4, operator)
    graph = b"".join(
        [
            bytes_field(1, node),
            _text(2, "matrix product"),
            *(bytes_field(5, constant) for constant in constants),
            bytes_field(11, _onnx_value("left", element, size)),
            bytes_field(12, _onnx_value("product", element, size)),
        ]
    )
    return integer_field(1, 8) + bytes_field(7, graph) + bytes_field(8, integer_field(2, 17))


def _onnx_tensor(name: str, element: int, values: Any) -> bytes:
    array = np.asarray(values)
    sizes = b"".join(integer_field(1, size) for size in array.shape)
    return sizes + integer_field(2, element) + _text(8, name) + bytes_field(9, array.tobytes())


def _onnx_value(name: str, element: int, size: int) -> bytes:
    axis = bytes_field(1, integer_field(1, size))
    return _text(1, name) + bytes_field(
        2, bytes_field(1, integer_field(1, element) + bytes_field(2, axis + axis))
    )


def _text(number: int, text: str) -> bytes:
    return bytes_field(number, text.encode())
