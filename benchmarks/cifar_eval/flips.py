"""Images on which two models decide differently, with the pictures, so that a reader can judge them."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split

MAX_FLIPS = 24
"""Most flips kept in a report, so that it stays a file one can open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One image on which a candidate decides differently from its reference.

    Attributes:
        position: the image's place in the set.
        label: its class.
        reference: what the reference decides.
        reference_probability: how probable the reference says that is, 0..1.
        candidate: what the candidate decides.
        candidate_probability: how probable the candidate says that is, 0..1.
        png: the picture as a PNG file, base64.
    """

    position: int
    label: str
    reference: str
    reference_probability: float
    candidate: str
    candidate_probability: float
    png: str


def flips_from_probabilities(
    reference: NDArray[np.float64], candidate: NDArray[np.float64], evaluation: Split
) -> tuple[Flip, ...]:
    """The first ``MAX_FLIPS`` images on which the decisions differ, in their order.

    Args:
        reference: probabilities, shape (n, num_classes).
        candidate: probabilities of the same shape.
        evaluation: the images.
    """
    decided = reference.argmax(axis=1), candidate.argmax(axis=1)
    positions = np.flatnonzero(decided[0] != decided[1])[:MAX_FLIPS]
    names = evaluation.label_names
    return tuple(
        Flip(
            position=int(position),
            label=names[int(evaluation.labels[position])],
            reference=names[int(decided[0][position])],
            reference_probability=float(reference[position].max()),
            candidate=names[int(decided[1][position])],
            candidate_probability=float(candidate[position].max()),
            png=base64.b64encode(png_from_pixels(evaluation.images[position])).decode(),
        )
        for position in positions
    )


def png_from_pixels(image: NDArray[np.uint8]) -> bytes:
    """A PNG file of pixels, uint8, shape (height, width, 3), RGB."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
