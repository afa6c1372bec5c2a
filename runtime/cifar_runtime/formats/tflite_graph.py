"""Reads the graph of a TensorFlow Lite file: operators, tensors, quantization. It runs nothing.

Every offset is checked (see ``flatbuffer``), so that a hostile file costs an error, and no schema
package is needed.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs (field numbers, codes of operators and types).
"""

import math
import struct
from collections.abc import Callable, Iterator, Sequence

from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.flatbuffer import FlatBuffer, Table
from cifar_runtime.formats.graph import PARAMETER_DTYPES, Graph, GraphOperator, GraphTensor
from cifar_runtime.formats.tflite_options import operator_options
from cifar_runtime.plain_text import reason_of

_MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_SUBGRAPH_TENSORS, _SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS, _SUBGRAPH_OPERATORS = 0, 1, 2, 3
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME = 0, 1, 2, 3
_TENSOR_QUANTIZATION, _TENSOR_SHAPE_SIGNATURE = 4, 7
_QUANTIZATION_SCALE, _QUANTIZATION_ZERO_POINT, _QUANTIZATION_AXIS = 2, 3, 6
_CODE_DEPRECATED_BUILTIN, _CODE_CUSTOM, _CODE_BUILTIN = 0, 1, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _OPERATOR_OPTIONS = 0, 1, 2, 4
_BUFFER_DATA = 0

# Longer ones exist in hostile files only, where their product takes minutes.
_MAX_AXES = 16


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_DTYPES = _words("""
float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64
resource variant uint32 uint16 int4 bfloat16 int2 uint4 float8_e4m3fn float8_e5m2
""")
# enum BuiltinOperator, from 0.
_OPERATORS = _words("""
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6
RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL
CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST
PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN
TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS
WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG
REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL
BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD
UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM
STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM
STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG
STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER
STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER
STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE
STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT
STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR
REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
""")
# Where operators with weights have them among their inputs, biases included.
_PARAMETER_INPUTS = {
    "CONV_2D": (1, 2),
    "DEPTHWISE_CONV_2D": (1, 2),
    "FULLY_CONNECTED": (1, 2),
    "TRANSPOSE_CONV": (1, 3),
}


def tflite_graph(data: bytes) -> Graph:
    """The graph in the bytes of a .tflite file.

    Raises:
        ArtefactError: the file is damaged.
    """
    try:
        return _graph(FlatBuffer(data).root())
    except (ValueError, IndexError, struct.error, OverflowError) as error:
        raise ArtefactError(
            f"the model is not a valid .tflite file: {reason_of(error)}.", hint="Restore the file."
        ) from error


def _graph(model: Table) -> Graph:
    codes = [_operator_name(code) for code in model.tables(_MODEL_OPERATOR_CODES)]
    buffers = [buffer.data(_BUFFER_DATA) for buffer in model.tables(_MODEL_BUFFERS)]
    tensors: list[GraphTensor] = []
    operators: list[GraphOperator] = []
    ends: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for subgraph in model.tables(_MODEL_SUBGRAPHS):
        first = len(tensors)
        tensors.extend(_tensor(tensor, buffers) for tensor in subgraph.tables(_SUBGRAPH_TENSORS))
        index = _Index(first, len(tensors))
        ends.append((index.all(subgraph, _SUBGRAPH_INPUTS), index.all(subgraph, _SUBGRAPH_OUTPUTS)))
        operators.extend(_operators(subgraph, codes, tensors, index))
    if not ends:
        raise ValueError("it has no graph")
    return Graph(
        operators=tuple(operators), tensors=tuple(tensors), inputs=ends[0][0], outputs=ends[0][1]
    )


class _Index:
    """Turns a subgraph's own tensor numbers into those of the whole file."""

    def __init__(self, first: int, end: int) -> None:
        self._first, self._end = first, end

    def all(self, table: Table, field: int) -> tuple[int, ...]:
        numbers = [
            number if number < 0 else number + self._first for number in table.integers(field)
        ]
        if any(number >= self._end for number in numbers):
            raise ValueError("it names a tensor that is not there")
        return tuple(max(number, -1) for number in numbers)


def _operators(
    subgraph: Table, codes: Sequence[str], tensors: Sequence[GraphTensor], index: _Index
) -> Iterator[GraphOperator]:
    for operator in subgraph.tables(_SUBGRAPH_OPERATORS):
        code = operator.number(_OPERATOR_CODE, "I")
        if code >= len(codes):
            raise ValueError("it names an operator that is not there")
        name = codes[code]
        inputs = index.all(operator, _OPERATOR_INPUTS)
        outputs = index.all(operator, _OPERATOR_OUTPUTS)
        macs = _macs(name, inputs, outputs, tensors)
        yield GraphOperator(
            name=name,
            inputs=inputs,
            outputs=outputs,
            parameters=_parameters(name, inputs, tensors),
            macs=macs,
            activations=macs and _activations(inputs, outputs, tensors),
            options=operator_options(name, operator.table(_OPERATOR_OPTIONS)),
        )


