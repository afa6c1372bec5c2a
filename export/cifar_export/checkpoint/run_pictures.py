"""The user's own pictures that a checkpoint was trained on: found by ``data.json`` beside it, proved by its card.

So such a checkpoint is calibrated on its train pictures and judged on its test pictures without an option.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cifar_data.pictures.load import Pictures
from cifar_data.pictures.source_file import FILE_NAME, load_source, read_source
from cifar_export.checkpoint.open import Checkpoint
from cifar_export.recipe import ConfidenceRecipe, ExportRecipe
from cifar_runtime.errors import InputError, UsageError
from cifar_runtime.golden import MIN_VECTORS


def run_pictures(recipe: ExportRecipe, checkpoint: Checkpoint) -> Pictures | None:
    """The pictures of the checkpoint's run; None where its card names none, or options name images instead.

    Raises:
        InputError: they are no longer there, or are others now, or the file beside the checkpoint is of another run.
        UsageError: nothing says where they are, or an option contradicts the run.
    """
    card = checkpoint.training_card or {}
    stated = card.get("pictures")
    source = recipe.source
    if not isinstance(stated, Mapping) or recipe.evaluation.data or source.labels:
        return None
    if source.contract is not None:
        return None
    _refuse_contradiction(recipe, card)
    found = read_source(checkpoint.path.parent)
    if found is None:
        raise UsageError(
            f"{checkpoint.path}: was trained on pictures that are not CIFAR-10's, and no {FILE_NAME} beside it says "
            "where they are.",
            hint="Copy that file from the run's folder, or give --labels FILE, --calibration-data DIR and "
            "--eval-data DIR.",
        )
    if found.splits != stated.get("splits"):
        raise InputError(
            f"{checkpoint.path.with_name(FILE_NAME)}: names other pictures than the card of {checkpoint.path.name}, "
            "expected those of the same run.",
            hint="Restore the run's folder, or train again.",
        )
    pictures = load_source(found)
    if len(pictures.splits["test"].labels) < MIN_VECTORS:
        raise InputError(
            f"{found.path}: holds {len(pictures.splits['test'].labels)} test pictures, expected {MIN_VECTORS} or more: "
            "as many go into the artefact for its self-test.",
            hint="Add pictures and train again: a few hundred let the gate tell a loss from chance.",
        )
    return pictures


def with_confidence(recipe: ExportRecipe, pictures: Pictures | None) -> ExportRecipe:
    """The recipe, which fits confidence on a run's validation pictures where these make two halves."""
    if recipe.confidence is not None or pictures is None:
        return recipe
    of_a_class = np.bincount(pictures.splits["validation"].labels, minlength=1)
    return replace(recipe, confidence=ConfidenceRecipe()) if of_a_class.max() >= 2 else recipe


def _refuse_contradiction(recipe: ExportRecipe, card: Mapping[str, Any]) -> None:
    """Checks the options that would have the device see other pixels than training, or train on CIFAR-10."""
    name, source = recipe.source.checkpoint.name, recipe.source
    trained = {"resize": "centre-crop", "jpeg_decoding": "full"} | card["contract"]  # older cards
    wanted = {
        "resize_filter": source.resize_filter,
        "resize": source.resize,
        "jpeg_decoding": source.jpeg_decoding,
    }
    for field, value in wanted.items():
        if value not in (None, trained[field]):
            option = f"--{field.replace('_', '-')}"
            raise UsageError(
                f"{option} {value}: {name} was trained on pictures with {option} {trained[field]}, expected the same.",
                hint="Leave it out.",
            )
    if recipe.qat is not None:
        raise UsageError(
            f"QAT trains on CIFAR-10's train split, but {name} was trained on other pictures.",
            hint="Leave --qat out.",
        )
