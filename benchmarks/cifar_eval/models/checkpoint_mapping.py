"""What a checkpoint takes for a pixel, from the cards of what was exported from it: it does not hold that itself."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cifar_eval.models.input_mapping import (
    INPUT_MAPPINGS,
    RAW_PIXELS,
    InputMapping,
    mapping_from_json,
)
from cifar_eval.models.keras_archive import read_checkpoint
from cifar_runtime.artefact import Artefact
from cifar_runtime.errors import ArtefactError, UsageError

# The built-in contracts of cifar-export --contract; cards of before 0.1 say no more than the name.
_OF_CONTRACTS = {"cifar10-raw255": "0..255", "cifar10-unit": "0..1"}


def checkpoint_mapping(path: Path, artefacts: Iterable[Artefact]) -> InputMapping:
    """What the checkpoint takes, by the first artefact whose card names its SHA-256; else raw pixels.

    Raises:
        ArtefactError: it is no checkpoint, or the card does not say what its user's contract did.
    """
    sha256 = hashlib.sha256(read_checkpoint(path)).hexdigest()
    for artefact in artefacts:
        provenance = artefact.card.get("provenance") or {}
        checkpoint = provenance.get("checkpoint") or {}
        if checkpoint.get("sha256") == sha256:
            return _stated(artefact.path, checkpoint, provenance.get("recipe") or {})
    return RAW_PIXELS


def refuse_unused_contract(contract: str | None, artefacts: Iterable[Artefact]) -> None:
    """Checks that a given contract is one of some model's.

    Raises:
        UsageError: every exported model has its card.
    """
    if contract is None or any(artefact.foreign for artefact in artefacts):
        return
    raise UsageError(
        f"--contract {contract!r}: every exported model here has a card, which states its contract, and a checkpoint's "
        "is in the card of what was exported from it.",
        hint="Leave --contract out.",
    )


def _stated(path: Path, checkpoint: Mapping[str, Any], recipe: Mapping[str, Any]) -> InputMapping:
    if checkpoint.get("input_mapping") is not None:
        return mapping_from_json(checkpoint["input_mapping"])
    contract = recipe.get("contract")
    name = str(recipe.get("input_range") or _OF_CONTRACTS.get(contract or "cifar10-raw255"))
    if name in INPUT_MAPPINGS:
        return INPUT_MAPPINGS[name]
    if contract is not None:
        return RAW_PIXELS  # this version writes every mapping but this one
    raise ArtefactError(
        f"{path}: its card states the input range {name!r} of its checkpoint, expected one of "
        f"{', '.join(INPUT_MAPPINGS)}.",
        hint="Export the model again with cifar-export.",
    )
