"""One model file with all that it carries: our card, and the same facts where other tools' readers look.

In a .tflite: our metadata buffer, the buffer TFLITE_METADATA, and ``labels.txt`` in a ZIP archive behind the
flatbuffer, as TFLite Metadata has it. In an .onnx: ``metadata_props``. Bytes in, bytes out.
"""

import struct
import zlib
from collections.abc import Mapping
from typing import Any

from cifar_export.publish.reader_facts import onnx_properties_of, tflite_metadata_of
from cifar_export.publish.tflite_metadata import BUFFER_NAME, LABELS_FILE, metadata_bytes
from cifar_runtime.contract import contract_from_json
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats import metadata_buffer
from cifar_runtime.formats.embedded_card import card_of_file, embed_document
from cifar_runtime.formats.known_formats import ModelFormat
from cifar_runtime.formats.protobuf import with_metadata_entry

# 1980-01-01, the earliest date that a ZIP archive can state: the same bytes at any time.
_ZIP_EPOCH = 1 << 5 | 1
_ZIP_VERSION, _UNIX, _READABLE = 20, 3 << 8, 0o100644 << 16


def sealed_for_readers(
    data: bytes, model_format: ModelFormat, document: Mapping[str, Any]
) -> tuple[bytes, dict[str, Any]]:
    """A model file that carries its document and what other readers need, and the card to lie beside it.

    Args:
        data: the file as a converter made it.
        model_format: its format.
        document: the card without ``model.size_bytes`` and ``model.sha256``.

    Raises:
        ArtefactError: the file cannot carry them, or its contract is damaged.
    """
    seal = _sealed_tflite if model_format == "tflite" else _sealed_onnx
    carrier = seal(data, document)
    return carrier, card_of_file(carrier, document)


def _sealed_tflite(data: bytes, document: Mapping[str, Any]) -> bytes:
    metadata = metadata_bytes(tflite_metadata_of(document))
    try:
        if metadata_buffer.metadata_entry(data, BUFFER_NAME) is not None:
            raise ValueError(f"it has a buffer {BUFFER_NAME} already")
        carrier = metadata_buffer.with_metadata_entry(data, BUFFER_NAME, metadata)
    except ValueError as error:
        raise ArtefactError(
            f"{document['name']}: cannot carry TFLite Metadata: {error}.",
            hint="Export the checkpoint again with cifar-export.",
        ) from error
    labels = "\n".join(contract_from_json(document["contract"]).labels)
    carrier = embed_document(carrier, "tflite", document)
    return _with_archive(carrier, LABELS_FILE, f"{labels}\n".encode())


def _sealed_onnx(data: bytes, document: Mapping[str, Any]) -> bytes:
    carrier = data
    for key, value in onnx_properties_of(document).items():
        carrier = with_metadata_entry(carrier, key, value.encode())
    return embed_document(carrier, "onnx", document)


def _with_archive(data: bytes, name: str, content: bytes) -> bytes:
    """The file with a ZIP archive of one stored file behind it, whose offsets count from the file's start.

    Android's reader takes no others, and Python's writer first looks for an archive among the weights.

    Source: PKWARE APPNOTE.TXT 6.3.10, 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (its end).
    """
    encoded = name.encode()
    facts = (0, 0, 0, _ZIP_EPOCH, zlib.crc32(content), len(content), len(content), len(encoded))
    local = struct.pack("<4s5H3I2H", b"PK\3\4", _ZIP_VERSION, *facts, 0) + encoded + content
    central = (
        struct.pack(
            "<4s6H3I5H2I",
            b"PK\1\2",
            _UNIX | _ZIP_VERSION,
            _ZIP_VERSION,
            *facts,
            *(0, 0, 0, 0),
            _READABLE,
            len(data),
        )
        + encoded
    )
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(central), len(data) + len(local), 0)
    return data + local + central + end
