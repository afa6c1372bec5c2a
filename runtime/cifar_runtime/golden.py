"""Golden vectors: a few real inputs in the card, with the scores that they gave when it was written.

Replaying them shows whether this machine and this interpreter still give those scores. It holds the
data, its JSON form and the replay; it knows no file (see ``artefact``) and never prints.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.contract import OutputContract
from cifar_runtime.documents import to_document
from cifar_runtime.errors import ArtefactError
from cifar_runtime.golden_images import Grid, pack_images, unpack_images
from cifar_runtime.plain_text import reason_of

if TYPE_CHECKING:
    from cifar_runtime.classifier import Classifier

MIN_VECTORS = 8  # as many as an export writes, unless it is asked for another number
# XNNPACK and the reference kernels of LiteRT differ by up to five steps of an int8 output.
INT8_TOLERANCE_STEPS = 5
# Float kernels add in another order; half-precision arithmetic, where a device uses it, keeps 11 bits.
FLOAT_TOLERANCE = 2e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenVectors:
    """Inputs and the scores they must give.

    Attributes:
        images: uint8, shape (n, height, width, channels), 0..255.
        float_scores: of the float model that the artefact was made from: float32, shape
            (n, num_classes), in real units.
        scores: of the artefact itself, same dtype and shape.
        tolerance: largest absolute difference of a score on another machine.
        grid: rows and columns of the cells that the images are constant in, by which they are stored compressed;
            None: each is stored as it is, as cards up to version 0.1 have them.
    """

    images: NDArray[np.uint8]
    float_scores: NDArray[np.float32]
    scores: NDArray[np.float32]
    tolerance: float
    grid: Grid | None = None

    def __post_init__(self) -> None:
        count = len(self.images)
        shapes_fit = self.images.ndim == 4 and self.scores.ndim == 2 and len(self.scores) == count
        if not shapes_fit or self.float_scores.shape != self.scores.shape or count == 0:
            raise _invalid(
                f"shapes are {self.images.shape}, {self.float_scores.shape}, {self.scores.shape}",
                "one score for every class of each of one image or more",
            )
        numbers = (self.float_scores, self.scores, np.asarray(self.tolerance))
        if not all(np.isfinite(array).all() for array in numbers) or not self.tolerance >= 0:
            raise _invalid("scores or tolerance are not numbers", "finite ones")

    def to_json(self) -> dict[str, Any]:
        """The vectors as JSON-ready data, the images as text."""
        return {
            "tolerance": self.tolerance,
            "shape": list(self.images.shape[1:]),
            "images": _text_of(self.images)
            if self.grid is None
            else pack_images(self.images, self.grid),
            "float_scores": _lists_from_scores(self.float_scores),
            "scores": _lists_from_scores(self.scores),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What the golden vectors gave on this machine.

    Attributes:
        num_vectors: how many were replayed.
        max_error: largest absolute difference of a score, in real units.
        tolerance: the largest that the card allows.
        bit_exact: whether every score was the same.
        decisions_kept: images for which the best class is still the same.
    """

    num_vectors: int
    max_error: float
    tolerance: float
    bit_exact: bool
    decisions_kept: int

    @property
    def passed(self) -> bool:
        """Whether every score is within the tolerance."""
        return self.max_error <= self.tolerance

    def to_json(self) -> dict[str, Any]:
        """The result as JSON-ready data."""
        document: dict[str, Any] = to_document(self, "passed")
        return document


def golden_vectors(
    images: NDArray[np.uint8],
    float_scores: NDArray[np.float32],
    own_scores: NDArray[np.float32],
    tolerance: float,
    grid: Grid | None = None,
) -> GoldenVectors:
    """The golden vectors of an artefact, for its card; see :class:`GoldenVectors`.

    Raises:
        ArtefactError: there are none, or the scores are not numbers.
    """
    return GoldenVectors(
        images=np.ascontiguousarray(images),
        float_scores=float_scores,
        scores=own_scores,
        tolerance=tolerance,
        grid=grid,
    )


def tolerance_of(output: OutputContract, scores: NDArray[np.float32]) -> float:
    """The tolerance for the card: a few steps of a quantized output, a small share of float scores."""
    if output.scale is not None:
        return INT8_TOLERANCE_STEPS * output.scale
    return FLOAT_TOLERANCE * max(1.0, float(np.abs(scores).max()))


def golden_from_card(card: Mapping[str, Any]) -> GoldenVectors:
    """The golden vectors in a card.

    Raises:
        ArtefactError: it has none, or they are damaged.
    """
    document = card.get("golden_vectors")
    if not isinstance(document, dict):
        raise ArtefactError(
            f"{card.get('name')}: has no golden vectors, so there is nothing to replay.",
            hint="Export the model again with cifar-export.",
        )
    try:
        images, grid = _images_from(document["images"], tuple(document["shape"]))
        return GoldenVectors(
            images=images,
            float_scores=np.asarray(document["float_scores"], dtype=np.float32),
            scores=np.asarray(document["scores"], dtype=np.float32),
            tolerance=float(document["tolerance"]),
            grid=grid,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid(f"cannot be read: {reason_of(error)}", "what cifar-export wrote") from error


def replay(classifier: "Classifier") -> Replay:
    """The golden vectors of a classifier's artefact, run once more.

    Raises:
        ArtefactError: the card has no golden vectors, they do not fit the model, or it fails.
    """
    return replay_from_scores(*golden_scores(classifier))


def golden_scores(classifier: "Classifier") -> tuple[GoldenVectors, NDArray[np.float32]]:
    """The golden vectors of a classifier's artefact, and the scores that they give here.

    Raises:
        ArtefactError: as :func:`replay`.
    """
    golden = golden_from_card(classifier.artefact.card)
    if golden.scores.shape[1] != len(classifier.labels):
        raise _invalid(f"have {golden.scores.shape[1]} scores", f"{len(classifier.labels)} each")
    if golden.images.shape[1:] != classifier.artefact.contract.input.shape:
        raise _invalid(f"have the shape {golden.images.shape[1:]}", "the shape in the contract")
    return golden, classifier.scores(golden.images)


def replay_from_scores(golden: GoldenVectors, found: NDArray[np.float32]) -> Replay:
    """What scores, float32, shape (n, num_classes), are beside the card's."""
    differences = np.abs(found.astype(np.float64) - golden.scores)
    return Replay(
        num_vectors=len(found),
        max_error=float(differences.max()),
        tolerance=golden.tolerance,
        bit_exact=bool((found == golden.scores).all()),
        decisions_kept=int((found.argmax(axis=1) == golden.scores.argmax(axis=1)).sum()),
    )


def _text_of(images: NDArray[np.uint8]) -> list[str]:
    return [base64.b64encode(image.tobytes()).decode() for image in images]


def _images_from(stored: Any, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], Grid | None]:
    """The images of a card and the grid that they are stored on; None for a list of whole ones."""
    if isinstance(stored, dict):
        rows, columns = stored["grid"]
        return unpack_images(stored, shape), (rows, columns)
    pixels = [base64.b64decode(text, validate=True) for text in stored]
    images = np.stack([np.frombuffer(image, np.uint8).reshape(shape) for image in pixels])
    return images, None


def _lists_from_scores(scores: NDArray[np.float32]) -> list[list[float]]:
    # str of a float32 is its shortest exact form; as float64 it would have nine digits more.
    return [[float(str(score)) for score in row] for row in scores.astype(np.float32)]


def _invalid(what: str, expected: str) -> ArtefactError:
    return ArtefactError(
        f"the golden vectors are wrong: {what}, expected {expected}.",
        hint="Export the model again with cifar-export.",
    )
