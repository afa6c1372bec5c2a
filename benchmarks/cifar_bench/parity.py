"""Two models compared on the same labelled images, and the gate that makes it pass or fail.

Pure: scores in, counts and verdicts out. Counts are kept as integers; rates and intervals follow
    from them.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cifar_bench.accuracy import decisions
from cifar_bench.statistics import exact_mcnemar_p, paired_difference_interval

GateName = Literal["accuracy_drop", "agreement", "accuracy"]

_TEN_THOUSANDTHS = 10_000


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
            **asdict(self),
            "agreement": self.agreement,
            "accuracy_drop": self.accuracy_drop,
            "accuracy_drop_interval_95": list(self.accuracy_drop_interval),
            "mcnemar_p": self.mcnemar_p,
        }


def parity_from_json(document: Mapping[str, Any]) -> Parity:
    """The parity that ``to_json`` wrote; derived figures are not read."""
    return Parity(**{field: document[field] for field in Parity.__dataclass_fields__})


def parity_from_scores(
    reference: NDArray[np.float32], candidate: NDArray[np.float32], labels: NDArray[np.uint8]
) -> Parity:
    """The comparison of two models' scores of the same images.

    Args:
        reference: float32, shape (n, num_classes).
        candidate: float32, shape (n, num_classes).
        labels: uint8, shape (n,).

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
    reference_right, candidate_right = reference_decisions == labels, candidate_decisions == labels
    error = np.abs(reference.astype(np.float64) - candidate.astype(np.float64))
    return Parity(
        reference_correct=int(np.count_nonzero(reference_right)),
        candidate_correct=int(np.count_nonzero(candidate_right)),
        agreeing=int(np.count_nonzero(reference_decisions == candidate_decisions)),
        flips_to_wrong=int(np.count_nonzero(reference_right & ~candidate_right)),
        flips_to_right=int(np.count_nonzero(candidate_right & ~reference_right)),
        seen=len(labels),
        max_score_error=float(error.max()),
        mean_score_error=float(error.mean()),
        sqnr_db=_sqnr_db(reference, error),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a candidate must hold; every figure is a share, 0.005 being half a percentage point.

    Attributes:
        max_accuracy_drop: largest allowed ``accuracy_drop``.
        min_agreement: smallest allowed ``agreement``.
        min_accuracy: smallest allowed accuracy of the candidate; None for no floor.
    """

    max_accuracy_drop: float = 0.005
    min_agreement: float = 0.96
    min_accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One limit, applied.

    Attributes:
        name: what was limited.
        value: the measured share.
        limit: the stated share.
        passed: whether the value keeps the limit; reaching it exactly passes.
        passing_limit: the strictest limit, in whole hundredths of a percent, that would have
            passed.
    """

    name: GateName
    value: float
    limit: float
    passed: bool
    passing_limit: float

    @property
    def sentence(self) -> str:
        """The verdict in words, with percent to two decimals."""
        bound = "at most" if self.name == "accuracy_drop" else "at least"
        what = f"{self.name.replace('_', ' ')} {self.value:.2%}, limit {bound} {self.limit:.2%}"
        if self.passed:
            return f"{what}: passed"
        return f"{what}: failed ({self.passing_limit:.2%} would have passed)"


def judge(parity: Parity, limits: Limits) -> tuple[Gate, ...]:
    """One gate for each stated limit: drop, agreement, and accuracy when it has a floor."""
    lost = parity.reference_correct - parity.candidate_correct
    gates = [
        Gate(
            name="accuracy_drop",
            value=parity.accuracy_drop,
            limit=limits.max_accuracy_drop,
            passed=parity.accuracy_drop <= limits.max_accuracy_drop,
            passing_limit=-_floored(-lost, parity.seen),
        ),
        _floor_gate("agreement", parity.agreeing, parity.seen, limits.min_agreement),
    ]
    if limits.min_accuracy is not None:
        gates.append(
            _floor_gate("accuracy", parity.candidate_correct, parity.seen, limits.min_accuracy)
        )
    return tuple(gates)


def _floor_gate(name: GateName, count: int, seen: int, limit: float) -> Gate:
    return Gate(
        name=name,
        value=count / seen,
        limit=limit,
        passed=count / seen >= limit,
        passing_limit=_floored(count, seen),
    )


def _floored(count: int, seen: int) -> float:
    """``count / seen`` rounded down to hundredths of a percent, in integers: never up."""
    return (count * _TEN_THOUSANDTHS // seen) / _TEN_THOUSANDTHS


def _sqnr_db(reference: NDArray[np.float32], error: NDArray[np.float64]) -> float | None:
    """Signal power over noise power in decibels, 10 log10(sum r^2 / sum e^2); None without noise.

    Source: A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing, 3rd edition, section
        4.8.3.
    """
    noise = float(np.square(error).sum())
    signal = float(np.square(reference.astype(np.float64)).sum())
    if noise == 0:
        return None
    return 10 * math.log10(max(signal, np.finfo(np.float64).tiny) / noise)
