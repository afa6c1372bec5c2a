"""Two models compared on the same labelled images; ``gate`` decides whether the comparison passes.

Pure: scores in, counts out. Counts are kept as integers; rates and intervals follow from them.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.accuracy import decisions
from cifar_eval.intervals import exact_mcnemar_p, paired_difference_interval
from cifar_runtime.documents import to_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far a candidate decides like its reference.

    Attributes:
        reference_correct: images the reference decides rightly.
        candidate_correct: images the candidate decides rightly.
        agreeing: images on which both decide for the same class, right or wrong.
        flips_to_wrong: images that only the reference decides rightly.
        flips_to_right: images that only the candidate decides rightly.
        seen: images shown to both.
        max_score_error: largest absolute difference of two scores, in the unit of the scores.
        mean_score_error: mean absolute difference of all scores, in the unit of the scores.
        sqnr_db: signal to quantization noise ratio in decibels; None when the scores are equal (no
            noise).

    The three score figures mean something only where both models return the same kind of score.

    Example:
        >>> from cifar_eval import compare
        >>> from cifar_runtime.classifier import default_model
        >>> parity = compare(default_model("onnx"), default_model("tflite"), limit=100)
        >>> parity.flips_to_wrong - parity.flips_to_right == round(parity.accuracy_drop * 100)
        True
    """

    reference_correct: int
    candidate_correct: int
    agreeing: int
    flips_to_wrong: int
    flips_to_right: int
    seen: int
    max_score_error: float
    mean_score_error: float
    sqnr_db: float | None

    def __post_init__(self) -> None:
        counts = (self.reference_correct, self.candidate_correct, self.agreeing)
        if self.seen < 1 or min(counts) < 0 or max(counts) > self.seen:
            raise ValueError(f"counts {counts} do not fit {self.seen} images")
        balance = self.reference_correct - self.flips_to_wrong + self.flips_to_right
        if min(self.flips_to_wrong, self.flips_to_right) < 0 or balance != self.candidate_correct:
            raise ValueError(
                f"{self.reference_correct} - {self.flips_to_wrong} + {self.flips_to_right} is not "
                f"{self.candidate_correct}"
            )

    @property
    def accuracy_drop(self) -> float:
        """Reference minus candidate accuracy, -1..1; negative when the candidate is better."""
        return (self.reference_correct - self.candidate_correct) / self.seen

    @property
    def accuracy_drop_interval(self) -> tuple[float, float]:
        """The paired 95 % score interval of the drop (Tango 1998)."""
        return paired_difference_interval(self.flips_to_wrong, self.flips_to_right, self.seen)

    @property
    def agreement(self) -> float:
        """The share of images on which both decide for the same class, 0..1."""
        return self.agreeing / self.seen

    @property
    def candidate_accuracy(self) -> float:
        """Top-1 accuracy of the candidate, 0..1."""
        return self.candidate_correct / self.seen

    @property
    def mcnemar_p(self) -> float:
        """The exact McNemar p-value of "no drop and no gain", 0..1."""
        return exact_mcnemar_p(self.flips_to_wrong, self.flips_to_right)

    def to_json(self) -> dict[str, Any]:
        """The counts, and what follows from them, as JSON-ready data."""
        return {
            **to_document(self, "agreement", "accuracy_drop"),
            "accuracy_drop_interval_95": list(self.accuracy_drop_interval),
            "mcnemar_p": self.mcnemar_p,
        }


def parity_from_scores(
    reference: NDArray[np.floating[Any]],
    candidate: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
) -> Parity:
    """The comparison of two models' scores of the same images.

    Args:
        reference: float, shape (n, num_classes).
        candidate: float, shape (n, num_classes).
        labels: integer, shape (n,).

    Raises:
        ArtefactError: a score is not a finite number, or a label has no score.
        ValueError: the shapes do not go together.
    """
    if reference.shape != candidate.shape:
        raise ValueError(
            f"scores {reference.shape} and {candidate.shape} are not of the same images"
        )
    reference_decisions, candidate_decisions = (
        decisions(reference, labels),
        decisions(candidate, labels),
    )
    decided = Decided(
        reference_right=reference_decisions == labels,
        candidate_right=candidate_decisions == labels,
        alike=reference_decisions == candidate_decisions,
    )
    return parity_of(decided, reference, candidate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """How two models decide on the same images.

    Attributes:
        reference_right: bool, shape (n,), whether the reference decides each rightly.
        candidate_right: bool, shape (n,), whether the candidate does.
        alike: bool, shape (n,), whether both decide the same.
    """

    reference_right: NDArray[np.bool_]
    candidate_right: NDArray[np.bool_]
    alike: NDArray[np.bool_]


def parity_of(
    decided: Decided,
    reference: NDArray[np.floating[Any]],
    candidate: NDArray[np.floating[Any]],
) -> Parity:
    """The counts of decisions, and how the scores that they come from differ, float, shape (n, num_classes) each."""
    error = np.abs(reference.astype(np.float64) - candidate.astype(np.float64))
    is_right, was_right = decided.candidate_right, decided.reference_right
    return Parity(
        reference_correct=int(np.count_nonzero(was_right)),
        candidate_correct=int(np.count_nonzero(is_right)),
        agreeing=int(np.count_nonzero(decided.alike)),
        flips_to_wrong=int(np.count_nonzero(was_right & ~is_right)),
        flips_to_right=int(np.count_nonzero(is_right & ~was_right)),
        seen=len(is_right),
        max_score_error=float(error.max()),
        mean_score_error=float(error.mean()),
        sqnr_db=_sqnr_db(reference, error),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassParity:
    """The images of one class.

    Attributes:
        label: the class.
        seen: its images.
        reference_correct: those that the reference decides rightly.
        candidate_correct: those that the candidate decides rightly.
    """

    label: str
    seen: int
    reference_correct: int
    candidate_correct: int

    @property
    def accuracy_drop(self) -> float | None:
        """Reference minus candidate accuracy, -1..1; None where the class has no image."""
        if not self.seen:
            return None
        return (self.reference_correct - self.candidate_correct) / self.seen

    def to_json(self) -> dict[str, Any]:
        """The counts and the drop as JSON-ready data."""
        return to_document(self, "accuracy_drop")


def class_parities(
    reference: NDArray[np.floating[Any]],
    candidate: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    *,
    label_names: tuple[str, ...],
) -> tuple[ClassParity, ...]:
    """One comparison for each class, in the order of the scores; see :func:`parity_from_scores`."""
    classes = len(label_names)
    seen = np.bincount(labels, minlength=classes)
    right = [
        np.bincount(labels[decisions(scores, labels) == labels], minlength=classes)
        for scores in (reference, candidate)
    ]
    return tuple(
        ClassParity(
            label=name,
            seen=int(seen[index]),
            reference_correct=int(right[0][index]),
            candidate_correct=int(right[1][index]),
        )
        for index, name in enumerate(label_names)
    )


def _sqnr_db(reference: NDArray[np.floating[Any]], error: NDArray[np.float64]) -> float | None:
    """Signal power over noise power in decibels, 10 log10(sum r^2 / sum e^2); None without noise.

    Source: A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing, 3rd edition, section
        4.8.3.
    """
    noise = float(np.square(error).sum())
    signal = float(np.square(reference.astype(np.float64)).sum())
    if noise == 0:
        return None
    return 10 * math.log10(max(signal, np.finfo(np.float64).tiny) / noise)
