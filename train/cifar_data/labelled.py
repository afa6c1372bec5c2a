"""The labelled images that models are compared on: a named split, or a folder of the user's."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cifar_data.choose import choose_split
from cifar_data.image_folder import read_image_folder
from cifar_data.split_names import BenchSplit
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Labelled images under the name that reports quote.

    Attributes:
        name: the split's name, or the folder's without its path.
        images: uint8, shape (n, height, width, 3), RGB, 0..255.
        labels: int64, shape (n,), indices into ``label_names``.
        label_names: the classes, in the order of the models' scores.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]

    def sha256(self) -> str:
        """The digest of the pixels, followed by the labels as little-endian int64."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()


class ImageChoice(Protocol):
    """The part of a recipe that names images; see ``BenchRecipe`` and ``ParityRecipe``."""

    @property
    def split(self) -> BenchSplit:
        """The split, when there is no folder."""

    @property
    def eval_data(self) -> str | Path | None:
        """A folder of images, one folder a class."""

    @property
    def limit(self) -> int | None:
        """At most so many images."""


def load_evaluation(
    recipe: ImageChoice, *, labels: tuple[str, ...], contract: InputContract | None
) -> Evaluation:
    """The images that the recipe names.

    Args:
        recipe: names a split or a folder.
        labels: the models' class names.
        contract: how a folder's pictures are brought to the models' size; None only for a split.

    Raises:
        InputError: the split was not fetched, or the folder does not hold images of these labels.
    """
    if recipe.eval_data is None or contract is None:
        split = choose_split(recipe.split, limit=recipe.limit)
        return Evaluation(
            name=split.name,
            images=np.asarray(split.images),
            labels=split.labels.astype(np.int64),
            label_names=labels,
        )
    images, classes = read_image_folder(
        Path(recipe.eval_data), labels=labels, contract=contract, limit=recipe.limit
    )
    name = Path(recipe.eval_data).resolve().name
    if not name:
        raise InputError("the root folder is no folder of images.", hint="Check --eval-data.")
    limited = recipe.limit is not None and recipe.limit <= len(classes)
    return Evaluation(
        name=f"{name}[:{recipe.limit}]" if limited else name,
        images=images,
        labels=classes,
        label_names=labels,
    )
