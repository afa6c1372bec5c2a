"""What to try next, as a command to paste; and a recipe as the command line that describes it."""

import shlex
from dataclasses import replace

from cifar_export.recipe import (
    CALIBRATED,
    MIN_QAT_IMAGES,
    TRAINABLE,
    ConfidenceRecipe,
    ExportRecipe,
    QatRecipe,
    Quantize,
    RepairRecipe,
    RobustnessRecipe,
    SourceRecipe,
)

_PLAIN_OPTIONS = {
    "--contract": ("source", "contract"),
    "--labels": ("source", "labels"),
    "--input-range": ("source", "input_range"),
    "--output-kind": ("source", "output_kind"),
    "--calibration-samples": ("calibration", "samples"),
    "--calibration-data": ("calibration", "data"),
    "--calibration-method": ("calibration", "method"),
    "--seed": ("calibration", "seed"),
    "--max-accuracy-drop": ("gate", "max_accuracy_drop"),
    "--min-agreement": ("gate", "min_agreement"),
    "--min-accuracy": ("gate", "min_accuracy"),
    "--eval-split": ("evaluation", "split"),
    "--eval-data": ("evaluation", "data"),
    "--resize-filter": ("source", "resize_filter"),
    "--resize": ("source", "resize"),
    "--jpeg-decoding": ("source", "jpeg_decoding"),
    "--label-threshold": ("source", "label_threshold"),
    "--output-name": ("source", "output_name"),
    "--custom-objects": ("source", "custom_objects"),
}
"""Options whose value is one field, by the recipe's part and the field, in the order of the command line."""

_TYPICAL_IMAGES = "Give --calibration-data a few hundred typical training images."
_FEW_HUNDRED = 200
_OTHER_PRECISION = (
    "Export another precision, or accept it by --max-accuracy-drop and --min-agreement."
)
# For a checkpoint of the user's own pictures, which is calibrated and judged on the splits of its run.
OWN_RUN_ADVICE = (
    "Train on more pictures or for longer, export another precision, or accept it by --max-accuracy-drop and "
    "--min-agreement."
)


def advice(
    recipe: ExportRecipe,
    failed: tuple[Quantize, ...],
    *,
    calibration_is_unlike: bool = False,
    folder_is_used_up: bool = False,
    num_images: int = 0,
    can_be_trained: bool = True,
) -> str:
    """What to do about an export some of whose artefacts failed their gate.

    Args:
        recipe: the export.
        failed: their precisions.
        calibration_is_unlike: the images that set their ranges are of another kind than those compared on.
        folder_is_used_up: the calibration folder holds no images that were not used.
        num_images: of the user's own that set their ranges, and that QAT would train on.
        can_be_trained: whether QAT trains such a model.
    """
    trainable = tuple(precision for precision in dict.fromkeys(failed) if precision in TRAINABLE)
    if calibration_is_unlike:
        return _typical_images(recipe, failed)
    can_train = can_be_trained and _can_train(recipe, num_images, folder_is_used_up)
    if trainable and recipe.qat is None and can_train:
        trained = replace(recipe, quantize=trainable, qat=QatRecipe())
        return f"Next: {command(trained)}"
    is_halved = recipe.evaluation.data is not None and recipe.calibration.data is None
    if trainable and is_halved and num_images < _FEW_HUNDRED:
        return _TYPICAL_IMAGES
    if trainable and recipe.qat is not None:
        longer = replace(recipe.qat, steps=2 * recipe.qat.steps)
        return f"Next: {command(replace(recipe, quantize=trainable, qat=longer))}"
    if trainable and not is_halved:
        return _more_calibration(replace(recipe, quantize=trainable), used_up=folder_is_used_up)
    return _OTHER_PRECISION


def _typical_images(recipe: ExportRecipe, failed: tuple[Quantize, ...]) -> str:
    """Which images to calibrate on instead."""
    if recipe.evaluation.data is not None:
        return _TYPICAL_IMAGES
    calibrated = tuple(name for name in dict.fromkeys(failed) if name in CALIBRATED)
    own = replace(recipe, quantize=calibrated, calibration=replace(recipe.calibration, data=None))
    return (
        f"{_TYPICAL_IMAGES.removesuffix('.')}, or leave it out for CIFAR-10's. Next: {command(own)}"
    )


