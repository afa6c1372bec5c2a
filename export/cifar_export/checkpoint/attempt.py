"""Ways to read a checkpoint, compared on labelled images: which is right more often, beyond chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_eval.intervals import exact_mcnemar_p
from cifar_eval.label_sets import sets_from_scores
from cifar_export.checkpoint.likelihood import Losses, paired_p

MAX_IMAGES = 400
LEVEL = 0.001
"""The probability that any of the tries together beats a right contract by chance (Bonferroni)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One way, and what comes of it.

    Attributes:
        correct: bool, shape (n,), whether each image is decided rightly.
        losses: how unlikely it finds the truth, float64, shape (n,); None: right and wrong decide alone.
    """

    correct: NDArray[np.bool_]
    losses: Losses | None = None

    @property
    def percent(self) -> str:
        """The top-1 accuracy for people."""
        return f"{100 * self.correct.mean():.1f} %"

    def beats(self, other: Self, *, tries: int) -> bool:
        """Whether it decides more of the images rightly than another way, as one of so many tries.

        More, or as many, and beyond chance: by the decisions, or by how likely the truth was found.

        Source: Q. McNemar, Note on the sampling error of the difference between correlated proportions,
        Psychometrika 12 (1947); the exact binomial form.
        """
        losses = int(np.count_nonzero(other.correct & ~self.correct))
        gains = int(np.count_nonzero(self.correct & ~other.correct))
        if gains < losses:
            return False
        p = exact_mcnemar_p(losses, gains) if gains > losses else 1.0
        if self.losses is not None and other.losses is not None:
            p = min(p, paired_p(self.losses, other.losses))
        return p * tries <= LEVEL

    def can_be_beaten(self, *, tries: int) -> bool:
        """Whether so many of the images are decided wrongly that any other way could be better beyond chance."""
        return exact_mcnemar_p(0, int(np.count_nonzero(~self.correct))) * tries <= LEVEL


Decisions = NDArray[np.int64] | NDArray[np.bool_]
"""The class of each image, shape (n,), or which labels hold of it, bool, shape (n, labels)."""


def decider(threshold: float | None) -> Callable[[NDArray[np.float32]], Decisions]:
    """What makes decisions of scores: the best class, or the labels that reach a threshold."""
    if threshold is None:
        return lambda scores: np.asarray(scores.argmax(axis=1), np.int64)
    return lambda scores: sets_from_scores(scores, threshold)


def truth_of(split: Split) -> Decisions:
    """The right decisions on a split's images."""
    return split.labels if split.targets is None else split.targets


def is_right(decided: Decisions, truth: Decisions) -> NDArray[np.bool_]:
    """Whether each decision is, bool, shape (n,)."""
    equal = decided == truth
    return np.asarray(equal if equal.ndim == 1 else equal.all(axis=1))


Way = TypeVar("Way", bound=Attempt)


def likeliest(ways: Sequence[Way]) -> Way:
    """The first of those that no other beats beyond chance: a network fed 0..1 may do as well with torch's range.

    Args:
        ways: the commonest first.
    """
    best = max(ways, key=lambda way: way.correct.sum())
    return next(way for way in ways if not best.beats(way, tries=1))
