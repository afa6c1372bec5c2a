"""Reads and writes fields of an ONNX file: do weights lie in other files, what does its metadata say.

It reads the protocol buffer itself, since the runtime installs no onnx package; it runs nothing.

Source: onnx/onnx.proto (field numbers); protobuf.dev/programming-guides/encoding (wire format).
"""

from collections.abc import Iterator

from cifar_runtime.errors import ArtefactError
from cifar_runtime.plain_text import reason_of

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 64
# Nodes and initializers of a graph number some thousands.
_MAX_FIELDS = 1_000_000

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
_MODEL_METADATA_PROPS = 14
_ENTRY_KEY, _ENTRY_VALUE = 1, 2


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
    except ValueError as error:
        raise ArtefactError(
            f"the model is not a valid ONNX file: {reason_of(error)}.",
            hint="Run cifar-export again.",
        ) from error


def metadata_entry(model: bytes, key: str) -> memoryview | None:
    """The value of the model's ``metadata_props`` entry ``key``; None when it has none.

    Raises:
        ValueError: the bytes are not a protocol buffer.
    """
    wanted = key.encode()
    for number, value in message_fields(memoryview(model)):
        if number == _MODEL_METADATA_PROPS and isinstance(value, memoryview):
            entry = dict(message_fields(value))
            name, found = entry.get(_ENTRY_KEY), entry.get(_ENTRY_VALUE)
            is_wanted = isinstance(name, memoryview) and name == wanted
            if is_wanted and isinstance(found, memoryview):
                return found
    return None


def with_metadata_entry(model: bytes, key: str, value: bytes) -> bytes:
    """The model with a ``metadata_props`` entry more, added at its end: all else stays as it was."""
    entry = bytes_field(_ENTRY_KEY, key.encode()) + bytes_field(_ENTRY_VALUE, value)
    return model + bytes_field(_MODEL_METADATA_PROPS, entry)


def bytes_field(number: int, content: bytes) -> bytes:
    """A field that holds bytes: text, or a message inside."""
    return _encoded_varint(number << 3 | _BYTES) + _encoded_varint(len(content)) + content


def integer_field(number: int, value: int) -> bytes:
    """A field that holds a whole number from zero up."""
    return _encoded_varint(number << 3 | _VARINT) + _encoded_varint(value)


def _encoded_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _is_external(message: memoryview, kind: str, *, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError(f"it nests deeper than {_MAX_DEPTH} messages")
    if kind == "TensorProto":
        return any(
            number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and value == 1)
            for number, value in message_fields(message)
        )
    inner = _MESSAGES[kind]
    return any(
        _is_external(value, inner[number], depth=depth + 1)
        for number, value in message_fields(message)
        if number in inner and isinstance(value, memoryview)
    )


def message_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The (number, value) of every field of a protocol buffer message, in the order of the file.

    Raises:
        ValueError: the bytes are not a protocol buffer.
    """
    position = count = 0
    while position < len(message):
        count += 1
        if count > _MAX_FIELDS:
            raise ValueError(f"a message has more than {_MAX_FIELDS} fields")
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


def packed_integers(value: int | memoryview) -> Iterator[int]:
    """The integers of one occurrence of a repeated field: a single one, or many packed together."""
    if isinstance(value, int):
        yield value
        return
    position = 0
    while position < len(value):
        number, position = _varint(value, position)
        yield number


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("a number ends after the file")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number is longer than ten bytes")
