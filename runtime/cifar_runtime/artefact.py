"""Opens an artefact: a model file and its card, read once, hashed, and checked against each other.

The card lies beside the model and, but for the file's digest and size, inside it as well: one that
was edited, or belongs to another model, differs. A model without a card opens only with a
contract that the user gives. It never runs the model (see ``sessions``) and never writes one (see
``cifar_export``).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_runtime.contract import Contract, contract_from_json, is_plain_name
from cifar_runtime.errors import ArtefactError, UsageError
from cifar_runtime.formats.embedded_card import document_of_card, embedded_document
from cifar_runtime.formats.known_formats import (
    SUFFIXES,
    ModelFormat,
    format_from_suffix,
    has_content_of,
)
from cifar_runtime.plain_text import printable, reason_of, shortened
from cifar_runtime.system.files import MAX_MODEL_BYTES, exists, read_once

CARD_SCHEMA = "cifar-edge/artefact/1"
MAX_CARD_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A model whose bytes are those that its card describes.

    Attributes:
        path: where the model was read.
        format: which interpreter can run it.
        data: the model file, as hashed; sessions open these bytes, never the path again.
        contract: how to feed it and read its answer.
        card: the whole card as JSON data.
        foreign: whether the user gave the contract, so that nothing vouches for the file: a
            session runs it in a child process (see ``sessions.isolation``).

    Example:
        >>> from cifar_runtime import open_artefact
        >>> artefact = open_artefact("edge-s-int8.tflite")
        >>> artefact.name, artefact.format
        ('edge-s-int8', 'tflite')
    """

    path: Path
    format: ModelFormat
    data: bytes
    contract: Contract
    card: Mapping[str, Any]
    foreign: bool = False

    @property
    def name(self) -> str:
        """The model's name, from its card."""
        return str(self.card["name"])

    @property
    def sha256(self) -> str:
        """The digest of ``data`` in hexadecimal, as the card has it and opening verified it."""
        return str(self.card["model"]["sha256"])


def card_path(model_path: Path) -> Path:
    """Where the card of a model lies: ``model.tflite`` has ``model.tflite.json`` beside it."""
    return model_path.with_name(model_path.name + ".json")


def open_artefact(path: str | Path, *, contract: str | Path | None = None) -> Artefact:
    """The artefact at ``path``, with its card's claims about the file verified.

    Args:
        path: a ``.tflite`` or ``.onnx`` file.
        contract: for a model that cifar-export did not write: the name of a built-in contract or a
            JSON file with one (see ``user_contract``); None: the model has its card beside it.

    Raises:
        ArtefactError: the model, its card or the user's contract is missing or damaged, or they do
            not belong together.
        UsageError: a contract was given for a model that has a card, or by an unknown name.

    Example:
        >>> from cifar_runtime import open_artefact
        >>> open_artefact("edge-s-int8.tflite").contract.labels[:3]
        ('airplane', 'automobile', 'bird')
    """
    path = Path(path)
    model_format = _checked_format(path)
    location = card_path(path)
    if contract is not None and exists(location):
        raise UsageError(
            f"{path}: has a card, which states its contract; '{contract}' was given as well.",
            hint="Leave --contract out: it is for models without a card.",
        )
    data = read_once(path, max_bytes=MAX_MODEL_BYTES, error=ArtefactError)
    if contract is not None:
        return _foreign_artefact(path, model_format, data, contract)
    if not exists(location):
        raise _without_card(path, model_format, data)
    card_text = read_once(location, max_bytes=MAX_CARD_BYTES, error=ArtefactError)
    return artefact_from_bytes(path, data, card_text)


def refuse_independent(artefact: Artefact) -> None:
    """Checks that one label of an image holds: what decides by the best one alone misleads where any number may.

    Raises:
        ArtefactError: any number of labels may hold.
    """
    if artefact.contract.output.is_independent:
        raise ArtefactError(
            f"{artefact.path}: gives independent probabilities of labels of which any number may hold, expected "
            "classes of which one does.",
            hint="cifar-classify and cifar_runtime answer with all its labels; its card compares them with Keras'.",
        )


def artefact_from_bytes(path: Path, data: bytes, card_text: bytes) -> Artefact:
    """The artefact in the bytes of a model file and of its card; what was checked is all of it.

    Args:
        path: where they were read, for the format and for messages.
        data: the model file.
        card_text: the card.

    Raises:
        ArtefactError: either was changed after export, or they do not belong together.
    """
    model_format = _checked_format(path)
    location = card_path(path)
    card = card_in_force(_card_from_text(location, card_text), data)
    _check_card(location, card)
    _check_digest(path, data, card)
    _check_format(path, data, card, model_format)
    _check_embedded(path, data, card, model_format)
    return Artefact(
        path=path,
        format=model_format,
        data=data,
        contract=contract_from_json(card["contract"]),
        card=card,
    )


