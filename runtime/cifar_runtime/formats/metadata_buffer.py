"""Puts a document into a TensorFlow Lite file as a metadata buffer, and reads it back; every other tool passes over it.

Every offset is checked (see ``flatbuffer``). It knows nothing of what the document says (see ``embedded_card``).

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs (Model, Metadata, Buffer).
"""

import struct

from cifar_runtime.formats.flatbuffer import UOFFSET, FlatBuffer, Table
from cifar_runtime.formats.known_formats import TFLITE_SIGNATURE

# Fields of the tables, numbered as in schema.fbs.
_MODEL_BUFFERS, _MODEL_METADATA, _NUM_MODEL_FIELDS = 4, 6, 10
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_BUFFER_DATA, _BUFFER_OFFSET = 0, 1
# Constant tensors are aligned to this many bytes (schema.fbs, Buffer.data: force_align: 16).
_ALIGNMENT = 16


def metadata_entry(data: bytes, key: str) -> memoryview | None:
    """The content of the metadata buffer ``key``; None when the file has none.

    Raises:
        ValueError: the file is damaged.
    """
    model = FlatBuffer(data).root()
    name = key.encode()
    for metadata in model.tables(_MODEL_METADATA):
        if metadata.data(_METADATA_NAME) == name:
            buffers = list(model.tables(_MODEL_BUFFERS))
            index = metadata.number(_METADATA_BUFFER, "I")
            if index >= len(buffers):
                raise ValueError("its metadata names a buffer that is not there")
            return buffers[index].data(_BUFFER_DATA)
    return None


def with_metadata_entry(data: bytes, key: str, value: bytes) -> bytes:
    """The file with another root table, and what that adds, put before the whole old file.

    FlatBuffers references only point forward, so a new root can reuse every old table where it
    lies. Nothing is repacked: every byte that the converter wrote stays, with its alignment.

    Raises:
        ValueError: the file is damaged, or of a kind that cannot be extended like this.
    """
    model = FlatBuffer(data).root()
    buffers = list(model.tables(_MODEL_BUFFERS))
    if model.num_fields > _NUM_MODEL_FIELDS:
        raise ValueError("it was written by a newer schema, whose fields are unknown here")
    if any(buffer.number(_BUFFER_OFFSET, "Q") > 1 for buffer in buffers):
        raise ValueError("it keeps weights outside the flatbuffer, at offsets from its start")
    metadata = list(model.tables(_MODEL_METADATA))
    layout = _Front(key.encode(), value, num_buffers=len(buffers), num_metadata=len(metadata))
    return layout.pack(model, buffers, metadata) + data


class _Front:
    """Where everything stands in the part that is put before the old file; byte positions."""

    def __init__(self, key: bytes, value: bytes, *, num_buffers: int, num_metadata: int) -> None:
        self.key, self.value = key, value
        self.model_vtable = 8
        self.model = _aligned(self.model_vtable + 4 + 2 * _NUM_MODEL_FIELDS, 4)
        self.buffers = self.model + 4 + 4 * _NUM_MODEL_FIELDS
        self.metadata = self.buffers + 4 * (num_buffers + 2)
        self.buffer_vtable = self.metadata + 4 * (num_metadata + 2)
        self.buffer = self.buffer_vtable + 8  # 6 bytes and padding
        self.entry_vtable = self.buffer + 8
        self.entry = self.entry_vtable + 8
        self.name = self.entry + 12
        self.data = _aligned(self.name + 4 + len(key) + 1 + 4, _ALIGNMENT) - 4
        self.size = _aligned(self.data + 4 + len(value), _ALIGNMENT)

    def pack(self, model: Table, buffers: list[Table], metadata: list[Table]) -> bytes:
        """The bytes of this part, for the tables of the old file."""
        front = bytearray(self.size)
        front[:8] = UOFFSET.pack(self.model) + TFLITE_SIGNATURE
        self._pack_model(front, model)
        _pack_offsets(
            front, self.buffers, [self.size + old.position for old in buffers], self.buffer
        )
        _pack_offsets(
            front, self.metadata, [self.size + old.position for old in metadata], self.entry
        )
        struct.pack_into("<3H", front, self.buffer_vtable, 6, 8, 4)
        struct.pack_into("<iI", front, self.buffer, 8, self.data - (self.buffer + 4))
        struct.pack_into("<4H", front, self.entry_vtable, 8, 12, 4, 8)
        name_offset = self.name - (self.entry + 4)
        struct.pack_into("<iII", front, self.entry, 8, name_offset, len(buffers))
        _pack_bytes(front, self.name, self.key)
        _pack_bytes(front, self.data, self.value)
        return bytes(front)

    def _pack_model(self, front: bytearray, old: Table) -> None:
        targets: dict[int, int] = {}
        for index in range(1, _NUM_MODEL_FIELDS):
            position = old.field(index)
            if position is not None:
                targets[index] = self.size + position + old.number(index, "I")
        targets |= {_MODEL_BUFFERS: self.buffers, _MODEL_METADATA: self.metadata}
        sizes = (4 + 2 * _NUM_MODEL_FIELDS, 4 + 4 * _NUM_MODEL_FIELDS)
        fields = [
            4 * (index + 1) if index in {0, *targets} else 0 for index in range(_NUM_MODEL_FIELDS)
        ]
        struct.pack_into(f"<{2 + len(fields)}H", front, self.model_vtable, *sizes, *fields)
        struct.pack_into(
            "<iI", front, self.model, self.model - self.model_vtable, old.number(0, "I")
        )
        for index, target in targets.items():
            position = self.model + 4 * (index + 1)
            UOFFSET.pack_into(front, position, target - position)


def _pack_offsets(front: bytearray, position: int, old: list[int], new: int) -> None:
    targets = [*old, new]
    UOFFSET.pack_into(front, position, len(targets))
    for entry, target in enumerate(targets):
        at = position + 4 * (entry + 1)
        UOFFSET.pack_into(front, at, target - at)


def _pack_bytes(front: bytearray, position: int, content: bytes) -> None:
    UOFFSET.pack_into(front, position, len(content))
    front[position + 4 : position + 4 + len(content)] = content


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment
