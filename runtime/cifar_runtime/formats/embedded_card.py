"""Puts a JSON document into a model file, and reads it back without any interpreter or schema package.

The document of an artefact is its card without the digest and size of the file, which cannot stand
inside it. A .tflite carries it as the metadata buffer ``NAME``, an .onnx as the ``metadata_props``
entry of that name; every other tool passes over both.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs (Model, Metadata, Buffer); onnx/onnx.proto
(ModelProto.metadata_props).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.known_formats import KNOWN_FORMATS, ModelFormat, load
from cifar_runtime.plain_text import reason_of

NAME = "cifar-edge/artefact/1"
_FROM_FILE = ("size_bytes", "sha256")


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
    try:
        carrier: bytes = _metadata_module(model_format).with_metadata_entry(
            data, NAME, text.encode()
        )
    except ValueError as error:
        raise _damaged(reason_of(error)) from error
    return carrier


def embedded_document(data: bytes, model_format: ModelFormat) -> Mapping[str, Any] | None:
    """The document inside a model file; None when it carries none.

    Raises:
        ArtefactError: the file is damaged, or what it carries is not a JSON object.
    """
    try:
        text = _metadata_module(model_format).metadata_entry(data, NAME)
        if text is None:
            return None
        document = json.loads(bytes(text))
    except (ValueError, RecursionError) as error:
        raise _damaged(reason_of(error)) from error
    if not isinstance(document, dict):
        raise _damaged("what it carries is not a JSON object")
    return document


def _metadata_module(model_format: ModelFormat) -> Any:
    return load(KNOWN_FORMATS[model_format].metadata)


def _damaged(what: str) -> ArtefactError:
    return ArtefactError(
        f"the model file is damaged: {what}.", hint="Run cifar-export again, or restore the file."
    )
