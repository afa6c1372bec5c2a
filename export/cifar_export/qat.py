"""Trains a folded model to keep its decisions under int8, on CIFAR-10's train split; files are not its business.

The float model is the teacher: what counts is deciding like it, so labels are not even looked at. The result is a
folded model of the same layers with other weights, which the converters then quantize like any other.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.calibration import Feed
from cifar_export.fold import Folded
from cifar_export.recipe import QatRecipe
from cifar_runtime.errors import InputError
from cifar_train.dataset import Split, dataset_folder, is_available, load_split

_WATCHED_IMAGES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class QatData:
    """Images for training, and those that choose among its states.

    Attributes:
        train: uint8, shape (n, 32, 32, 3).
        validation: uint8, shape (m, 32, 32, 3), of the validation split.
    """

    train: NDArray[np.uint8]
    validation: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What a backend trains on.

    Attributes:
        teacher: the float model whose decisions are to be kept, of the same input as the one in training.
        feed: calibration images, which set the ranges of activations.
        data: what to train and to choose on.
        seed: of the order of images.
    """

    teacher: Any
    feed: Feed
    data: QatData
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training made.

    Attributes:
        folded: the folded model with trained weights.
        report: how it went, JSON-ready, for the card.
    """

    folded: Folded
    report: dict[str, Any]


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


def trained(
    start: Folded, recipe: QatRecipe, lesson: Lesson, *, say: Callable[[str], None]
) -> Trained:
    """The model after quantization-aware training; the one given is not changed.

    Args:
        start: the model to be quantized, prepared for it.
        recipe: how to train.
        lesson: what to train on.
        say: told how training goes.

    Raises:
        MissingDependencyError: the backend tfmot is not installed.
    """
    if recipe.backend == "tfmot":
        from cifar_export.qat_tfmot import train
    else:
        from cifar_export.qat_keras import train
    model, report = train(start.model, recipe, lesson, say=say)
    return Trained(folded=replace(start, model=model), report=report)


def _first_of_each(split: Split, count: int) -> NDArray[np.uint8]:
    from cifar_bench.split_choice import stratified_positions

    return np.asarray(split.images[stratified_positions(split.labels, count)])
