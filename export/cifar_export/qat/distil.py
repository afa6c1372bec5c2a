"""Trains a folded model to keep its decisions under int8, on training images; files are not its business.

The float model is the teacher: what counts is deciding like it, so labels are not even looked at. The result is a
folded model of the same layers with other weights, which the converters then quantize like any other.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cifar_data.cifar10.splits import dataset_folder, is_available
from cifar_data.load import load_split
from cifar_data.split import Split
from cifar_export.int8.calibration import Calibration
from cifar_export.keras_graph.fold import Folded
from cifar_export.qat.task import QatData, QatTask, Trained
from cifar_export.recipe import MIN_QAT_IMAGES, QatRecipe
from cifar_runtime.errors import InputError

_WATCHED_IMAGES = 2000


def check_data_set() -> None:
    """Checks for the images before anything slow begins.

    Raises:
        InputError: CIFAR-10 was not fetched.
    """
    if not is_available():
        raise InputError(
            f"--qat trains on CIFAR-10's train split, which is not in {dataset_folder()}.",
            hint="Run cifar-data fetch, once, while online, or leave --qat out.",
        )


def qat_data() -> QatData:
    """The train split, and a stratified part of the validation split.

    Raises:
        InputError: CIFAR-10 was not fetched.
    """
    train, validation = load_split("train"), load_split("validation")
    return QatData(
        train=np.asarray(train.images), validation=_first_of_each(validation, _WATCHED_IMAGES)
    )


def own_qat_data(calibration: Calibration) -> QatData:
    """Calibration images of the user's own: four fifths to train on, the others to choose on.

    Raises:
        InputError: there are too few.
    """
    images = calibration.images[: len(calibration.ids)]  # plain ones follow
    if len(images) < MIN_QAT_IMAGES:
        raise InputError(
            f"--qat trains on the calibration images, which are {len(images)}, expected {MIN_QAT_IMAGES} or more.",
            hint="Give --calibration-data DIR with a few hundred training images, or leave --qat out.",
        )
    is_watched = np.arange(len(images)) % 5 == 4
    return QatData(train=images[~is_watched], validation=images[is_watched])


def trained(
    start: Folded, recipe: QatRecipe, task: QatTask, *, progress: Callable[[str], None]
) -> Trained:
    """The model after quantization-aware training; the one given is not changed.

    Args:
        start: the model to be quantized, prepared for it.
        recipe: how to train.
        task: what to train on.
        progress: told how training goes.

    Raises:
        MissingDependencyError: the backend tfmot is not installed.
    """
    if recipe.backend == "tfmot":
        from cifar_export.qat.tfmot_backend import train
    else:
        from cifar_export.qat.keras_backend import train
    model, report = train(start.model, recipe, task, progress=progress)
    return Trained(folded=replace(start, model=model), report=report)


def _first_of_each(split: Split, count: int) -> NDArray[np.uint8]:
    from cifar_data.choose import stratified_positions

    return np.asarray(split.images[stratified_positions(split.labels, count)])
