"""The checkpoint made ready for each precision: folded, and for int8 prepared or trained; each is made once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cifar_eval.models.input_mapping import RAW_PIXELS, InputMapping
from cifar_export.converted import Converted
from cifar_export.int8.calibration import (
    Calibration,
    RepresentativeDataset,
    calibration_from_pictures,
    load_calibration,
    refuse_judged_images,
)
from cifar_export.int8.prepare import Prepared, corrected, prepare
from cifar_export.keras_graph.equivalence import Fed, Rewriting, check_same
from cifar_export.keras_graph.fold import LAYERS_INSIDE, Folded, RescalingRule, fold
from cifar_export.qat.distil import own_qat_data, qat_data, trained
from cifar_export.qat.task import QatTask
from cifar_export.recipe import CALIBRATED, TRAINABLE, ExportRecipe, Quantize
from cifar_export.stages.source import Source
from cifar_export.targets.onnx_weights import rounded_within_sums
from cifar_runtime.progress import Counter, Progress, counter_of, silent


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyModel:
    """A model that a converter takes, and how it came about.

    Attributes:
        folded: the model; for calibrated precisions without a leading Rescaling, so that the input stays exact.
        calibration: the images that set its ranges; None where none do.
        preparation: what was done for int8 without training, or before it; None where nothing was.
        training: how it was trained for int8, for the card; None where it was not.
        plain: the model before it was prepared, which a few decide better with; None where it was not, or was trained.
        count: sees how many calibration images were taken.
        kept: float files made of the model, by format, from which others are made; added to.
    """

    folded: Folded
    calibration: Calibration | None = None
    preparation: Prepared | None = None
    training: dict[str, Any] | None = None
    plain: "ReadyModel | None" = None
    count: Counter = silent
    kept: dict[str, Converted] = field(init=False, default_factory=dict)

    @property
    def feed(self) -> RepresentativeDataset | None:
        """The calibration images as the model takes them; None where there are none."""
        return None if self.calibration is None else self.calibration_feed

    @property
    def calibration_feed(self) -> RepresentativeDataset:
        """The calibration images of a model that has some, as it takes them."""
        if self.calibration is None:
            raise TypeError("this model is not calibrated")
        return RepresentativeDataset(
            images=self.calibration.images,
            multiplier=self.folded.multiplier,
            offset=self.folded.offset,
            count=self.count,
        )


def ready_models(
    source: Source,
    recipe: ExportRecipe,
    progress: Progress,
    floats: Callable[[], ReadyModel],
) -> Mapping[Quantize, ReadyModel]:
    """A model for every precision of the recipe.

    Args:
        source: the checkpoint and the images to verify on.
        recipe: names the precisions and the calibration images.
        progress: takes a sentence whenever something long has been done.
        floats: gives the model for precisions that are not calibrated.

    Raises:
        ArtefactError: a step that is exact on paper changed the scores.
        InputError: the calibration images cannot be read, or one is among those to verify on.
    """
    wanted = set(recipe.quantize)
    models: dict[Quantize, ReadyModel] = {}
    if wanted - set(CALIBRATED):
        models |= dict.fromkeys(wanted - set(CALIBRATED), floats())
    if wanted & set(CALIBRATED):
        plain = ReadyModel(
            folded=_folded(source, "strip"),
            calibration=calibration_images(source, recipe),
            count=counter_of(progress),
        )
        models |= dict.fromkeys(wanted & set(CALIBRATED), plain)
    if wanted & set(TRAINABLE):
        ready = _prepared(plain, source, progress)
        if recipe.qat is not None:
            ready = _trained(ready, plain, recipe, progress)
        models |= dict.fromkeys(wanted & set(TRAINABLE), ready)
    return models


def with_biases_for_onnx(ready: ReadyModel) -> ReadyModel:
    """The model with biases corrected for the weights of an ONNX file with uint8 activations.

    These are rounded more coarsely than TFLite's, whose corrections are an error more here: a transferred
    EfficientNet-Lite0 agreed with Keras on 92.8 % of 1,000 images with those, on 95.0 % with its own.
    """
    if ready.preparation is None:
        raise TypeError("this model's biases were not corrected")
    own = corrected(ready.preparation, ready.calibration_feed, rounded_within_sums)
    return replace(ready, folded=own.folded, preparation=own)


def float_model(source: Source) -> ReadyModel:
    """The model for precisions that are not calibrated: a leading Rescaling stays in it."""
    return ReadyModel(folded=_folded(source, "keep"))


def calibration_images(source: Source, recipe: ExportRecipe) -> Calibration:
    """The images that set ranges.

    Raises:
        InputError: they cannot be read, or one is among those to verify on.
    """
    if recipe.calibration.data is None and source.pictures is not None:
        return calibration_from_pictures(recipe, source.pictures)
    if source.calibration is not None:
        return source.calibration
    found = load_calibration(recipe, source.pixels)
    if recipe.calibration.data is not None:
        images, name = np.asarray(source.split.images), source.split.name
        refuse_judged_images(found, recipe.calibration.data, images, split=name)
    return found


def _folded(source: Source, rescaling: RescalingRule) -> Folded:
    """The folded copy, once it was seen to score images as before.

    Raises:
        ArtefactError: it does not.
    """
    images = source.compared_images

    def fed(folded: Folded) -> Fed:
        mapping = InputMapping(multiplier=folded.multiplier, offset=folded.offset)
        return Fed(model=folded.model, inputs=mapping.inputs(images))

    folded = fold(source.adapted, rescaling=rescaling)
    check_same(
        Fed(model=source.adapted, inputs=RAW_PIXELS.inputs(images)),
        fed(folded),
        Rewriting(step="folded", apply=lambda part: fed(fold(part, rescaling=rescaling))),
    )
    return folded


def _prepared(plain: ReadyModel, source: Source, progress: Progress) -> ReadyModel:
    num_images = 0 if plain.calibration is None else len(plain.calibration.images)
    progress(f"preparing for int8 on {num_images:,} calibration images")
    result = prepare(plain.folded, plain.calibration_feed, source.compared_images)
    num_folded = _batch_norms(source.adapted) - _batch_norms(plain.folded.model)
    progress(f"for int8: folded {num_folded} BatchNorms, {result.summary}")
    for note in plain.folded.notes:
        if note.action == LAYERS_INSIDE:
            progress(f"warning: for int8, layers inside {note.layer} were not prepared")
    return replace(plain, folded=result.folded, preparation=result, plain=plain)


def _trained(
    ready: ReadyModel, teacher: ReadyModel, recipe: ExportRecipe, progress: Progress
) -> ReadyModel:
    if recipe.qat is None or teacher.calibration is None:
        raise TypeError("the recipe trains nothing")
    is_own = recipe.evaluation.data is not None
    task = QatTask(
        teacher=teacher.folded.model,
        feed=teacher.calibration_feed,
        data=own_qat_data(teacher.calibration) if is_own else qat_data(),
        seed=recipe.calibration.seed,
    )
    result = trained(ready.folded, recipe.qat, task, progress=progress)
    return replace(ready, folded=result.folded, training=result.report, plain=None)


def _batch_norms(model: Any) -> int:
    return sum(type(layer).__name__ == "BatchNormalization" for layer in model.layers)
