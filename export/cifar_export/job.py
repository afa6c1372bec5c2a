"""What the artefacts of one export share: the checkpoint, its scores, and parts that are made on first use."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_bench.keras_scorer import mapped_pixels
from cifar_export.adapt import RAW_PIXELS, adapted
from cifar_export.calibration import Calibration, Feed, load_calibration, refuse_judged_images
from cifar_export.card import output_contract, pixel_contract, quantized_contract
from cifar_export.checkpoint import Checkpoint, open_checkpoint
from cifar_export.converted import Converted
from cifar_export.equivalence import NUM_IMAGES, Fed, Rewriting, check_same
from cifar_export.evaluation import class_labels, evaluation_split, refuse_foreign_calibration
from cifar_export.evidence import EvidenceImages, load_evidence_images
from cifar_export.fold import Folded, RescalingRule, fold
from cifar_export.preparation import Prepared, prepare
from cifar_export.qat import Lesson, Trained, qat_data, trained
from cifar_export.recipe import CALIBRATED, TRAINABLE, ExportRecipe, Quantize
from cifar_export.reference import Reference, reference_of
from cifar_export.reference_check import check_reference
from cifar_export.statement import Statement, check_kind, statement_of
from cifar_runtime.contract import Contract, InputContract
from cifar_train.dataset import Split


@dataclass(slots=True, kw_only=True)
class Job:
    """One export.

    Attributes:
        recipe: what was asked for.
        checkpoint: the model to export, as it was loaded.
        adapted: a copy of it, of raw pixels and with the scores that are wanted; all that is converted is made from it.
        statement: what the user said of it.
        labels: a name for each score.
        split: the images to verify on.
        reference: the checkpoint's scores of them, float32, shape (n, num_classes).
        evidence: the images of what else the card says.
        say: told in a few words what begins.
    """

    recipe: ExportRecipe
    checkpoint: Checkpoint
    adapted: Any
    statement: Statement
    labels: tuple[str, ...]
    split: Split
    reference: NDArray[np.float32]
    evidence: EvidenceImages
    say: Callable[[str], None]
    _folded: dict[RescalingRule, Folded] = field(default_factory=dict)
    _prepared: Prepared | None = None
    _trained: Trained | None = None
    _calibration: Calibration | None = None

    @property
    def pixels(self) -> InputContract:
        """The contract of a float32 input of raw pixels."""
        return pixel_contract(self.checkpoint.image_shape, self.statement.resize_filter)

    def folded(self, quantize: Quantize) -> Folded:
        """The folded model; for calibrated precisions without a leading Rescaling, so that the input stays exact.

        For int8 its weights are prepared for that, or trained where the recipe says so.
        """
        if self.recipe.trains(quantize):
            return self._trained_once().folded
        if quantize in TRAINABLE:
            return self._prepared_once().folded
        return self._folded_once("strip" if quantize in CALIBRATED else "keep")

    def preparation(self, quantize: Quantize) -> dict[str, Any] | None:
        """What was done for int8 without training, or before it; None where that was not tried."""
        if quantize not in TRAINABLE:
            return None
        return self._prepared_once().report

    def training_report(self, quantize: Quantize) -> dict[str, Any] | None:
        """How the model was trained for int8; None where it was not."""
        return self._trained_once().report if self.recipe.trains(quantize) else None

    def _folded_once(self, rescaling: RescalingRule) -> Folded:
        if rescaling not in self._folded:
            folded = fold(self.adapted, rescaling=rescaling)
            _check_folded(self.adapted, folded, rescaling, compared_images(self.split))
            self._folded[rescaling] = folded
        return self._folded[rescaling]

    def _prepared_once(self) -> Prepared:
        if self._prepared is None:
            folded = self._folded_once("strip")
            self._prepared = prepare(folded, self._feed_of(folded))
            num_folded = _batch_norms(self.adapted) - _batch_norms(folded.model)
            self.say(f"for int8: folded {num_folded} BatchNorms, {self._prepared.summary}")
        return self._prepared

    def _trained_once(self) -> Trained:
        if self.recipe.qat is None:
            raise TypeError("the recipe trains nothing")
        if self._trained is None:
            start, folded = self._prepared_once().folded, self._folded_once("strip")
            lesson = Lesson(
                teacher=folded.model,
                feed=self._feed_of(folded),
                data=qat_data(),
                seed=self.recipe.seed,
            )
            self._trained = trained(start, self.recipe.qat, lesson, say=self.say)
        return self._trained

    def contract(self, converted: Converted, quantize: Quantize) -> Contract:
        """What a converted model of this precision expects and returns.

        Raises:
            ArtefactError: its int8 input is not pixel - 128.
        """
        folded = self.folded(quantize)
        pixels = replace(self.pixels, multiplier=folded.multiplier, offset=folded.offset)
        if converted.input is not None:
            pixels = quantized_contract(
                self.pixels, converted.input, multiplier=folded.multiplier, offset=folded.offset
            )
        output = replace(
            output_contract(self.reference, converted.output),
            temperature=self.statement.temperature,
            abstention_threshold=self.statement.abstention_threshold,
            abstention_score=self.statement.abstention_score,
        )
        return Contract(input=pixels, output=output, labels=self.labels)

    def calibration(self) -> Calibration:
        """The images that set ranges.

        Raises:
            InputError: they cannot be read, or one is among those to verify on.
        """
        if self._calibration is None:
            found = load_calibration(self.recipe, self.pixels)
            if self.recipe.calibration_data is not None:
                images, name = np.asarray(self.split.images), self.split.name
                refuse_judged_images(found, self.recipe.calibration_data, images, split=name)
            self._calibration = found
        return self._calibration

    def feed(self, quantize: Quantize) -> Feed:
        """The calibration images as the folded model takes them."""
        return self._feed_of(self.folded(quantize))

    def _feed_of(self, folded: Folded) -> Feed:
        return Feed(
            images=self.calibration().images, multiplier=folded.multiplier, offset=folded.offset
        )


def open_job(recipe: ExportRecipe, say: Callable[[str], None]) -> Job:
    """An export with its checkpoint open and its reference computed.

    Raises:
        ArtefactError: the checkpoint cannot be used.
        InputError: labels or images to measure on are missing or do not fit.
        UsageError: the model is no CIFAR-10 classifier and nothing says what it is.
    """
    say(f"opening {recipe.checkpoint}")
    checkpoint, statement = open_stated(recipe)
    labels = class_labels(recipe, checkpoint, stated=statement.labels)
    refuse_foreign_calibration(recipe, checkpoint, labels)
    contract = pixel_contract(checkpoint.image_shape, statement.resize_filter)
    split = evaluation_split(recipe, labels=labels, contract=contract)
    judge = reference_of(
        checkpoint.model, mapping=statement.mapping, output_kind=recipe.output_kind
    )
    say(f"Keras' decisions on {len(split.labels)} images of {split.name}")
    reference = judge.scores(np.asarray(split.images))
    check_kind(recipe, statement, found=output_contract(reference, None).kind)
    if recipe.confidence is not None or recipe.robustness is not None:
        say("images for confidence and robustness")
    check_reference(recipe, checkpoint, reference, split, say=say)
    evidence = load_evidence_images(
        recipe, labels=labels, contract=contract, gate=split, reference=judge.scores
    )
    return Job(
        recipe=recipe,
        checkpoint=checkpoint,
        adapted=_adapted(checkpoint, judge, recipe, compared_images(split)),
        statement=statement,
        labels=labels,
        split=split,
        reference=reference,
        evidence=evidence,
        say=say,
    )


def open_stated(recipe: ExportRecipe) -> tuple[Checkpoint, Statement]:
    """The checkpoint as it was loaded, and what was stated of it.

    Raises:
        ArtefactError: the checkpoint or the contract cannot be used, or they do not fit.
        UsageError: the contract is neither a built-in name nor a .json file.
    """
    checkpoint = open_checkpoint(recipe.checkpoint, verbose=recipe.verbose)
    return checkpoint, statement_of(recipe, checkpoint)


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
    copy = adapted(checkpoint.model, mapping=mapping, output_kind=recipe.output_kind)
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


def _check_folded(
    model: Any, folded: Folded, rescaling: RescalingRule, images: NDArray[np.uint8]
) -> None:
    """Checks that folding kept the scores.

    Raises:
        ArtefactError: it did not.
    """
    pixels = mapped_pixels(images, RAW_PIXELS)

    def fed(made: Folded) -> Fed:
        mapping = (made.multiplier, made.offset)
        return Fed(model=made.model, inputs=mapped_pixels(images, mapping))

    check_same(
        Fed(model=model, inputs=pixels),
        fed(folded),
        Rewriting(step="folded", apply=lambda part: fed(fold(part, rescaling=rescaling))),
    )


def _batch_norms(model: Any) -> int:
    return sum(type(layer).__name__ == "BatchNormalization" for layer in model.layers)
