"""Everything that is counted when a model classifies labelled images: per class, top-k, confusion, confidence.

Raw counts are kept; accuracy, intervals and the calibration error follow from them. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_eval.accuracy import Accuracy, decisions
from cifar_eval.calibration_error import (
    ConfidenceBin,
    confidence_bins,
    expected_calibration_error,
)
from cifar_runtime.documents import to_document

TOP_K = (2, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassAccuracy:
    """The images of one class: ``correct`` of ``seen`` were decided rightly."""

    label: str
    correct: int
    seen: int

    @property
    def value(self) -> float | None:
        """``correct / seen``, 0..1; None where the class has no image."""
        return self.correct / self.seen if self.seen else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailedAccuracy:
    """What a model decided on every image of a named set.

    Attributes:
        split: the name of the images; one that ends in ``[:n]`` says that n of them were taken.
        images_sha256: digest of the pixels and labels: equal digests can be compared in pairs.
        label_names: the classes, in the order of the scores.
        confusion: one row for each true class, one column for each decision, counts of images.
        wrong: positions of the images decided wrongly, ascending, in the order of the set.
        top_k: for each k, images whose class is among the k highest scores; k below the number of
            classes.
        confidence_bins: bins of width 1/15, the lowest confidence first.
    """

    split: str
    images_sha256: str
    label_names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    wrong: tuple[int, ...]
    top_k: Mapping[int, int]
    confidence_bins: tuple[ConfidenceBin, ...]

    def __post_init__(self) -> None:
        classes = len(self.label_names)
        if [len(row) for row in self.confusion] != [classes] * classes:
            raise ValueError(f"the confusion matrix is not {classes} x {classes}")
        if self.seen - self.correct != len(self.wrong):
            raise ValueError(f"{len(self.wrong)} wrong images are not {self.seen} - {self.correct}")
        if list(self.wrong) != sorted(set(self.wrong)) or not all(
            0 <= position < self.seen for position in self.wrong
        ):
            raise ValueError(f"the wrong images are not ascending positions below {self.seen}")
        if sum(bin_.seen for bin_ in self.confidence_bins) != self.seen:
            raise ValueError(f"the confidence bins do not hold {self.seen} images")

    @property
    def correct(self) -> int:
        """Images decided rightly."""
        return sum(row[index] for index, row in enumerate(self.confusion))

    @property
    def seen(self) -> int:
        """Images shown."""
        return sum(map(sum, self.confusion))

    @property
    def counts(self) -> Accuracy:
        """Top-1 accuracy with its interval."""
        return Accuracy(correct=self.correct, seen=self.seen, split=self.split)

    @property
    def value(self) -> float:
        """``correct / seen``, 0..1."""
        return self.counts.value

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval, both ends in 0..1."""
        return self.counts.interval

    @property
    def is_limited(self) -> bool:
        """Whether only a part of the named images was taken."""
        return self.split.endswith("]")

    @property
    def per_class(self) -> tuple[ClassAccuracy, ...]:
        """One accuracy for each class, in the order of the labels."""
        return tuple(
            ClassAccuracy(label=label, correct=row[index], seen=sum(row))
            for index, (label, row) in enumerate(zip(self.label_names, self.confusion, strict=True))
        )

    @property
    def ece(self) -> float:
        """Expected calibration error, 0..1, over the confidence bins."""
        return expected_calibration_error(self.confidence_bins)

    def to_json(self) -> dict[str, Any]:
        """The counts, and what follows from them, as JSON-ready data."""
        return {
            **self.counts.to_json(),
            "limited": self.is_limited,
            "images_sha256": self.images_sha256,
            "label_names": list(self.label_names),
            "per_class": [{**to_document(one), "accuracy": one.value} for one in self.per_class],
            "top_k": {str(k): count for k, count in self.top_k.items()},
            "ece": self.ece,
            "confidence_bins": to_document(self.confidence_bins),
            "confusion": [list(row) for row in self.confusion],
            "wrong": list(self.wrong),
        }


def measure_detailed_accuracy(
    scores: NDArray[np.float32], probabilities: NDArray[np.float64], evaluation: Split
) -> DetailedAccuracy:
    """What a model decided on labelled images.

    Args:
        scores: float32, shape (n, num_classes).
        probabilities: float64, of the same shape, 0..1.
        evaluation: the images that were scored.

    Raises:
        ArtefactError: a score is not a finite number, or a label has no score.
    """
    labels, classes = evaluation.labels, len(evaluation.label_names)
    decided = decisions(scores, labels)
    confusion = np.bincount(labels * classes + decided, minlength=classes * classes)
    confidences = probabilities[np.arange(len(decided)), decided]
    return DetailedAccuracy(
        split=evaluation.name,
        images_sha256=evaluation.sha256(),
        label_names=evaluation.label_names,
        confusion=tuple(tuple(row) for row in confusion.reshape(classes, classes).tolist()),
        wrong=tuple(np.flatnonzero(decided != labels).tolist()),
        top_k={k: _in_top_k(scores, labels, k) for k in TOP_K if k < classes},
        confidence_bins=confidence_bins(confidences, decided == labels),
    )


def _in_top_k(scores: NDArray[np.float32], labels: NDArray[np.int64], k: int) -> int:
    """Images whose class is among the k best; ties rank the lower index first, as decisions do."""
    best = np.argsort(-scores.astype(np.float64), axis=1, kind="stable")[:, :k]
    return int(np.count_nonzero((best == labels[:, np.newaxis]).any(axis=1)))
