"""An artefact under corruptions, beside the checkpoint that it was made from, for the card."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifar_data.choose import stratified_positions
from cifar_data.load import held_out_split, limited, load_split
from cifar_data.split import Split
from cifar_data.split_names import ValidationRule
from cifar_eval.robustness.corruptions import CORRUPTIONS
from cifar_eval.robustness.counts import (
    Decisions,
    Score,
    decisions_of,
    robustness_from_decisions,
)
from cifar_export.recipe import RobustnessRecipe
from cifar_runtime.documents import to_document

SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessImages:
    """What is damaged, and what the checkpoint makes of it.

    Attributes:
        split: labelled images.
        reference: the checkpoint's decisions, on the images as they are and damaged.
    """

    split: Split
    reference: Decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessEvidence:
    """What came out: ``document`` for the card, ``remark`` for the user, one sentence."""

    document: dict[str, Any]
    remark: str


def load_robustness_images(
    recipe: RobustnessRecipe,
    *,
    gate: Split,
    held_out: Split | ValidationRule,
    reference: Score,
) -> RobustnessImages:
    """The images of the recipe with the checkpoint's decisions.

    Args:
        recipe: says how many.
        gate: the images that the gate measures.
        held_out: pictures of the user's own, for which the gate's stand in, or which of CIFAR-10's images training
            did not learn from.
        reference: the checkpoint's scores of images.

    Raises:
        InputError: the validation split was not fetched.
    """
    split = _split(recipe, gate, held_out)
    labels = split.labels.astype(np.int64)
    (decided,) = decisions_of([reference], np.asarray(split.images), labels, seed=SEED)
    return RobustnessImages(split=split, reference=decided)


def robustness_of(score: Score, images: RobustnessImages) -> RobustnessEvidence:
    """The counts of an artefact and of its checkpoint.

    Raises:
        ArtefactError: the model fails, or its scores are not numbers.
    """
    split, labels = images.split, images.split.labels.astype(np.int64)
    (decided,) = decisions_of([score], np.asarray(split.images), labels, seed=SEED)
    checkpoint = robustness_from_decisions(images.reference, labels, reference=None)
    artefact = robustness_from_decisions(decided, labels, reference=images.reference)
    pixels = np.ascontiguousarray(split.images).tobytes()
    return RobustnessEvidence(
        document={
            "images": {
                "split": split.name,
                "num_images": len(labels),
                "sha256": hashlib.sha256(pixels).hexdigest(),
            },
            "seed": SEED,
            "corruptions": to_document(CORRUPTIONS),
            "checkpoint": checkpoint.to_json(),
            "artefact": artefact.to_json(),
        },
        remark=f"under {len(CORRUPTIONS)} corruptions, five severities each, {artefact.corrupted_accuracy:.2%} of "
        f"{len(labels):,} images of {split.name} right, Keras {checkpoint.corrupted_accuracy:.2%} (undamaged "
        f"{artefact.clean_accuracy:.2%} and {checkpoint.clean_accuracy:.2%})",
    )


def _split(recipe: RobustnessRecipe, gate: Split, held_out: Split | ValidationRule) -> Split:
    if recipe.images is None:
        return load_split("test-sample")
    if not isinstance(held_out, Split):
        return limited(held_out_split(held_out), recipe.images)
    if recipe.images >= len(gate.labels):
        return gate
    chosen = stratified_positions(gate.labels, recipe.images)
    return gate.take(chosen, name=f"{gate.name}[:{recipe.images}]")
