"""What all artefacts of one export share: the checkpoint, the images to judge on, and Keras' scores of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.pictures.load import Pictures
from cifar_data.split import Split
from cifar_eval.formatting import counted
from cifar_eval.models.input_mapping import RAW_PIXELS
from cifar_eval.models.keras import BATCH_SIZE
from cifar_export.checkpoint.contract_search import check_contract, trial_of
from cifar_export.checkpoint.declared import (
    DeclaredContract,
    check_kind,
    check_mapping,
    declared_contract,
    refuse_for_kind,
)
from cifar_export.checkpoint.geometry_search import check_geometry
from cifar_export.checkpoint.images import (
    class_labels,
    evaluation_split,
    halves_images,
)
from cifar_export.checkpoint.io_layers import adapted, output_kind_of
from cifar_export.checkpoint.open import Checkpoint, open_checkpoint, refuse_doubtful_scores
from cifar_export.checkpoint.own_images import halves
from cifar_export.checkpoint.reference import Reference, reference_of
from cifar_export.checkpoint.reference_check import check_reference, stated_accuracy
from cifar_export.checkpoint.run_pictures import run_pictures, with_confidence
from cifar_export.contracts import score_kind
from cifar_export.evidence.gather import EvidenceImages, load_evidence_images
from cifar_export.evidence.golden import check_count
from cifar_export.int8.calibration import Calibration
from cifar_export.keras_graph.equivalence import NUM_IMAGES, Fed, Rewriting, check_same
from cifar_export.recipe import ExportRecipe
from cifar_runtime.contract import LABEL_THRESHOLD, InputContract, ScoreKind
from cifar_runtime.errors import ArtefactError, UsageError
from cifar_runtime.progress import Progress, scored_in_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is exported, and what it is compared with.

    Attributes:
        recipe: what was asked for, and what the pictures of its run add.
        checkpoint: the model to export, as it was loaded.
        adapted: a copy of it, of raw pixels and with the scores that are wanted: what is converted is made from it.
        declared: what the user declared of it.
        labels: a name for each score.
        split: the images to verify on.
        judge: what scores images as the checkpoint does.
        reference: its scores of the split, float32, shape (n, num_classes).
        kind: what these are.
        evidence: the images of what else the card says.
        pictures: the user's own that the checkpoint was trained on; None for others.
        calibration: the images that set ranges, where the folder of the split had to give them too.
    """

    recipe: ExportRecipe
    checkpoint: Checkpoint
    adapted: Any
    declared: DeclaredContract
    labels: tuple[str, ...]
    split: Split
    judge: Reference
    reference: NDArray[np.float32]
    kind: ScoreKind
    evidence: EvidenceImages
    pictures: Pictures | None = None
    calibration: Calibration | None = None

    @property
    def pixels(self) -> InputContract:
        """The contract of a float32 input of raw pixels."""
        return self.declared.pixels(self.checkpoint.image_shape)

    @property
    def compared_images(self) -> NDArray[np.uint8]:
        """The few images that rewritten models are compared on; see :func:`compared_images`."""
        return compared_images(self.split)


def open_source(recipe: ExportRecipe, progress: Progress) -> Source:
    """The checkpoint opened and its reference computed.

    Raises:
        ArtefactError: the checkpoint cannot be used.
        InputError: labels or images to measure on are missing or do not fit.
        UsageError: the model is no CIFAR-10 classifier and nothing says what it is.
    """
    progress(f"opening {recipe.source.checkpoint}")
    opened = open_declared(recipe)
    with named_by_file(opened.checkpoint):
        return _source(opened, progress)


@contextmanager
def named_by_file(checkpoint: Checkpoint) -> Iterator[None]:
    """Lets errors that begin with the model's name, most often "functional", begin with its file's."""
    try:
        yield
    except ArtefactError as error:
        own = f"{checkpoint.model.name}: "
        if type(error) is not ArtefactError or not error.message.startswith(own):
            raise
        what = error.message.removeprefix(own)
        raise ArtefactError(f"{checkpoint.path.name}: {what}", hint=error.hint) from error


