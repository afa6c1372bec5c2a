"""Top-1 accuracy as counts: images decided rightly, out of how many, on which split."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.intervals import wilson_interval
from cifar_runtime.documents import to_document
from cifar_runtime.errors import ArtefactError


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Top-1 accuracy on every image of a named split.

    Attributes:
        correct: images decided rightly.
        seen: images shown.
        split: which images.
    """

    correct: int
    seen: int
    split: str

    def __post_init__(self) -> None:
        if self.seen < 1 or not 0 <= self.correct <= self.seen:
            raise ValueError(f"{self.correct} correct of {self.seen} seen is not an accuracy")

    @property
    def value(self) -> float:
        """``correct / seen``, 0..1."""
        return self.correct / self.seen

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval, both ends in 0..1."""
        return wilson_interval(self.correct, self.seen)

    def to_json(self) -> dict[str, Any]:
        """The counts, and what follows from them, as JSON-ready data."""
        derived = {"accuracy": self.value, "accuracy_interval_95": list(self.interval)}
        return {**to_document(self), **derived}


def measure_accuracy(
    scores: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], *, split: str
) -> Accuracy:
    """The accuracy that scores reach.

    Args:
        scores: float, shape (n, num_classes).
        labels: integer, shape (n,), the right class of every image.
        split: the name of the split the images come from.

    Raises:
        ArtefactError: a score is not a finite number, or a label has no score.

    Example:
        >>> from cifar_data.packaged import test_sample
        >>> from cifar_eval import measure_accuracy, open_model
        >>> from cifar_runtime.classifier import default_model
        >>> split = test_sample()
        >>> scores = open_model(default_model("tflite")).scores(split.images)
        >>> accuracy = measure_accuracy(scores, split.labels, split=split.name)
        >>> accuracy.seen, accuracy.value > 0.85
        (1000, True)
    """
    correct = np.count_nonzero(decisions(scores, labels) == labels)
    return Accuracy(correct=int(correct), seen=len(labels), split=split)


def decisions(
    scores: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]
) -> NDArray[np.int64]:
    """The class with the highest score, int64, shape (n,); ties break to the lowest index.

    Raises:
        ArtefactError: a score is not a finite number, or a label has no score.
        ValueError: the arrays are not one row of scores for every label.
    """
    if scores.ndim != 2 or labels.shape != (len(scores),) or not len(scores):
        raise ValueError(f"scores {scores.shape} do not belong to labels {labels.shape}")
    check_finite(scores)
    if int(labels.max()) >= scores.shape[1]:
        raise ArtefactError(
            f"the model gives {scores.shape[1]} scores, the labels go up to {labels.max()}.",
            hint="Measure it on images of its own classes.",
        )
    # argmax takes the first of equal maxima, which is the rule this project states for int8 ties.
    first_best: NDArray[np.int64] = np.argmax(scores, axis=1).astype(np.int64)
    return first_best


def check_finite(scores: NDArray[np.floating[Any]]) -> None:
    """Checks that every score is a number.

    Raises:
        ArtefactError: one is not.
    """
    if not np.isfinite(scores).all():
        raise ArtefactError(
            "the model's scores are not all finite numbers (NaN or infinity).",
            hint="Its weights are missing or damaged: export it again.",
        )
