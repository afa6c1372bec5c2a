"""The names of a checkpoint's classes and the labelled images that its artefacts are measured on."""

from pathlib import Path

from cifar_data.cifar10.splits import IMAGE_SHAPE, LABELS
from cifar_data.labelled_images import read_labelled_images
from cifar_data.split import Split
from cifar_eval.formatting import counted
from cifar_export.checkpoint.open import Checkpoint
from cifar_export.checkpoint.own_images import folder_labels
from cifar_export.recipe import CALIBRATED, ExportRecipe
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import InputError, UsageError
from cifar_runtime.golden import MIN_VECTORS
from cifar_runtime.system.files import read_text_once

_MAX_LABELS_BYTES = 1024 * 1024


def class_labels(
    recipe: ExportRecipe, checkpoint: Checkpoint, *, stated: tuple[str, ...] | None
) -> tuple[str, ...]:
    """One name for each score: what is stated, else the evaluation folder's classes, sorted, else CIFAR-10's.

    Args:
        recipe: names a file of labels, and images to verify on.
        checkpoint: has the scores.
        stated: what a contract says; None where there is none, or no contract.

    Raises:
        InputError: the file of labels cannot be read or does not fit the model, or the folder has other classes.
        UsageError: the model is no CIFAR-10 classifier and nothing says what it is.
    """
    is_cifar10 = (checkpoint.image_shape, checkpoint.num_classes) == (IMAGE_SHAPE, len(LABELS))
    if recipe.evaluation.data is None and not is_cifar10:
        raise UsageError(
            f"{checkpoint.path}: takes {checkpoint.image_shape} and gives {checkpoint.num_classes} scores, "
            f"not {IMAGE_SHAPE} and {len(LABELS)} as CIFAR-10, so there are no images to verify the export on.",
            hint="Give --eval-data DIR (class folders), and --labels FILE if the scores are not in their sorted order.",
        )
    labels = (
        stated
        if recipe.source.labels is None
        else _labels_from_file(recipe.source.labels, checkpoint)
    )
    if labels is not None:
        _refuse_other_classes(recipe, labels)
        return labels
    if recipe.evaluation.data is not None:
        return folder_labels(recipe.evaluation.data, num_classes=checkpoint.num_classes)
    return LABELS


def halves_images(recipe: ExportRecipe, checkpoint: Checkpoint, labels: tuple[str, ...]) -> bool:
    """Whether the evaluation folder has to give calibration images as well: CIFAR-10's are none of this model."""
    is_cifar10 = checkpoint.image_shape == IMAGE_SHAPE and labels == LABELS
    is_calibrated = bool(set(recipe.quantize) & set(CALIBRATED))
    return is_calibrated and recipe.calibration.data is None and not is_cifar10


def _refuse_other_classes(recipe: ExportRecipe, labels: tuple[str, ...]) -> None:
    """Checks that other classes than CIFAR-10's bring images of their own."""
    source = recipe.source.labels or recipe.source.contract
    if recipe.evaluation.data is None and labels != LABELS:
        raise UsageError(
            f"{source}: its classes are not CIFAR-10's, which the export would be verified on.",
            hint="Give --eval-data DIR (class folders).",
        )


def _labels_from_file(path: Path, checkpoint: Checkpoint) -> tuple[str, ...]:
    lines = read_text_once(path, max_bytes=_MAX_LABELS_BYTES, error=InputError).splitlines()
    labels = tuple(line.strip() for line in lines if line.strip())
    if len(labels) != checkpoint.num_classes or len(set(labels)) != len(labels):
        raise InputError(
            f"{path}: names {len(set(labels))} different classes, expected {checkpoint.num_classes}, "
            "one a line, as the model has scores.",
            hint="List them in the order of the scores.",
        )
    return labels


def evaluation_split(
    recipe: ExportRecipe,
    *,
    labels: tuple[str, ...],
    contract: InputContract,
    any_number: bool = False,
) -> Split:
    """The labelled images to verify on; calibration never sees them.

    Args:
        recipe: names a split, a folder or a CSV file.
        labels: the class names in the order of the scores.
        contract: how a folder's pictures are brought to the model's size.
        any_number: whether any number of labels may hold of an image.

    Raises:
        InputError: the full test split was asked for and was not fetched, or a folder does not fit.
    """
    if recipe.evaluation.data is not None:
        return _own_split(recipe.evaluation.data, labels, contract, any_number=any_number)
    from cifar_data.cifar10 import splits
    from cifar_data.load import load_split

    chosen = recipe.evaluation.split
    is_full = chosen == "test" or (chosen == "auto" and splits.is_available())
    return load_split("test" if is_full else "test-sample")


def _own_split(
    folder: Path, labels: tuple[str, ...], contract: InputContract, *, any_number: bool
) -> Split:
    split = read_labelled_images(folder, labels=labels, contract=contract, any_number=any_number)
    if len(split.labels) < MIN_VECTORS:
        raise InputError(
            f"{folder}: holds {counted(len(split.labels), 'image')}, expected {MIN_VECTORS} or more: as many "
            "go into the artefact for its self-test.",
            hint="Give a few hundred labelled images, so that the gate can tell a loss from chance.",
        )
    return split
