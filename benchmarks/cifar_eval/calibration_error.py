"""Images counted by how sure a model was of its decision, and the calibration error that follows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_CONFIDENCE_BINS = 15
"""Equally wide bins of the expected calibration error, as in the paper that made it common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceBin:
    """The images whose decision got a probability within one bin.

    Attributes:
        seen: images in the bin.
        correct: those decided rightly.
        confidence_sum: the sum of the decisions' probabilities.
    """

    seen: int
    correct: int
    confidence_sum: float


def confidence_bins(
    confidences: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[ConfidenceBin, ...]:
    """Bins (0, 1/15], (1/15, 2/15], ...; a quantized 0 falls into the first, 256/256 into the last.

    Args:
        confidences: float64, shape (n,), the probability of each decision, 0..1.
        right: bool, shape (n,), whether the decision is.
    """
    places = np.ceil(np.clip(confidences, 0, 1) * NUM_CONFIDENCE_BINS).astype(int)
    places = np.clip(places - 1, 0, NUM_CONFIDENCE_BINS - 1)
    seen, correct, total = (
        np.bincount(places, weights=weights, minlength=NUM_CONFIDENCE_BINS)
        for weights in (None, right.astype(float), confidences)
    )
    return tuple(
        ConfidenceBin(seen=int(a), correct=int(b), confidence_sum=float(c))
        for a, b, c in zip(seen, correct, total, strict=True)
    )


def expected_calibration_error(bins: Sequence[ConfidenceBin]) -> float:
    """The mean over all images of |accuracy - mean confidence| of the image's bin, 0..1.

    Source: C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural
        networks", ICML 2017, equation 3.

    Raises:
        ValueError: the bins hold no image.
    """
    seen = sum(one.seen for one in bins)
    if not seen:
        raise ValueError("no image, so no calibration error")
    return sum(abs(one.correct - one.confidence_sum) for one in bins) / seen
