"""A converted model on its way out: written into a staging folder under its final name, sealed with its card."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_eval.models.input_mapping import RAW_PIXELS
from cifar_export.converted import Converted
from cifar_export.evidence.gather import Evidence
from cifar_export.evidence.verify import Verification
from cifar_export.publish.card import card_document, licence_of
from cifar_export.publish.publish import write_artefact
from cifar_export.publish.seal import sealed_for_readers
from cifar_export.recipe import ExportRecipe
from cifar_export.stages.convert import contract_of, convert
from cifar_export.stages.prepared import ReadyModel
from cifar_export.stages.source import Source
from cifar_export.targets.known_targets import Key
from cifar_runtime.contract import Contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every stage of every artefact of one export knows: what was asked for, and of what.

    Attributes:
        recipe: what was asked for.
        source: the checkpoint and the images to verify on.
        floats: gives the model for precisions that are not calibrated, the same one each time.
    """

    recipe: ExportRecipe
    source: Source
    floats: Callable[[], ReadyModel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One artefact before it is published.

    Attributes:
        path: the model file in a staging folder, its card beside it.
        key: format and precision.
        converted: what the converter made.
        contract: of that.
        ready: the model that was converted.
    """

    path: Path
    key: Key
    converted: Converted
    contract: Contract
    ready: ReadyModel


def stage(request: Request, key: Key, ready: ReadyModel, folder: Path) -> Staged:
    """The model converted and written into the folder, its card without figures so far.

    Raises:
        ArtefactError: a layer cannot be converted, or the int8 input is not pixel - 128.
    """
    model_format, quantize = key
    recipe, source = request.recipe, request.source
    converted = convert(ready, key, recipe)
    staged = Staged(
        path=folder / f"{recipe.name_of(source.checkpoint.name, quantize)}.{model_format}",
        key=key,
        converted=converted,
        contract=contract_of(converted, ready, source),
        ready=ready,
    )
    write_artefact(staged.path, *seal(request, staged))
    return staged


def stage_float32_beside(request: Request, staged: Staged) -> Path:
    """The float32 model of the same format as an artefact, in its staging folder, which goes with it."""
    key: Key = (staged.key[0], "none")
    return stage(request, key, request.floats(), staged.path.parent).path


def seal(
    request: Request,
    staged: Staged,
    *,
    verification: Verification | None = None,
    evidence: Evidence | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """The file's bytes with the card inside, and the card to lie beside it.

    Args:
        request: what was asked for.
        staged: the artefact.
        verification: how it decides beside Keras; None before that is known.
        evidence: what else was measured; None before that is known.
    """
    document = card_document(
        target=staged.path,
        converted=staged.converted,
        contract=staged.contract if evidence is None else evidence.contract,
        provenance=_provenance(request, staged, verification, evidence),
        golden=None if verification is None else verification.golden,
        licence=licence_of(request.source.checkpoint.training_card),
    )
    return sealed_for_readers(staged.converted.data, staged.key[0], document)


def _provenance(
    request: Request, staged: Staged, verification: Verification | None, evidence: Evidence | None
) -> dict[str, Any]:
    checkpoint, ready = request.source.checkpoint, staged.ready
    mapping = request.source.declared.mapping
    return {
        "checkpoint": {
            "file": checkpoint.path.name,
            "sha256": checkpoint.sha256,
            "training": _without_curves(checkpoint.training_card),
            # Only where it is another than raw pixels: the bytes of all others stay what they were.
            **({} if mapping == RAW_PIXELS else {"input_mapping": mapping.to_json()}),
        },
        "recipe": request.recipe.to_json() | {"quantize": staged.key[1]},
        "calibration": None if ready.calibration is None else ready.calibration.to_json(),
        "folding": [{"layer": note.layer, "action": note.action} for note in ready.folded.notes],
        "preparation_for_int8": None if ready.preparation is None else ready.preparation.report,
        "training_for_int8": ready.training,
        "parity": None if verification is None else verification.to_json(),
        **({} if evidence is None else evidence.documents),
    }


def _without_curves(card: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The training card without its epochs: every device would carry them, and the checkpoint's card has them."""
    if card is None:
        return None
    return {name: value for name, value in card.items() if name != "epochs"}