def _operator_name(code: Table) -> str:
    number = max(code.number(_CODE_BUILTIN, "i"), code.number(_CODE_DEPRECATED_BUILTIN, "b"))
    if not 0 <= number < len(_OPERATORS):
        return f"BUILTIN_{number}"
    name = _OPERATORS[number]
    return f"CUSTOM:{code.text(_CODE_CUSTOM)}" if name == "CUSTOM" else name


def _tensor(tensor: Table, buffers: Sequence[memoryview]) -> GraphTensor:
    dtype = tensor.number(_TENSOR_TYPE, "b")
    fixed = tensor.integers(_TENSOR_SHAPE)
    # An axis of size -1 is open; files without one have no signature.
    shape = tensor.integers(_TENSOR_SHAPE_SIGNATURE) or fixed
    if len(shape) > _MAX_AXES:
        raise ValueError(f"a tensor has {len(shape)} axes, expected at most {_MAX_AXES}")
    buffer = tensor.number(_TENSOR_BUFFER, "I")
    if buffer >= len(buffers):
        raise ValueError("it names a buffer that is not there")
    quantization = tensor.table(_TENSOR_QUANTIZATION)
    scales = () if quantization is None else quantization.vector(_QUANTIZATION_SCALE, "f")
    return GraphTensor(
        name=tensor.text(_TENSOR_NAME),
        dtype=_DTYPES[dtype] if 0 <= dtype < len(_DTYPES) else f"type {dtype}",
        shape=tuple(None if size < 0 else size for size in shape),
        constant_bytes=len(buffers[buffer]) or None,
        constant=buffers[buffer] or None,
        scales=scales,
        zero_points=quantization.integers(_QUANTIZATION_ZERO_POINT, "q") if quantization else (),
        axis=quantization.number(_QUANTIZATION_AXIS, "i")
        if quantization and len(scales) > 1
        else None,
    )


def _parameters(
    name: str, inputs: Sequence[int], tensors: Sequence[GraphTensor]
) -> tuple[int, ...]:
    positions = _PARAMETER_INPUTS.get(name)
    if positions is not None:
        return tuple(inputs[at] for at in positions if at < len(inputs) and inputs[at] >= 0)
    return tuple(
        index
        for index in inputs
        if index >= 0
        and tensors[index].dtype in PARAMETER_DTYPES
        and tensors[index].num_elements != 1
    )


def _macs(
    name: str, inputs: Sequence[int], outputs: Sequence[int], tensors: Sequence[GraphTensor]
) -> int | None:
    count = _MACS.get(name)
    if count is None:
        return None if name in _UNCOUNTED else 0
    used = [tensors[inputs[0]], tensors[inputs[1]], tensors[outputs[0]]]
    shapes = [tuple(1 if size is None else size for size in tensor.shape or ()) for tensor in used]
    return count(*shapes)


def _activations(
    inputs: Sequence[int], outputs: Sequence[int], tensors: Sequence[GraphTensor]
) -> int | None:
    """Elements of the first input, which holds the activations, and of the result."""
    read, written = tensors[inputs[0]].num_elements, tensors[outputs[0]].num_elements
    return None if read is None or written is None else read + written


_Shape = tuple[int, ...]


def _conv_macs(image: _Shape, kernel: _Shape, result: _Shape) -> int:
    """Kernel: (channels out, height, width, channels in)."""
    del image
    return math.prod(result) * math.prod(kernel[1:])


def _depthwise_macs(image: _Shape, kernel: _Shape, result: _Shape) -> int:
    """Kernel: (1, height, width, channels out)."""
    del image
    return math.prod(result) * math.prod(kernel[1:3])


def _dense_macs(image: _Shape, kernel: _Shape, result: _Shape) -> int:
    """Kernel: (outputs, inputs)."""
    del image
    return math.prod(result) * kernel[1]


_MACS: dict[str, Callable[[_Shape, _Shape, _Shape], int]] = {
    "CONV_2D": _conv_macs,
    "DEPTHWISE_CONV_2D": _depthwise_macs,
    "FULLY_CONNECTED": _dense_macs,
}
# They multiply matrices too, in ways that are not worked out here.
_UNCOUNTED = {
    *("BATCH_MATMUL", "CONV_3D", "CONV_3D_TRANSPOSE", "TRANSPOSE_CONV", "LSTM", "RNN", "SVDF"),
    *("BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    *("UNIDIRECTIONAL_SEQUENCE_RNN", "WHILE", "CALL", "CALL_ONCE", "IF", "STABLEHLO_COMPOSITE"),
    *("STABLEHLO_CONVOLUTION", "STABLEHLO_DOT_GENERAL"),
}
