"""Opens an artefact: a model file and its card, read once, hashed, and checked against each other.

It never runs the model (see ``session``) and never writes one (see ``cifar_export``).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from cifar_runtime.contract import Contract, ModelFormat, contract_from_json
from cifar_runtime.errors import ArtefactError
from cifar_runtime.files import MAX_MODEL_BYTES, read_once

CARD_SCHEMA = "cifar-edge/artefact/1"
MAX_CARD_BYTES = 16 * 1024 * 1024
# The file identifier of a TensorFlow Lite flatbuffer stands at byte 4.
# Source: tensorflow/compiler/mlir/lite/schema/schema.fbs, ``file_identifier "TFL3"``.
_TFLITE_IDENTIFIER = b"TFL3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A model whose bytes are those that its card describes.

    Attributes:
        path: where the model was read.
        format: which interpreter can run it.
        data: the model file, as hashed; sessions open these bytes, never the path again.
        contract: how to feed it and read its answer.
        card: the whole card as JSON data.
    """

    path: Path
    format: ModelFormat
    data: bytes
    contract: Contract
    card: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The model's name, from its card."""
        return str(self.card["name"])

    @property
    def sha256(self) -> str:
        """The digest of ``data`` in hexadecimal, as the card states it and opening verified it."""
        return str(self.card["model"]["sha256"])


def card_path(model_path: Path) -> Path:
    """Where the card of a model lies: ``model.tflite`` has ``model.tflite.json`` beside it."""
    return model_path.with_name(model_path.name + ".json")


def open_artefact(path: Path) -> Artefact:
    """The artefact at ``path``, with its card's claims about the file verified.

    Args:
        path: a ``.tflite`` or ``.onnx`` file that cifar-export wrote.

    Raises:
        ArtefactError: the model or its card is missing, damaged, or they do not belong together.
    """
    model_format = _format_from_suffix(path)
    data = read_once(path, max_bytes=MAX_MODEL_BYTES, error=ArtefactError)
    card = card_in_force(_read_card(path), data)
    _check_card(card_path(path), card)
    _check_digest(path, data, card)
    _check_format(path, data, card, model_format)
    return Artefact(
        path=path,
        format=model_format,
        data=data,
        contract=contract_from_json(card["contract"]),
        card=card,
    )


def card_in_force(card: Mapping[str, Any], data: bytes) -> Mapping[str, Any]:
    """The card without what it ``replaces``, or that former card while its model is still in place.

    Two files cannot be renamed at once. So cifar-export first puts in place a new card that carries the former
    one, then the model, then the new card alone: whenever it is killed, model and card are a pair.

    Args:
        card: as read beside the model.
        data: the model file.
    """
    former = card.get("replaces")
    if isinstance(former, dict):
        stated = former.get("model")
        if isinstance(stated, dict) and stated.get("sha256") == hashlib.sha256(data).hexdigest():
            return former
    return {name: value for name, value in card.items() if name != "replaces"}


def _format_from_suffix(path: Path) -> ModelFormat:
    suffix = path.suffix.lower().lstrip(".")
    for model_format in get_args(ModelFormat):
        if suffix == model_format:
            return model_format  # type: ignore[no-any-return]  # get_args forgets the Literal
    raise ArtefactError(
        f"{path}: is not a model this runs, expected a .tflite or .onnx file.",
        hint="Convert a Keras checkpoint with cifar-export first.",
    )


def _read_card(path: Path) -> dict[str, Any]:
    location = card_path(path)
    if not location.exists():
        raise ArtefactError(
            f"{path}: has no card ({location.name}), so its labels and preprocessing are unknown.",
            hint="Put the card that cifar-export wrote beside the model, or export it again.",
        )
    text = read_once(location, max_bytes=MAX_CARD_BYTES, error=ArtefactError)
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _bad_card(location, f"is not valid JSON: {error}") from error
    _check_card(location, card)
    return card  # type: ignore[no-any-return]  # _check_card has seen that it is an object


def _check_card(location: Path, card: object) -> None:
    if not isinstance(card, dict) or card.get("schema") != CARD_SCHEMA:
        schema = card.get("schema") if isinstance(card, dict) else None
        raise _bad_card(location, f"its schema is {schema!r}, expected '{CARD_SCHEMA}'")
    model = card.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("sha256"), str):
        raise _bad_card(location, "it states no model.sha256")
    if not isinstance(card.get("name"), str) or not card["name"]:
        raise _bad_card(location, "it states no name")
    if not isinstance(card.get("contract"), dict):
        raise _bad_card(location, "it states no contract")


def _check_digest(path: Path, data: bytes, card: Mapping[str, Any]) -> None:
    found, stated = hashlib.sha256(data).hexdigest(), card["model"]["sha256"]
    if found != stated:
        raise ArtefactError(
            f"{path}: sha256 is {found}, its card says {stated}: the file changed after export.",
            hint="Run cifar-export again, or restore the file.",
        )


def _check_format(
    path: Path, data: bytes, card: Mapping[str, Any], model_format: ModelFormat
) -> None:
    stated = card["model"].get("format")
    if stated != model_format:
        raise ArtefactError(
            f"{path}: its card says the format is {stated!r}, its name says '{model_format}'.",
            hint="Give the file the suffix it was exported with.",
        )
    if (data[4:8] == _TFLITE_IDENTIFIER) != (model_format == "tflite"):
        raise ArtefactError(
            f"{path}: its content is not {model_format}, as its name says.",
            hint="Run cifar-export again.",
        )


def _bad_card(location: Path, what: str) -> ArtefactError:
    return ArtefactError(
        f"{location}: cannot be used: {what}.", hint="Run cifar-export again, or restore the card."
    )
