"""How accuracy holds when images are corrupted: decisions of several models on the same damaged images.

Counts are kept as integers; rates follow from them. Corruptions and their parameters: ``corruptions``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.accuracy import decisions
from cifar_eval.robustness.corruptions import CORRUPTIONS, NUM_SEVERITIES, CorruptionName, corrupted
from cifar_runtime.progress import Progress, counter_of

Score = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One corruption at one severity."""

    corruption: CorruptionName
    severity: int


CONDITIONS: tuple[Condition, ...] = tuple(
    Condition(corruption=one.name, severity=severity)
    for one in CORRUPTIONS
    for severity in range(1, NUM_SEVERITIES + 1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What one model decides, on the images as they are and under every condition.

    Attributes:
        clean: int64, shape (n,), indices of labels.
        corrupted: int64, shape (conditions, n), in the order of ``CONDITIONS``.
    """

    clean: NDArray[np.int64]
    corrupted: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptionCounts:
    """One model under one corruption.

    Attributes:
        name: the corruption.
        correct: images decided rightly, for each severity, the mildest first.
        agreeing: images decided as the reference decides the same damaged image; None for the reference.
    """

    name: CorruptionName
    correct: tuple[int, ...]
    agreeing: tuple[int, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness:
    """One model under all corruptions.

    Attributes:
        seen: images, the same under every condition.
        clean_correct: those decided rightly without damage.
        corruptions: the counts under each corruption.
    """

    seen: int
    clean_correct: int
    corruptions: tuple[CorruptionCounts, ...]

    @property
    def clean_accuracy(self) -> float:
        """Accuracy without damage, 0..1."""
        return self.clean_correct / self.seen

    @property
    def corrupted_accuracy(self) -> float:
        """Mean accuracy over all corruptions and severities, 0..1."""
        correct = sum(sum(one.correct) for one in self.corruptions)
        return correct / (self.seen * NUM_SEVERITIES * len(self.corruptions))

    def to_json(self) -> dict[str, Any]:
        """The counts, and what follows from them, as JSON-ready data."""
        return {
            "seen": self.seen,
            "clean_correct": self.clean_correct,
            "clean_accuracy": self.clean_accuracy,
            "corrupted_accuracy": self.corrupted_accuracy,
            "corruptions": [
                {
                    "name": one.name,
                    "correct": list(one.correct),
                    "accuracy": [correct / self.seen for correct in one.correct],
                    "agreeing": None if one.agreeing is None else list(one.agreeing),
                }
                for one in self.corruptions
            ],
        }


def decisions_of(
    models: Sequence[Score],
    images: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    *,
    seed: int,
    progress: Progress | None = None,
) -> tuple[Decisions, ...]:
    """What each model decides; every model sees the same damaged images.

    Args:
        models: give scores, shape (n, num_classes), of such images.
        images: uint8, shape (n, height, width, 3), RGB, 0..255.
        labels: integer, shape (n,).
        seed: of the damage.
        progress: takes a sentence whenever a corruption begins.

    Raises:
        ArtefactError: a model fails, or its scores are not numbers.
    """
    clean = [decisions(score(images), labels) for score in models]
    rows: list[list[NDArray[np.int64]]] = [[] for _ in models]
    count = counter_of(progress)
    for number, condition in enumerate(CONDITIONS):
        if progress is not None and condition.severity == 1:
            progress(f"{condition.corruption.replace('_', ' ')}, {len(labels):,} images")
        count(number % NUM_SEVERITIES, NUM_SEVERITIES)
        damaged = corrupted(images, condition.corruption, condition.severity, seed=seed)
        for row, score in zip(rows, models, strict=True):
            row.append(decisions(score(damaged), labels))
    return tuple(
        Decisions(clean=decided, corrupted=np.stack(row))
        for decided, row in zip(clean, rows, strict=True)
    )


def robustness_from_decisions(
    decided: Decisions, labels: NDArray[np.integer[Any]], *, reference: Decisions | None
) -> Robustness:
    """The counts of one model.

    Args:
        decided: by the model.
        labels: integer, shape (n,), the right classes.
        reference: by the model that it is compared with; None for that model itself.
    """
    correct = np.count_nonzero(decided.corrupted == labels, axis=1)
    agreeing = (
        None
        if reference is None
        else np.count_nonzero(decided.corrupted == reference.corrupted, axis=1)
    )
    return Robustness(
        seen=len(labels),
        clean_correct=int(np.count_nonzero(decided.clean == labels)),
        corruptions=tuple(
            CorruptionCounts(
                name=one.name,
                correct=_of(correct, index),
                agreeing=None if agreeing is None else _of(agreeing, index),
            )
            for index, one in enumerate(CORRUPTIONS)
        ),
    )


def _of(counts: NDArray[np.intp], corruption: int) -> tuple[int, ...]:
    first = corruption * NUM_SEVERITIES
    return tuple(int(count) for count in counts[first : first + NUM_SEVERITIES])
