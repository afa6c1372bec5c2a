"""Puts a JSON document into a model file, and reads it back without any interpreter or schema package.

The document of an artefact is its card without the digest and size of the file, which cannot stand
inside it. A .tflite carries it as the metadata buffer ``NAME``, an .onnx as the ``metadata_props``
entry of that name; every other tool passes over both.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs (Model, Metadata, Buffer); onnx/onnx.proto
(ModelProto.metadata_props).
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

from cifar_runtime.contract import ModelFormat
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.flatbuffer import UOFFSET, FlatBuffer, Table
from cifar_runtime.formats.protobuf import metadata_entry, with_metadata_entry

NAME = "cifar-edge/artefact/1"
_FROM_FILE = ("size_bytes", "sha256")

# Fields of the tables, numbered as in schema.fbs.
_MODEL_BUFFERS, _MODEL_METADATA, _NUM_MODEL_FIELDS = 4, 6, 10
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_BUFFER_DATA, _BUFFER_OFFSET = 0, 1
_IDENTIFIER = b"TFL3"
# Constant tensors are aligned to this many bytes (schema.fbs, Buffer.data: force_align: 16).
_ALIGNMENT = 16


def sealed(
    data: bytes, model_format: ModelFormat, document: Mapping[str, Any]
) -> tuple[bytes, dict[str, Any]]:
    """A model file that carries its document, and the card to lie beside it.

    Args:
        data: the file as a converter made it.
        model_format: its format.
        document: the card without ``model.size_bytes`` and ``model.sha256``.

    Raises:
        ArtefactError: the file cannot carry a document.
    """
    carrier = embed_document(data, model_format, document)
    return carrier, card_of_file(carrier, document)


def card_of_file(data: bytes, document: Mapping[str, Any]) -> dict[str, Any]:
    """The card of a finished model file that carries the document."""
    facts = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {**document, "model": {**document["model"], **facts}}


def document_of_card(card: Mapping[str, Any]) -> dict[str, Any]:
    """The document that a file with this card carries inside."""
    model = {name: value for name, value in card["model"].items() if name not in _FROM_FILE}
    return {**card, "model": model}


def embed_document(data: bytes, model_format: ModelFormat, document: Mapping[str, Any]) -> bytes:
    """The model file with a document inside; the same bytes for the same arguments.

    Args:
        data: a model file that carries none yet.
        model_format: its format.
        document: JSON-ready data without NaN.

    Raises:
        ArtefactError: the file is damaged or carries a document already.
    """
    if embedded_document(data, model_format) is not None:
        raise ArtefactError(
            "the model carries a contract already, expected a file fresh from a converter.",
            hint="Embed into the original file.",
        )
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if model_format == "onnx":
        return with_metadata_entry(data, NAME, text.encode())
    try:
        return with_metadata_buffer(data, NAME, text.encode())
    except ValueError as error:
        raise _damaged(str(error)) from error


def embedded_document(data: bytes, model_format: ModelFormat) -> Mapping[str, Any] | None:
    """The document inside a model file; None when it carries none.

    Raises:
        ArtefactError: the file is damaged, or what it carries is not a JSON object.
    """
    try:
        text = (
            metadata_buffer(data, NAME) if model_format == "tflite" else metadata_entry(data, NAME)
        )
        if text is None:
            return None
        document = json.loads(bytes(text))
    except (ValueError, RecursionError) as error:
        raise _damaged(str(error)) from error
    if not isinstance(document, dict):
        raise _damaged("what it carries is not a JSON object")
    return document


def metadata_buffer(data: bytes, name: str) -> memoryview | None:
    """What a .tflite's metadata buffer of a name holds; None when it has none.

    Raises:
        ValueError: the file is damaged.
    """
    model = FlatBuffer(data).root()
    for metadata in model.tables(_MODEL_METADATA):
        if metadata.data(_METADATA_NAME) == name.encode():
            buffers = list(model.tables(_MODEL_BUFFERS))
            index = metadata.number(_METADATA_BUFFER, "I")
            if index >= len(buffers):
                raise ValueError("its metadata names a buffer that is not there")
            return buffers[index].data(_BUFFER_DATA)
    return None


def with_metadata_buffer(data: bytes, name: str, content: bytes) -> bytes:
    """The .tflite with one metadata buffer more: another root table, and what it adds, before the whole old file.

    FlatBuffers references only point forward, so a new root can reuse every old table where it
    lies. Nothing is repacked: every byte that the converter wrote stays, with its alignment.

    Raises:
        ValueError: the file is damaged, or of a form that this cannot extend.
    """
    model = FlatBuffer(data).root()
    buffers = list(model.tables(_MODEL_BUFFERS))
    if model.num_fields > _NUM_MODEL_FIELDS:
        raise ValueError("it was written by a newer schema, whose fields are unknown here")
    if any(buffer.number(_BUFFER_OFFSET, "Q") > 1 for buffer in buffers):
        raise ValueError("it keeps weights outside the flatbuffer, at offsets from its start")
    metadata = list(model.tables(_MODEL_METADATA))
    layout = _Front(name, content, num_buffers=len(buffers), num_metadata=len(metadata))
    return layout.pack(model, buffers, metadata) + data


class _Front:
    """Where everything stands in the part that is put before the old file; byte positions."""

    def __init__(self, name: str, content: bytes, *, num_buffers: int, num_metadata: int) -> None:
        self.name_text, self.content = name.encode(), content
        self.model_vtable = 8
        self.model = _aligned(self.model_vtable + 4 + 2 * _NUM_MODEL_FIELDS, 4)
        self.buffers = self.model + 4 + 4 * _NUM_MODEL_FIELDS
        self.metadata = self.buffers + 4 * (num_buffers + 2)
        self.buffer_vtable = self.metadata + 4 * (num_metadata + 2)
        self.buffer = self.buffer_vtable + 8  # 6 bytes and padding
        self.entry_vtable = self.buffer + 8
        self.entry = self.entry_vtable + 8
        self.name = self.entry + 12
        self.data = _aligned(self.name + 4 + len(self.name_text) + 1 + 4, _ALIGNMENT) - 4
        self.size = _aligned(self.data + 4 + len(content), _ALIGNMENT)

    def pack(self, model: Table, buffers: list[Table], metadata: list[Table]) -> bytes:
        """The bytes of this part, for the tables of the old file."""
        front = bytearray(self.size)
        front[:8] = UOFFSET.pack(self.model) + _IDENTIFIER
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
        _pack_bytes(front, self.name, self.name_text)
        _pack_bytes(front, self.data, self.content)
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


def _damaged(what: str) -> ArtefactError:
    return ArtefactError(
        f"the model file is damaged: {what}.", hint="Run cifar-export again, or restore the file."
    )