def _foreign_artefact(
    path: Path, model_format: ModelFormat, data: bytes, contract: str | Path
) -> Artefact:
    from cifar_runtime.user_contract import contract_from_user

    _check_content(path, data, model_format)
    agreed = contract_from_user(contract, path, data, model_format)
    model = {
        "file": path.name,
        "format": model_format,
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return Artefact(
        path=path,
        format=model_format,
        data=data,
        contract=agreed,
        card={"name": printable(path.stem), "model": model, "contract": agreed.to_json()},
        foreign=True,
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
        model = former.get("model")
        if isinstance(model, dict) and model.get("sha256") == hashlib.sha256(data).hexdigest():
            return former
    return {name: value for name, value in card.items() if name != "replaces"}


def _checked_format(path: Path) -> ModelFormat:
    model_format = format_from_suffix(path.suffix)
    if model_format is None:
        raise ArtefactError(
            f"{path}: is not a model this runs, expected a {' or '.join(SUFFIXES)} file.",
            hint="Convert a Keras checkpoint with cifar-export first.",
        )
    return model_format


def _without_card(path: Path, model_format: ModelFormat, data: bytes) -> ArtefactError:
    """The error for a model that lies alone: one of ours that lost its card, or a foreign one."""
    name = card_path(path).name
    _check_content(path, data, model_format)
    if _embedded(path, data, model_format) is not None:
        return ArtefactError(
            f"{path}: its card ({name}) is missing, so nothing shows that the file is undamaged.",
            hint="Copy the card from where the model came from, or run cifar-export again.",
        )
    return ArtefactError(
        f"{path}: has no card ({name}), so its labels and preprocessing are unknown.",
        hint="Put the card that cifar-export wrote beside the model, or state the contract of a "
        "model from elsewhere: --contract FILE.json.",
    )


def _card_from_text(location: Path, text: bytes) -> dict[str, Any]:
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _bad_card(location, f"is not valid JSON: {reason_of(error)}") from error
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
    if not is_plain_name(card["name"]):
        what = (
            f"its name is {shortened(repr(card['name']), 60)}, expected up to 200 plain characters"
        )
        raise _bad_card(location, what)
    if not isinstance(card.get("contract"), dict):
        raise _bad_card(location, "it states no contract")


def _check_digest(path: Path, data: bytes, card: Mapping[str, Any]) -> None:
    found, expected = hashlib.sha256(data).hexdigest(), card["model"]["sha256"]
    if found != expected:
        raise ArtefactError(
            f"{path}: sha256 is {found}, its card says {expected}: the file changed after export.",
            hint="Run cifar-export again, or restore the file.",
        )


def _check_format(
    path: Path, data: bytes, card: Mapping[str, Any], model_format: ModelFormat
) -> None:
    declared = card["model"].get("format")
    if declared != model_format:
        raise ArtefactError(
            f"{path}: its card says the format is {declared!r}, its name says '{model_format}'.",
            hint="Give the file the suffix it was exported with.",
        )
    _check_content(path, data, model_format)
    if card["model"].get("size_bytes") != len(data):
        raise _bad_card(card_path(path), f"its model.size_bytes is not {len(data)}")


def _check_content(path: Path, data: bytes, model_format: ModelFormat) -> None:
    if not has_content_of(data, model_format):
        raise ArtefactError(
            f"{path}: its content is not {model_format}, as its name says.",
            hint="Run cifar-export again.",
        )


def _embedded(path: Path, data: bytes, model_format: ModelFormat) -> Mapping[str, Any] | None:
    try:
        return embedded_document(data, model_format)
    except ArtefactError as error:
        raise ArtefactError(f"{path}: {error.message}", hint=error.hint) from error


def _check_embedded(
    path: Path, data: bytes, card: Mapping[str, Any], model_format: ModelFormat
) -> None:
    embedded = _embedded(path, data, model_format)
    if embedded is None:
        raise ArtefactError(
            f"{path}: carries no contract inside, although its card says that cifar-export wrote it.",
            hint="Run cifar-export again.",
        )
    beside = document_of_card(card)
    if embedded != beside:
        names = [name for name in {**embedded, **beside} if embedded.get(name) != beside.get(name)]
        raise _bad_card(
            card_path(path), f"its {', '.join(sorted(names))} is not what the model carries inside"
        )


def _bad_card(location: Path, what: str) -> ArtefactError:
    return ArtefactError(
        f"{location}: cannot be used: {what}.", hint="Run cifar-export again, or restore the card."
    )