def _can_train(recipe: ExportRecipe, num_images: int, folder_is_used_up: bool) -> bool:
    """Whether there are images to train for int8 on: the user's own, or else CIFAR-10's for its classes."""
    if recipe.evaluation.data is not None:
        return num_images >= MIN_QAT_IMAGES
    return not folder_is_used_up and recipe.source.labels is None


def _more_calibration(recipe: ExportRecipe, *, used_up: bool) -> str:
    if used_up:
        another = "try --calibration-method percentile, " if recipe.formats == ("onnx",) else ""
        return (
            f"Put more images into {recipe.calibration.data}, which were all used, {another}"
            "or accept it by --max-accuracy-drop and --min-agreement."
        )
    more = replace(recipe.calibration, samples=4 * recipe.calibration.samples)
    return f"Next: {command(replace(recipe, calibration=more))}"


def command(recipe: ExportRecipe) -> str:
    """The shell command that does what the recipe says."""
    return shlex.join(["cifar-export", *arguments(recipe)])


def arguments(recipe: ExportRecipe) -> list[str]:
    """The command line of the recipe, without what is default; the precisions are always named."""
    default = ExportRecipe(
        source=SourceRecipe(checkpoint=recipe.source.checkpoint), publish=recipe.publish
    )
    formats = (*recipe.formats, *recipe.publish.deliveries)
    listed = {
        "--format": ",".join(formats) if formats != default.formats else None,
        "--quantize": ",".join(recipe.quantize),
        **_stated(recipe),
    }
    changed = {
        flag: value
        for flag, (part, field) in _PLAIN_OPTIONS.items()
        if (value := getattr(getattr(recipe, part), field))
        != getattr(getattr(default, part), field)
    }
    values = {flag: value for flag, value in {**listed, **changed}.items() if value is not None}
    # FLAG=VALUE, since -1..1 alone would be read as a flag.
    texts = [f"{flag}={value}" for flag, value in values.items()]
    return [
        str(recipe.source.checkpoint),
        *texts,
        *_qat_arguments(recipe.qat),
        *_repair_arguments(recipe.repair),
        *_confidence_arguments(recipe.confidence),
        *_robustness_arguments(recipe.robustness),
        *(["--force"] if recipe.publish.force else []),
        *(["--verbose"] if recipe.verbose else []),
        f"--output={recipe.publish.output}",
    ]


def _stated(recipe: ExportRecipe) -> dict[str, str | None]:
    """Options whose text is more than one field's value; None where it is the default."""
    size, publish, activations = recipe.source.input_size, recipe.publish, recipe.onnx_activations
    return {
        "--input-size": None if size is None else f"{size[0]}x{size[1]}",
        "--golden": None if publish.golden is None else str(publish.golden),
        "--accelerator": publish.accelerator if "vela" in publish.deliveries else None,
        "--onnx-activations": None if activations == "auto" else activations,
    }


def _repair_arguments(repair: RepairRecipe | None) -> list[str]:
    return [] if repair is None else ["--repair", f"--repair-budget={repair.budget}"]


def _qat_arguments(qat: QatRecipe | None) -> list[str]:
    if qat is None:
        return []
    default = QatRecipe()
    fields = ("backend", "steps", "learning_rate", "batch_size")
    return [
        "--qat",
        *(
            f"--qat-{name.replace('_', '-')}={getattr(qat, name)}"
            for name in fields
            if getattr(qat, name) != getattr(default, name)
        ),
    ]


def _confidence_arguments(confidence: ConfidenceRecipe | None) -> list[str]:
    if confidence is None:
        return []
    data = [] if confidence.data is None else [f"--confidence-data={confidence.data}"]
    return ["--confidence", f"--coverage={confidence.coverage}", *data]


def _robustness_arguments(robustness: RobustnessRecipe | None) -> list[str]:
    if robustness is None:
        return []
    return [f"--robustness={robustness.images or 'sample'}"]
