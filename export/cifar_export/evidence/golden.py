"""Which pictures an artefact carries as golden vectors: real ones, as fine as its size allows.

A network of 11 kB is not to become a file of 150 kB because of the pictures in it. So they are averaged over the cells
of a grid, coarse enough that the file stays under its weights, a tenth of them and 32 KiB; the pictures of a larger
network, and those that were asked for by number, stay whole.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_export.recipe import ExportRecipe
from cifar_runtime.classifier import Classifier
from cifar_runtime.errors import InputError
from cifar_runtime.formats.embedded_card import document_of_card
from cifar_runtime.golden import MIN_VECTORS, GoldenVectors, golden_vectors, tolerance_of
from cifar_runtime.golden_images import MAX_UNPACKED_BYTES, Grid, on_grid, pack_images
from cifar_runtime.inspection.info import graph_of

FREE_BYTES, FREE_SHARE = 32 * 1024, 0.10
# What the card gains once the golden vectors are known: the comparison with Keras; confidence and robustness.
_PARITY_BYTES, _EVIDENCE_BYTES = 1536, 3072
_SCORE_BYTES = 12  # of a score as text, with its comma
_CELLS, _FEWEST_CELLS = 16, 8  # along the shorter side: a picture is still known, and hardly so

Scores = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenRequest:
    """What golden vectors are wanted.

    Attributes:
        count: how many, whole; None for :data:`MIN_VECTORS` on a grid that keeps the file small.
        later_bytes: what the card still gains.
        reference: the Keras model's scores of images, both as in :class:`GoldenVectors`.
    """

    count: int | None
    later_bytes: int
    reference: Scores


def golden_request(recipe: ExportRecipe, reference: Scores) -> GoldenRequest:
    """What a recipe asks for."""
    asked = (recipe.confidence, recipe.robustness)
    return GoldenRequest(
        count=recipe.publish.golden,
        later_bytes=_PARITY_BYTES + _EVIDENCE_BYTES * sum(one is not None for one in asked),
        reference=reference,
    )


def check_count(recipe: ExportRecipe, split: Split) -> None:
    """Checks that so many golden vectors as were asked for can be had and read again.

    Raises:
        InputError: there are fewer images, or these are too large for so many.
    """
    count, most = recipe.publish.golden or 1, min(len(split.labels), _readable(split))
    if most < count:
        raise InputError(
            f"--golden {count}: {split.name} has {len(split.labels)} images of "
            f"{' x '.join(map(str, split.images.shape[1:]))}, expected at most {most} golden vectors of them.",
            hint="Give a smaller --golden, or more images.",
        )


def _readable(split: Split) -> int:
    """How many whole pictures a reader unpacks."""
    return int(MAX_UNPACKED_BYTES // np.prod(split.images.shape[1:]))


def golden_of(
    classifier: Classifier,
    split: Split,
    scores: tuple[NDArray[np.float32], NDArray[np.float32]],
    request: GoldenRequest,
) -> GoldenVectors:
    """The vectors for the card of an open artefact, from images spread evenly over the split.

    Args:
        classifier: the artefact, its card without golden vectors so far.
        split: the images that it was measured on.
        scores: the Keras model's and the artefact's, float32, shape (n, num_classes) each.
        request: what is wanted.
    """
    count = request.count or min(MIN_VECTORS, _readable(split))
    positions = np.linspace(0, len(split.labels) - 1, count).round().astype(np.int64)
    whole = np.asarray(split.images)[positions]
    images, grid = whole, (whole.shape[1], whole.shape[2])
    reference, own = (one[positions] for one in scores)
    if request.count is None:
        scores_bytes = 2 * own.size * _SCORE_BYTES
        images, grid = _fitted(whole, [room - scores_bytes for room in _rooms(classifier, request)])
    if not np.array_equal(images, whole):
        reference, own = request.reference(images), classifier.scores(images)
    output = classifier.artefact.contract.output
    return golden_vectors(images, reference, own, tolerance_of(output, own), grid)


def _rooms(classifier: Classifier, request: GoldenRequest) -> tuple[int, int]:
    """How many bytes the file may still grow by: measured by its weights, and by all that the converter wrote.

    Names, shapes and scales outweigh the weights of some networks, so that the first is out of reach.
    """
    artefact = classifier.artefact
    card = len(json.dumps(document_of_card(artefact.card)))
    used = len(artefact.data) + request.later_bytes
    own = graph_of(artefact).parameter_bytes, len(artefact.data) - card
    by_weights, by_file = (FREE_BYTES + int((1 + FREE_SHARE) * size) - used for size in own)
    return by_weights, by_file


def _fitted(images: NDArray[np.uint8], rooms: Sequence[int]) -> tuple[NDArray[np.uint8], Grid]:
    """The pictures on the finest grid whose block fits, else on the coarsest."""
    for room_bytes, fewest in zip(rooms, (_CELLS, _FEWEST_CELLS), strict=True):
        for grid in _grids(images.shape[1], images.shape[2], fewest):
            coarse = on_grid(_averaged(images, grid), images.shape[1:3])
            if len(pack_images(coarse, grid)["data"]) <= room_bytes:
                return coarse, grid
    return coarse, grid


def _grids(height: int, width: int, fewest: int) -> Iterator[Grid]:
    """From one cell a pixel down to some along the shorter side."""
    step = 1
    yield height, width
    while min(height, width) // (step + 1) >= fewest:
        step += 1
        yield -(-height // step), -(-width // step)


def _averaged(images: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    """The mean of each cell, shape (n, rows, columns, channels)."""
    sums, pixels = images.astype(np.float64), np.float64(1)
    for axis, cells in enumerate(grid, start=1):
        size = images.shape[axis]
        starts = -(-np.arange(cells) * size // cells)
        sums = np.add.reduceat(sums, starts, axis=axis)
        shape = [1, 1, 1, 1]
        shape[axis] = cells
        pixels = pixels * np.diff(starts, append=size).reshape(shape)
    return np.rint(sums / pixels).astype(np.uint8)
