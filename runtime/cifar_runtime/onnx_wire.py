"""Looks into the bytes of an ONNX file just far enough to see whether weights lie in other files.

It walks the protocol buffer itself, since the runtime installs no onnx package; it runs nothing.

Source: onnx/onnx.proto (field numbers); protobuf.dev/programming-guides/encoding (wire format).
"""

from collections.abc import Iterator

from cifar_runtime.errors import ArtefactError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 64

# Message -> field number -> the message inside. Only the ways that lead to a TensorProto.
_MESSAGES: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
}
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14


def has_external_data(model: bytes) -> bool:
    """Whether any tensor of an ONNX model is stored outside the file.

    Raises:
        ArtefactError: the bytes are not a protocol buffer.
    """
    # Every external tensor names its file under the key "location": most models need no walk.
    if b"location" not in model:
        return False
    try:
        return _is_external(memoryview(model), "ModelProto", depth=0)
    except (IndexError, ValueError) as error:
        raise ArtefactError(
            f"the model is not a valid ONNX file: {error}.", hint="Run cifar-export again."
        ) from error


def _is_external(message: memoryview, kind: str, *, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError(f"it nests deeper than {_MAX_DEPTH} messages")
    if kind == "TensorProto":
        return any(
            number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and value == 1)
            for number, value in _fields(message)
        )
    inner = _MESSAGES[kind]
    return any(
        _is_external(value, inner[number], depth=depth + 1)
        for number, value in _fields(message)
        if number in inner and isinstance(value, memoryview)
    )


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire_type == _BYTES:
            size, position = _varint(message, position)
        elif wire_type in (_FIXED32, _FIXED64):
            size = 4 if wire_type == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire_type} is unknown")
        if position + size > len(message):
            raise ValueError("a field ends after the file")
        yield number, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number is longer than ten bytes")
