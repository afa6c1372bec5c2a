"""What all artefacts of one export share: the checkpoint, the images to judge on, and Keras' scores of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_eval.models.keras import scores_in_batches
from cifar_export.checkpoint.declared import Statement, check_kind, statement_of
from cifar_export.checkpoint.images import (
    class_labels,
    evaluation_split,
    refuse_foreign_calibration,
)
from cifar_export.checkpoint.open import Checkpoint, adapted_checkpoint, open_checkpoint
from cifar_export.checkpoint.reference_check import check_reference
from cifar_export.contracts import output_contract, pixel_contract
from cifar_export.evidence.measure import EvidenceImages, load_evidence_images
from cifar_export.recipe import ExportRecipe
from cifar_runtime.contract import InputContract


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is exported, and what it is compared with.

    Attributes:
        checkpoint: the model to export, of raw pixels.
        declared: what the user declared of it.
        labels: a name for each score.
        split: the images to verify on.
        reference: the checkpoint's scores of them, float32, shape (n, num_classes).
        evidence: the images of what else the card says.
    """

    checkpoint: Checkpoint
    declared: Statement
    labels: tuple[str, ...]
    split: Split
    reference: NDArray[np.float32]
    evidence: EvidenceImages

    @property
    def pixels(self) -> InputContract:
        """The contract of a float32 input of raw pixels."""
        return pixel_contract(self.checkpoint.image_shape, self.declared.resize_filter)


def open_source(recipe: ExportRecipe, progress: Callable[[str], None]) -> Source:
    """The checkpoint opened and its reference computed.

    Raises:
        ArtefactError: the checkpoint cannot be used.
        InputError: labels or images to measure on are missing or do not fit.
        UsageError: the model is no CIFAR-10 classifier and nothing says what it is.
    """
    progress(f"opening {recipe.source.checkpoint}")
    checkpoint, declared = open_declared(recipe)
    labels = class_labels(recipe, checkpoint, stated=declared.labels)
    refuse_foreign_calibration(recipe, checkpoint, labels)
    contract = pixel_contract(checkpoint.image_shape, declared.resize_filter)
    split = evaluation_split(recipe, labels=labels, contract=contract)
    score = partial(scores_in_batches, checkpoint.model)
    progress(f"Keras' decisions on {len(split.labels)} images of {split.name}")
    reference = score(np.asarray(split.images))
    check_kind(recipe, declared, found=output_contract(reference, None).kind)
    if recipe.confidence is not None or recipe.robustness is not None:
        progress("images for confidence and robustness")
    check_reference(recipe, checkpoint, reference, split, say=progress)
    evidence = load_evidence_images(
        recipe, labels=labels, contract=contract, gate=split, reference=score
    )
    return Source(
        checkpoint=checkpoint,
        declared=declared,
        labels=labels,
        split=split,
        reference=reference,
        evidence=evidence,
    )


def open_declared(recipe: ExportRecipe) -> tuple[Checkpoint, Statement]:
    """The checkpoint as one of raw pixels that returns what the recipe wants, and what was declared of it.

    Raises:
        ArtefactError: the checkpoint or the contract cannot be used, or they do not fit.
        UsageError: the contract is neither a built-in name nor a .json file.
    """
    checkpoint = open_checkpoint(recipe.source.checkpoint, verbose=recipe.verbose)
    declared = statement_of(recipe, checkpoint)
    adapted = adapted_checkpoint(
        checkpoint, mapping=declared.mapping, output_kind=recipe.source.output_kind
    )
    return adapted, declared
