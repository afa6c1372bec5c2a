"""Models of whose labels any number may hold: a decision is the set of labels that reach the threshold.

One image is one trial: a set is right where it is all right. So the counts of a comparison, its intervals and its gate
mean the same as with one label an image. Single labels of one image depend on one another, and most of them are
absent from most images: their share would look like 97 % for a model that never says anything. Pure; counts kept as
integers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.accuracy import check_finite
from cifar_eval.parity.counts import Decided, Parity, parity_of

Sets = NDArray[np.bool_]


def sets_from_scores(scores: NDArray[np.floating[Any]], threshold: float) -> Sets:
    """Which labels hold, bool, shape (n, labels): those whose independent probability is the threshold or more.

    Raises:
        ArtefactError: a score is not a finite number.
    """
    check_finite(scores)
    return np.asarray(scores >= threshold)


def right_sets(found: Sets, targets: Sets) -> NDArray[np.bool_]:
    """Whether each set is all right, bool, shape (n,)."""
    return np.asarray((found == targets).all(axis=1))


def parity_from_sets(
    reference: NDArray[np.floating[Any]],
    candidate: NDArray[np.floating[Any]],
    targets: Sets,
    *,
    threshold: float,
) -> Parity:
    """The comparison of two models' independent probabilities of the same images.

    Args:
        reference: float, shape (n, labels), 0..1.
        candidate: float, shape (n, labels), 0..1.
        targets: bool, shape (n, labels), which labels hold.
        threshold: smallest probability of a label that holds.

    Raises:
        ArtefactError: a score is not a finite number.
        ValueError: the shapes do not go together.
    """
    if not reference.shape == candidate.shape == targets.shape:
        raise ValueError(f"{reference.shape}, {candidate.shape} and {targets.shape} do not fit")
    sets = [sets_from_scores(scores, threshold) for scores in (reference, candidate)]
    decided = Decided(
        reference_right=right_sets(sets[0], targets),
        candidate_right=right_sets(sets[1], targets),
        alike=right_sets(*sets),
    )
    return parity_of(decided, reference, candidate)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCounts:
    """What two models say of one label.

    Attributes:
        label: its name.
        holds: images that it holds of.
        reference_found: those of them of which the reference says so.
        reference_wrong: images of which the reference says so wrongly.
        candidate_found: as of the reference.
        candidate_wrong: as of the reference.
    """

    label: str
    holds: int
    reference_found: int
    reference_wrong: int
    candidate_found: int
    candidate_wrong: int

    @property
    def sentence(self) -> str:
        """The candidate's counts in words, and the reference's where they differ."""
        found = self.candidate_found, self.candidate_wrong
        keras = self.reference_found, self.reference_wrong
        other = "" if found == keras else f" (Keras {keras[0]}, {keras[1]})"
        return f"{self.label} found {found[0]} of {self.holds} and wrongly {found[1]}{other}"


def label_counts(
    reference: NDArray[np.floating[Any]],
    candidate: NDArray[np.floating[Any]],
    targets: Sets,
    *,
    threshold: float,
    labels: tuple[str, ...],
) -> tuple[LabelCounts, ...]:
    """The counts of each label, in the order of the scores; see :func:`parity_from_sets`."""
    sets = [sets_from_scores(scores, threshold) for scores in (reference, candidate)]
    holds = targets.sum(axis=0)
    (found, wrong), (own_found, own_wrong) = (
        ((one & targets).sum(axis=0), (one & ~targets).sum(axis=0)) for one in sets
    )
    return tuple(
        LabelCounts(
            label=label,
            holds=int(holds[index]),
            reference_found=int(found[index]),
            reference_wrong=int(wrong[index]),
            candidate_found=int(own_found[index]),
            candidate_wrong=int(own_wrong[index]),
        )
        for index, label in enumerate(labels)
    )
