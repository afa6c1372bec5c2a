"""The user's own pictures: which folder is measured on and which sets int8 ranges, where that was not said."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from cifar_data.choose import stratified_sample
from cifar_data.labelled_images import is_table, label_names, labelled_paths
from cifar_data.split import Split
from cifar_eval.formatting import counted
from cifar_export.int8.calibration import Calibration, reaching_both_ends
from cifar_export.recipe import CALIBRATED, ExportRecipe
from cifar_runtime.errors import InputError
from cifar_runtime.golden import MIN_VECTORS

_TRAINING = "train"
_HELD_OUT = ("test", "val", "validation", "valid")


def with_parts(recipe: ExportRecipe, *, progress: Callable[[str], None]) -> ExportRecipe:
    """The recipe with the folders that ``train``, ``val`` and ``test`` are the usual names of.

    Of a folder that has both, the held-out part is measured on; the training images inside or beside it set int8
    ranges, unless the recipe names others.

    Args:
        recipe: perhaps names a folder to measure on.
        progress: told what was chosen.
    """
    folder = recipe.evaluation.data
    if folder is None or not folder.is_dir():
        return recipe
    measured = _held_out_part(folder)
    if measured != folder:
        progress(f"{folder} has parts: {measured.name} is measured on")
        recipe = replace(recipe, evaluation=replace(recipe.evaluation, data=measured))
    training = measured.parent / _TRAINING if measured.name.lower() in _HELD_OUT else None
    is_wanted = recipe.calibration.data is None and set(recipe.quantize) & set(CALIBRATED)
    if training is None or not is_wanted or not _has_same_classes(training, measured):
        return recipe
    progress(f"{training} sets the ranges of int8")
    return replace(recipe, calibration=replace(recipe.calibration, data=training))


def folder_labels(folder: Path, *, num_classes: int) -> tuple[str, ...]:
    """The names of the class folders, or a CSV file's labels, in Keras' order, which is sorted.

    Raises:
        InputError: there are others than the model has scores.
    """
    names = label_names(folder)
    if len(names) != num_classes:
        what = "label" if is_table(folder) else "class folder"
        raise InputError(
            f"{folder}: has {counted(len(names), what)} ({', '.join(names[:20])}), expected "
            f"{num_classes}, one for each of the model's scores.",
            hint="Give --labels FILE with the names in the order of the scores, and an empty folder for a class "
            "without pictures.",
        )
    return names


def halves(split: Split, recipe: ExportRecipe, folder: Path) -> tuple[Split, Calibration]:
    """Half of a folder's images to measure on, and the other half to set ranges, told apart by their content.

    An image that is there twice is in one half only.

    Args:
        split: all images of the folder.
        recipe: says how many set ranges, and the seed of their choice.
        folder: where the split was read.

    Raises:
        InputError: there are too few.
    """
    is_calibration = np.array(
        [hashlib.sha256(image.tobytes()).digest()[0] % 2 == 1 for image in split.images]
    )
    measured, others = np.flatnonzero(~is_calibration), np.flatnonzero(is_calibration)
    if len(measured) < MIN_VECTORS or not len(others):
        raise InputError(
            f"{folder}: holds {len(split.labels)} images, of which {len(others)} would set int8 ranges and "
            f"{len(measured)} be measured on, expected 1 and {MIN_VECTORS} or more.",
            hint="Give --calibration-data DIR (training images), or more images.",
        )
    count = min(recipe.calibration.samples, len(others))
    seed = recipe.calibration.seed
    chosen = others[stratified_sample(split.labels[others], count, seed=seed)]
    images, added = reaching_both_ends(np.asarray(split.images)[chosen])
    paths = labelled_paths(folder, split.label_names)
    root = folder.parent if is_table(folder) else folder
    calibration = Calibration(
        images=images,
        source="folder",
        ids=tuple(os.path.relpath(paths[split.ids[row]], root) for row in chosen),
        seed=seed,
        added=added,
    )
    return split.take(measured, name=f"{split.name}[half]"), calibration


def _held_out_part(folder: Path) -> Path:
    """The part of a folder of parts that is measured on; else the folder."""
    parts = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    held_out = [parts[name] for name in _HELD_OUT if name in parts]
    is_parted = _TRAINING in parts and set(parts) <= {_TRAINING, *_HELD_OUT}
    return held_out[0] if is_parted and held_out else folder


def _has_same_classes(training: Path, measured: Path) -> bool:
    """Whether a folder is there that has the classes of another."""
    if not training.is_dir():
        return False
    folders = [
        {path.name for path in one.iterdir() if path.is_dir()} for one in (training, measured)
    ]
    return folders[0] == folders[1] != set()
