"""What an export would do: files, contracts, calibration and limits, found out without writing anything."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_export.checkpoint.images import halves_images
from cifar_export.checkpoint.io_layers import adapted
from cifar_export.checkpoint.own_images import with_parts
from cifar_export.keras_graph.fold import fold
from cifar_export.pipeline import check_installed
from cifar_export.qat.distil import check_data_set
from cifar_export.recipe import CALIBRATED, INTEGER_IO, ExportRecipe, Quantize
from cifar_export.stages.source import named_by_file, open_declared
from cifar_runtime.contract import COLOUR_ORDERS
from cifar_runtime.formats.known_formats import ModelFormat

_RUN = "the run's"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedArtefact:
    """One artefact that an export would make.

    Attributes:
        path: the model file; its card lies beside it.
        exists: whether a file of that name is there already.
        takes: its input in words.
        gives: its output in words.
        calibration: which images set its ranges, in words; None where none do.
        training: how it is trained first, in words; None where it is not.
        confidence: what its temperature and threshold are fitted on, in words; None where they are not.
        robustness: which images are corrupted, in words; None where none are.
        max_accuracy_drop: the gate's limit, 0..1.
        min_agreement: the gate's limit, 0..1.
        min_accuracy: the gate's limit, 0..1; None for no floor.
    """

    path: Path
    exists: bool
    takes: str
    gives: str
    calibration: str | None
    training: str | None
    confidence: str | None
    robustness: str | None
    max_accuracy_drop: float
    min_agreement: float
    min_accuracy: float | None

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON-ready data."""
        return {field: getattr(self, field) for field in self.__slots__} | {"path": str(self.path)}


def plan(
    recipe: ExportRecipe, *, progress: Callable[[str], None] | None = None
) -> tuple[PlannedArtefact, ...]:
    """The artefacts that :func:`cifar_export.pipeline.export` would make, in its order; nothing is written.

    Args:
        recipe: what to make.
        progress: told in a few words what begins.

    Raises:
        ArtefactError: the checkpoint cannot be used.
        InputError: the file of labels does not fit, or there is no data set to train on.
        MissingDependencyError: a converter or interpreter is not installed.
        UsageError: the model is no CIFAR-10 classifier and nothing says what it is.
    """
    progress = progress or (lambda _: None)
    recipe = with_parts(recipe, progress=progress)
    check_installed(recipe)
    if recipe.qat is not None and recipe.evaluation.data is None:
        check_data_set()
    progress(f"opening {recipe.source.checkpoint}")
    opened = open_declared(recipe)
    recipe = opened.recipe
    checkpoint, statement, labels = opened.checkpoint, opened.declared, opened.labels
    owner = "CIFAR-10's" if opened.pictures is None else _RUN
    with named_by_file(checkpoint):
        model = adapted(
            checkpoint.model, mapping=statement.mapping, output_kind=recipe.source.output_kind
        )
        stripped = fold(model, rescaling="strip")
    height, width, channels = checkpoint.image_shape
    noun = "classes" if opened.label_threshold is None else "labels"
    shape = f"{height}x{width}x{channels}"
    threshold = (
        "" if opened.label_threshold is None else f", held from {opened.label_threshold:g} on"
    )
    is_half = opened.pictures is None and halves_images(recipe, checkpoint, labels)
    calibrated_on = f"one half of {recipe.evaluation.data}" if is_half else f"{owner} train split"

    def one(model_format: ModelFormat, quantize: Quantize) -> PlannedArtefact:
        name = recipe.name_of(checkpoint.name, quantize)
        path = recipe.publish.output / f"{name}.{model_format}"
        limits = recipe.gate.limits(quantize)
        dtype = INTEGER_IO.get(quantize, "float32")
        mapping = (stripped.multiplier, stripped.offset) if quantize in CALIBRATED else (1.0, 0.0)
        return PlannedArtefact(
            path=path,
            exists=path.exists(),
            takes=f"{dtype} {shape} {COLOUR_ORDERS[channels]}, {_mapping(*mapping, dtype=dtype)}",
            gives=f"{dtype} {opened.kind} of {len(labels)} {noun}{threshold}",
            calibration=_calibration(recipe, calibrated_on) if quantize in CALIBRATED else None,
            training=_training(recipe) if recipe.trains(quantize) else None,
            confidence=_confidence(recipe, owner),
            robustness=_robustness(recipe, owner),
            max_accuracy_drop=limits.max_accuracy_drop,
            min_agreement=limits.min_agreement,
            min_accuracy=limits.min_accuracy,
        )

    return tuple(one(model_format, quantize) for model_format, quantize in recipe.pairs)


def _mapping(multiplier: float, offset: float, *, dtype: str) -> str:
    if dtype == "int8":
        return "pixel - 128"
    if dtype == "uint8":
        return "raw pixels"
    return (
        "raw pixels" if (multiplier, offset) == (1, 0) else f"pixel * {multiplier:g} + {offset:g}"
    )


def _calibration(recipe: ExportRecipe, owned: str) -> str:
    source = recipe.calibration.data or owned
    return f"{recipe.calibration.samples} images of {source}, {recipe.calibration.method}"


def _training(recipe: ExportRecipe) -> str:
    qat = recipe.qat
    if qat is None:
        raise TypeError("the recipe trains nothing")
    source = "CIFAR-10's train split"
    if recipe.evaluation.data is not None:
        source = "those that set the ranges"
    return f"{qat.backend}, {qat.steps} steps of {qat.batch_size} images of {source}"


def _confidence(recipe: ExportRecipe, owner: str) -> str | None:
    if recipe.confidence is None:
        return None
    source = recipe.confidence.data or f"{owner} validation split"
    return f"fitted on {source}, {100 * recipe.confidence.coverage:g}% of it answered"


def _robustness(recipe: ExportRecipe, owner: str) -> str | None:
    if recipe.robustness is None:
        return None
    if recipe.robustness.images is None:
        return "on the packaged sample"
    own = f"{owner} test split" if owner == _RUN else f"{owner} validation split"
    source = recipe.evaluation.data or own
    return f"on {recipe.robustness.images} images of {source}"
