"""Calibration images: chosen by a seed from training images only, or read from the user's folder."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.choose import positions_among, stratified_sample
from cifar_data.pictures.load import Pictures
from cifar_export.recipe import ExportRecipe
from cifar_runtime.contract import InputContract
from cifar_runtime.errors import InputError
from cifar_runtime.progress import Counter, silent
from cifar_runtime.system.files import is_folder

MIN_PIXEL, MAX_PIXEL = 0, 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Images that set quantization ranges, and where they come from.

    Attributes:
        images: uint8, shape (n, height, width, 3), RGB; 0 and 255 both occur.
        source: ``train`` for the train split of CIFAR-10 or of the user's own pictures, or ``folder``.
        ids: positions in the official training order, digests of pictures, or paths inside the folder.
        seed: of the choice.
        added: plain images added so that the ends of the pixel range are reached, by pixel value.
    """

    images: NDArray[np.uint8]
    source: str
    ids: tuple[int | str, ...]
    seed: int
    added: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The provenance of the images as JSON-ready data; their bytes as a digest."""
        return {
            "source": self.source,
            "count": len(self.images),
            "seed": self.seed,
            "ids": list(self.ids),
            "added_plain_images": list(self.added),
            "sha256": hashlib.sha256(np.ascontiguousarray(self.images).tobytes()).hexdigest(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RepresentativeDataset:
    """Calibration images as a model takes them: ``real = pixel * multiplier + offset``.

    Attributes:
        images: uint8, shape (n, height, width, 3), RGB.
        multiplier: real units per pixel step.
        offset: real value of pixel 0.
        count: sees how many of the images were taken.
    """

    images: NDArray[np.uint8]
    multiplier: float = 1.0
    offset: float = 0.0
    count: Counter = silent

    def batches(self, size: int) -> Iterator[NDArray[np.float32]]:
        """The images in order, float32, shape (``size`` or fewer, height, width, 3)."""
        for start in range(0, len(self.images), size):
            exact = self.images[start : start + size].astype(np.float64)
            yield (exact * self.multiplier + self.offset).astype(np.float32)
            self.count(min(start + size, len(self.images)), len(self.images))


def load_calibration(recipe: ExportRecipe, contract: InputContract) -> Calibration:
    """The calibration images that the recipe asks for.

    Args:
        recipe: names the source, the count and the seed.
        contract: the size, and how a folder's pictures are brought to it.

    Raises:
        InputError: there are too few images, or a folder does not decode.
    """
    if recipe.calibration.data is None:
        return _from_train(recipe.calibration.samples, recipe.calibration.seed)
    return _from_folder(recipe.calibration.data, recipe, contract)


def calibration_from_pictures(recipe: ExportRecipe, pictures: Pictures) -> Calibration:
    """The calibration images from the user's own that the checkpoint was trained on, named by their digests."""
    split = pictures.splits["train"]
    count = min(recipe.calibration.samples, len(split.labels))
    chosen = stratified_sample(split.labels, count, seed=recipe.calibration.seed)
    images, added = reaching_both_ends(np.asarray(split.images[chosen]))
    return Calibration(
        images=images,
        source="train",
        ids=tuple(str(pictures.decoded[at].sha256) for at in split.ids[chosen]),
        seed=recipe.calibration.seed,
        added=added,
    )


def refuse_judged_images(
    calibration: Calibration, folder: Path, judged: NDArray[np.uint8], *, split: str
) -> None:
    """Checks that no image of a calibration folder is one that the artefacts are measured on.

    Args:
        calibration: read from ``folder``.
        folder: where its ids begin.
        judged: uint8, shape (n, height, width, 3), the images of the gate, of the same size.
        split: their name.

    Raises:
        InputError: one is, pixel for pixel.
    """
    shared = positions_among(
        calibration.images[: len(calibration.ids)], judged
    )  # plain ones follow
    if shared:
        raise InputError(
            f"{folder / str(calibration.ids[shared[0]])}: is one of the images of {split}, which the export is "
            "measured on, expected training images only.",
            hint="Take it out of the folder of --calibration-data.",
        )


def reaching_both_ends(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, ...]]:
    """The images with a black or white one added where 0 or 255 never occurs, and which were added.

    Otherwise the calibrated input scale is not exactly one pixel step.
    """
    lowest, highest = int(images.min()), int(images.max())
    added = tuple(end for end, found in ((MIN_PIXEL, lowest), (MAX_PIXEL, highest)) if end != found)
    plain = [np.full((1, *images.shape[1:]), end, dtype=np.uint8) for end in added]
    return np.concatenate([images, *plain]), added


def _from_train(count: int, seed: int) -> Calibration:
    """From the shipped sample, the same on every machine, while that suffices; else from the fetched split."""
    from cifar_data import packaged
    from cifar_data.cifar10 import splits
    from cifar_data.load import load_split

    split = packaged.calibration_sample()
    if count > len(split.labels):
        if not splits.is_available():
            raise InputError(
                f"{count} calibration images were asked for, {len(split.labels)} come with the package.",
                hint=f"Run cifar-data fetch, or give --calibration-samples {len(split.labels)}.",
            )
        split = load_split("train")
        count = min(count, len(split.labels))
    chosen = split.take(
        stratified_sample(split.labels.astype(np.int64), count, seed=seed), name="train"
    )
    images, added = reaching_both_ends(np.asarray(chosen.images))
    return Calibration(
        images=images, source="train", ids=tuple(chosen.ids.tolist()), seed=seed, added=added
    )


def _from_folder(folder: Path, recipe: ExportRecipe, contract: InputContract) -> Calibration:
    from cifar_runtime.imaging.fitted_image import read_fitted

    paths = _image_paths(folder)
    parents = {
        parent: index for index, parent in enumerate(sorted({path.parent for path in paths}))
    }
    classes = np.array([parents[path.parent] for path in paths], dtype=np.int64)
    count = min(recipe.calibration.samples, len(paths))
    chosen = [
        paths[position]
        for position in stratified_sample(classes, count, seed=recipe.calibration.seed)
    ]
    images, added = reaching_both_ends(np.stack([read_fitted(path, contract) for path in chosen]))
    return Calibration(
        images=images,
        source="folder",
        ids=tuple(path.relative_to(folder).as_posix() for path in chosen),
        seed=recipe.calibration.seed,
        added=added,
    )


def _image_paths(folder: Path) -> list[Path]:
    """All image files below ``folder``, sorted: flat, or one folder a class."""
    from cifar_data.image_folder import images_below

    if not is_folder(folder):
        raise InputError(
            f"{folder}: is not a folder of calibration images.", hint="Check the path."
        )
    paths = images_below(folder)
    if not paths:
        raise InputError(
            f"{folder}: holds no image, expected files such as .png or .jpg, flat or in class folders.",
            hint="Give a folder with a few hundred typical training images.",
        )
    return paths