def _source(opened: "Opened", progress: Progress) -> Source:
    recipe, checkpoint = opened.recipe, opened.checkpoint
    declared, labels = opened.declared, opened.labels
    threshold = opened.label_threshold
    if recipe.evaluation.data is not None:
        progress(f"classes in the order of the scores: {', '.join(labels)}")
    contract = declared.pixels(checkpoint.image_shape)
    pictures, folder, calibration = opened.pictures, recipe.evaluation.data, None
    split = (
        evaluation_split(recipe, labels=labels, contract=contract, any_number=threshold is not None)
        if pictures is None
        else pictures.splits["test"]
    )
    if folder is not None and halves_images(recipe, checkpoint, labels):
        split, calibration = halves(split, recipe, folder)
        progress(
            f"no --calibration-data: {counted(len(calibration.ids), 'image')} of {folder}, chosen by their content, "
            f"set the ranges of int8, and the other {len(split.labels):,} are measured on"
        )
    check_count(recipe, split)

    def scores(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return scored_in_parts(judge.scores, images, progress, size=BATCH_SIZE)

    judge = replace(
        reference_of(
            checkpoint.model, mapping=declared.mapping, output_kind=recipe.source.output_kind
        ),
        threshold=threshold,
    )
    progress(f"Keras' decisions on {len(split.labels):,} images of {split.name}")
    reference = scores(np.asarray(split.images))
    kind = score_kind(opened.kind, reference)
    check_kind(recipe, declared, found=kind)
    copy = _adapted(checkpoint, judge, recipe, compared_images(split))
    if recipe.confidence is not None or recipe.robustness is not None:
        progress("images for confidence and robustness")
    if recipe.confidence is None and pictures is not None:
        progress(
            "no two validation pictures are of one class: no temperature is fitted, and nothing is 'unsure'"
        )
    if stated_accuracy(checkpoint.training_card) is None or folder is not None:
        trial = trial_of(recipe, judge, split, reference)
        check_contract(recipe, checkpoint, trial, copy=copy, progress=progress)
        check_geometry(recipe, judge, split, contract, reference, progress)
    check_reference(recipe, checkpoint, reference, split, progress=progress)
    evidence = load_evidence_images(
        recipe,
        labels=labels,
        contract=contract,
        gate=split,
        reference=scores,
        held_out=checkpoint.validation_rule if pictures is None else pictures.splits["validation"],
    )
    return Source(
        recipe=recipe,
        checkpoint=checkpoint,
        adapted=copy,
        declared=declared,
        labels=labels,
        split=split,
        judge=judge,
        reference=reference,
        kind=kind,
        evidence=evidence,
        pictures=pictures,
        calibration=calibration,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A checkpoint, and what is known of it before any image is scored.

    Attributes:
        recipe: what was asked for, and what the pictures of its run add.
        checkpoint: as it was loaded.
        declared: what the user or its run declared of it.
        labels: a name for each score.
        pictures: the user's own that it was trained on; None for others.
        kind: what its scores are to be, as its last operation or the user says.
    """

    recipe: ExportRecipe
    checkpoint: Checkpoint
    declared: DeclaredContract
    labels: tuple[str, ...]
    pictures: Pictures | None
    kind: ScoreKind

    @property
    def label_threshold(self) -> float | None:
        """The smallest probability of a label that holds, where any number may; None where one does."""
        if self.kind != "independent-probabilities":
            return None
        return self.declared.label_threshold or LABEL_THRESHOLD


def open_declared(recipe: ExportRecipe) -> Opened:
    """The checkpoint as it was loaded, and what was declared of it.

    Raises:
        ArtefactError: the checkpoint or the contract cannot be used, or they do not fit.
        InputError: the file of labels does not fit, or the pictures of its run are no longer there.
        UsageError: the contract is neither a built-in name nor a .json file, or nothing says what the model is of.
    """
    checkpoint = open_checkpoint(
        recipe.source.checkpoint,
        input_size=recipe.source.input_size,
        output_name=recipe.source.output_name,
        objects=recipe.source.custom_objects,
        verbose=recipe.verbose,
    )
    if recipe.source.output_kind is None:
        refuse_doubtful_scores(checkpoint)
    declared = declared_contract(recipe, checkpoint)
    check_mapping(recipe, checkpoint, declared)
    kind = recipe.source.output_kind or output_kind_of(checkpoint.model)
    refuse_for_kind(recipe, checkpoint, kind)
    _refuse_robustness(recipe, checkpoint)
    pictures = run_pictures(recipe, checkpoint)
    if pictures is not None:
        trained = pictures.contract
        declared = replace(
            declared,
            resize_filter=trained.resize_filter,
            resize=trained.resize,
            jpeg_decoding=trained.jpeg_decoding,
        )
        labels = pictures.listing.labels
    else:
        labels = class_labels(recipe, checkpoint, stated=declared.labels)
    return Opened(
        recipe=with_confidence(recipe, pictures),
        checkpoint=checkpoint,
        declared=declared,
        labels=labels,
        pictures=pictures,
        kind=kind,
    )


def _refuse_robustness(recipe: ExportRecipe, checkpoint: Checkpoint) -> None:
    channels = checkpoint.image_shape[2]
    if recipe.robustness is not None and channels != 3:
        raise UsageError(
            f"--robustness damages RGB pictures, and {checkpoint.path.name} takes {counted(channels, 'channel')}.",
            hint="Leave --robustness out.",
        )


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
    pixels, mapping = RAW_PIXELS.inputs(images), reference.mapping
    copy = adapted(checkpoint.model, mapping=mapping, output_kind=recipe.source.output_kind)
    check_same(
        Fed(model=checkpoint.model, inputs=mapping.inputs(images)),
        Fed(model=copy, inputs=pixels),
        Rewriting(
            step="copied",
            apply=lambda part: Fed(model=adapted(part, mapping=mapping), inputs=pixels),
        ),
        wanted=reference.scores(images),
    )
    return copy
