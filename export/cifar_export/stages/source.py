"""What all artefacts of one export share: the checkpoint, the images to judge on, and Keras' scores of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.pictures.load import Pictures
from cifar_data.split import Split
from cifar_eval.models.keras import mapped_pixels
from cifar_export.checkpoint.declared import DeclaredContract, check_kind, declared_contract
from cifar_export.checkpoint.images import (
    class_labels,
    evaluation_split,
    refuse_foreign_calibration,
)
from cifar_export.checkpoint.io_layers import RAW_PIXELS, adapted
from cifar_export.checkpoint.open import Checkpoint, open_checkpoint
from cifar_export.checkpoint.reference import Reference, reference_of
from cifar_export.checkpoint.reference_check import check_reference
from cifar_export.checkpoint.run_pictures import run_pictures
from cifar_export.contracts import output_contract, pixel_contract
from cifar_export.evidence.gather import EvidenceImages, load_evidence_images
from cifar_export.keras_graph.equivalence import NUM_IMAGES, Fed, Rewriting, check_same
from cifar_export.recipe import ExportRecipe
from cifar_runtime.contract import InputContract


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is exported, and what it is compared with.

    Attributes:
        checkpoint: the model to export, as it was loaded.
        adapted: a copy of it, of raw pixels and with the scores that are wanted: what is converted is made from it.
        declared: what the user declared of it.
        labels: a name for each score.
        split: the images to verify on.
        reference: the checkpoint's scores of them, float32, shape (n, num_classes).
        evidence: the images of what else the card says.
        pictures: the user's own that the checkpoint was trained on; None for others.
    """

    checkpoint: Checkpoint
    adapted: Any
    declared: DeclaredContract
    labels: tuple[str, ...]
    split: Split
    reference: NDArray[np.float32]
    evidence: EvidenceImages
    pictures: Pictures | None = None

    @property
    def pixels(self) -> InputContract:
        """The contract of a float32 input of raw pixels."""
        return pixel_contract(self.checkpoint.image_shape, self.declared.resize_filter)

    @property
    def compared_images(self) -> NDArray[np.uint8]:
        """The few images that rewritten models are compared on; see :func:`compared_images`."""
        return compared_images(self.split)


def open_source(recipe: ExportRecipe, progress: Callable[[str], None]) -> Source:
    """The checkpoint opened and its reference computed.

    Raises:
        ArtefactError: the checkpoint cannot be used.
        InputError: labels or images to measure on are missing or do not fit.
        UsageError: the model is no CIFAR-10 classifier and nothing says what it is.
    """
    progress(f"opening {recipe.source.checkpoint}")
    opened = open_declared(recipe)
    checkpoint, declared, labels = opened.checkpoint, opened.declared, opened.labels
    contract = pixel_contract(checkpoint.image_shape, declared.resize_filter)
    pictures = opened.pictures
    split = (
        evaluation_split(recipe, labels=labels, contract=contract)
        if pictures is None
        else pictures.splits["test"]
    )
    judge = reference_of(
        checkpoint.model, mapping=declared.mapping, output_kind=recipe.source.output_kind
    )
    progress(f"Keras' decisions on {len(split.labels)} images of {split.name}")
    reference = judge.scores(np.asarray(split.images))
    check_kind(recipe, declared, found=output_contract(reference, None).kind)
    if recipe.confidence is not None or recipe.robustness is not None:
        progress("images for confidence and robustness")
    check_reference(recipe, checkpoint, reference, split, progress=progress)
    evidence = load_evidence_images(
        recipe,
        labels=labels,
        contract=contract,
        gate=split,
        reference=judge.scores,
        own=None if pictures is None else pictures.splits["validation"],
    )
    return Source(
        checkpoint=checkpoint,
        adapted=_adapted(checkpoint, judge, recipe, compared_images(split)),
        declared=declared,
        labels=labels,
        split=split,
        reference=reference,
        evidence=evidence,
        pictures=pictures,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A checkpoint, and what is known of it before any image is scored.

    Attributes:
        checkpoint: as it was loaded.
        declared: what the user or its run declared of it.
        labels: a name for each score.
        pictures: the user's own that it was trained on; None for others.
    """

    checkpoint: Checkpoint
    declared: DeclaredContract
    labels: tuple[str, ...]
    pictures: Pictures | None


def open_declared(recipe: ExportRecipe) -> Opened:
    """The checkpoint as it was loaded, and what was declared of it.

    Raises:
        ArtefactError: the checkpoint or the contract cannot be used, or they do not fit.
        InputError: the file of labels does not fit, or the pictures of its run are no longer there.
        UsageError: the contract is neither a built-in name nor a .json file, or nothing says what the model is of.
    """
    checkpoint = open_checkpoint(recipe.source.checkpoint, verbose=recipe.verbose)
    declared = declared_contract(recipe, checkpoint)
    pictures = run_pictures(recipe, checkpoint)
    if pictures is not None:
        declared = replace(declared, resize_filter=pictures.contract.resize_filter)
        labels = pictures.listing.labels
    else:
        labels = class_labels(recipe, checkpoint, stated=declared.labels)
        refuse_foreign_calibration(recipe, checkpoint, labels)
    return Opened(checkpoint=checkpoint, declared=declared, labels=labels, pictures=pictures)


def compared_images(split: Split) -> NDArray[np.uint8]:
    """The few images that rewritten models are compared on, spread evenly over the split."""
    count = min(NUM_IMAGES, len(split.labels))
    positions = np.linspace(0, len(split.labels) - 1, count).round().astype(np.int64)
    return np.asarray(split.images)[positions]


def _adapted(
    checkpoint: Checkpoint, reference: Reference, recipe: ExportRecipe, images: NDArray[np.uint8]
) -> Any:
    """The copy of raw pixels, once it was seen to score images as the reference does.

    Raises:
        ArtefactError: it does not.
    """
    pixels, mapping = mapped_pixels(images, RAW_PIXELS), reference.mapping
    copy = adapted(checkpoint.model, mapping=mapping, output_kind=recipe.source.output_kind)
    check_same(
        Fed(model=checkpoint.model, inputs=mapped_pixels(images, mapping)),
        Fed(model=copy, inputs=pixels),
        Rewriting(
            step="copied",
            apply=lambda part: Fed(model=adapted(part, mapping=mapping), inputs=pixels),
        ),
        wanted=reference.scores(images),
    )
    return copy
