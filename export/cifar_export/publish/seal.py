"""One model file with all that it carries: our card, and the same facts where other tools' readers look.

In a .tflite: our metadata buffer, the buffer TFLITE_METADATA, and ``labels.txt`` in a ZIP archive behind the
flatbuffer, as TFLite Metadata has it. In an .onnx: ``metadata_props``. Bytes in, bytes out.
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from cifar_export.publish.reader_facts import onnx_properties_of, tflite_metadata_of
from cifar_export.publish.tflite_metadata import BUFFER_NAME, LABELS_FILE, metadata_bytes
from cifar_runtime.contract import ModelFormat, contract_from_json
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.embedded_card import (
    card_of_file,
    embed_document,
    metadata_buffer,
    with_metadata_buffer,
)
from cifar_runtime.formats.protobuf import with_metadata_entry

# The earliest time that a ZIP archive can state: the same bytes at any time.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX, _READABLE = 3, 0o644 << 16


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
        if metadata_buffer(data, BUFFER_NAME) is not None:
            raise ValueError(f"it has a buffer {BUFFER_NAME} already")
        carrier = with_metadata_buffer(data, BUFFER_NAME, metadata)
    except ValueError as error:
        raise ArtefactError(
            f"{document['name']}: cannot carry TFLite Metadata: {error}.",
            hint="Export the checkpoint again with cifar-export.",
        ) from error
    labels = "\n".join(contract_from_json(document["contract"]).labels)
    carrier = embed_document(carrier, "tflite", document)
    return _with_archive(carrier, {LABELS_FILE: f"{labels}\n".encode()})


def _sealed_onnx(data: bytes, document: Mapping[str, Any]) -> bytes:
    carrier = data
    for key, value in onnx_properties_of(document).items():
        carrier = with_metadata_entry(carrier, key, value.encode())
    return embed_document(carrier, "onnx", document)


def _with_archive(data: bytes, files: Mapping[str, bytes]) -> bytes:
    """The file with a ZIP archive behind it, whose offsets count from the file's start.

    Android's reader takes no others. Source: tensorflow/tflite-support, metadata/java, ZipUtils.
    """
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.create_system, entry.external_attr = _UNIX, _READABLE
            archive.writestr(entry, content)
    return stream.getvalue()
