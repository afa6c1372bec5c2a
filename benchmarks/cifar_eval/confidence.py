"""Probabilities that mean something: a temperature, a threshold below which a model abstains, and what both are worth.

Pure: scores in, numbers out. What a temperature does to scores is the runtime's to say
(:func:`cifar_runtime.scores.probabilities_from_scores`): here it is only chosen.

**Which images measure.** The temperature and the threshold that an artefact gets are fitted on all the images
given. What they are worth is measured by cross-fitting: each half of the images is judged by a temperature and
a threshold that were fitted on the other half, so no image measures what it helped to choose.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.accuracy import decisions
from cifar_eval.calibration_error import confidence_bins, expected_calibration_error
from cifar_runtime.contract import AbstentionScore, OutputContract
from cifar_runtime.documents import to_document
from cifar_runtime.scores import certainties_from_probabilities, probabilities_from_scores

Scores = NDArray[np.float32]
Labels = NDArray[np.integer[Any]]

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
_DECIMALS = 4
_GOLDEN = (math.sqrt(5) - 1) / 2
_STEPS = 60
_ABSTENTION_SCORE: AbstentionScore = "generalized-entropy"
_SMALLEST = np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceFit:
    """What is written into a contract.

    Attributes:
        temperature: what logits are divided by before the softmax.
        abstention_threshold: smallest certainty, at that temperature, of a sure answer.
        abstention_score: what certainty is.
    """

    temperature: float
    abstention_threshold: float
    abstention_score: AbstentionScore

    def applied_to(self, output: OutputContract) -> OutputContract:
        """The contract with the temperature, the threshold and its score."""
        return replace(
            output,
            temperature=self.temperature,
            abstention_threshold=self.abstention_threshold,
            abstention_score=self.abstention_score,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceWorth:
    """What fitting is worth, measured by cross-fitting.

    Attributes:
        seen: images.
        correct: decided rightly, whether answered or not.
        answered: images with a sure answer.
        answered_correct: those among them that are decided rightly.
        ece_before: expected calibration error of the scores as the model gives them, 0..1.
        ece_after: the same at the temperature that the other half chose.
        nll_before: mean negative log-likelihood of the right class, in nats; zeros as in the fit.
        nll_after: the same at that temperature.
    """

    seen: int
    correct: int
    answered: int
    answered_correct: int
    ece_before: float
    ece_after: float
    nll_before: float
    nll_after: float

    def __post_init__(self) -> None:
        if not 0 <= self.answered_correct <= self.answered <= self.seen or not self.seen:
            raise ValueError(
                f"{self.answered_correct} of {self.answered} of {self.seen} are not counts"
            )

    @property
    def accuracy(self) -> float:
        """The share of all images that are decided rightly, 0..1."""
        return self.correct / self.seen

    @property
    def coverage(self) -> float:
        """The share of images with a sure answer, 0..1."""
        return self.answered / self.seen

    @property
    def selective_accuracy(self) -> float | None:
        """The share of sure answers that are right, 0..1; None where nothing is answered."""
        return self.answered_correct / self.answered if self.answered else None

    def to_json(self) -> dict[str, Any]:
        """The counts, and what follows from them, as JSON-ready data."""
        return to_document(self, "accuracy", "coverage", "selective_accuracy")


def fit_confidence(
    scores: Scores, labels: Labels, output: OutputContract, *, coverage: float
) -> ConfidenceFit:
    """The temperature, and the threshold that leaves a share of these images their answer.

    Args:
        scores: float32, shape (n, num_classes), in real units.
        labels: integer, shape (n,), the right classes.
        output: how the scores become probabilities; its own temperature is not used.
        coverage: smallest share of the images that keep an answer, above 0, up to 1.

    Raises:
        ArtefactError: a score is not a finite number, or a label has no score.

    Example:
        >>> from cifar_data.packaged import test_sample
        >>> from cifar_eval import fit_confidence, open_model
        >>> from cifar_runtime.artefact import open_artefact
        >>> from cifar_runtime.classifier import default_model
        >>> split, output = test_sample(), open_artefact(default_model("tflite")).contract.output
        >>> scores = open_model(default_model("tflite")).scores(split.images)
        >>> fit = fit_confidence(scores, split.labels, output, coverage=0.9)
        >>> 0.5 < fit.temperature < 2 and 0 < fit.abstention_threshold < 1
        True
    """
    decisions(scores, labels)  # checks both
    temperature = fitted_temperature(scores, labels, output)
    fitted = replace(output, temperature=temperature, abstention_score=_ABSTENTION_SCORE)
    return ConfidenceFit(
        temperature=temperature,
        abstention_threshold=abstention_threshold(
            certainties_of(scores, fitted), coverage=coverage
        ),
        abstention_score=_ABSTENTION_SCORE,
    )


def measure_confidence(
    scores: Scores, labels: Labels, output: OutputContract, *, coverage: float
) -> ConfidenceWorth:
    """What fitting on such images is worth on others; arguments as of :func:`fit_confidence`.

    Raises:
        ArtefactError: a score is not a finite number, or a label has no score.
        ValueError: there are not two images of any class to make halves of.
    """
    plain = replace(output, temperature=None, abstention_threshold=None)
    right = decisions(scores, labels) == labels
    first = first_half(labels)
    confidences = np.empty(len(labels), dtype=np.float64)
    answered, nll = np.empty(len(labels), dtype=bool), 0.0
    for fitting, measuring in ((first, ~first), (~first, first)):
        fit = fit_confidence(scores[fitting], labels[fitting], output, coverage=coverage)
        confidences[measuring] = confidences_of(scores[measuring], fit.applied_to(plain))
        answered[measuring] = is_answered(scores[measuring], plain, fit)
        likelihood = _likelihood_loss(scores[measuring], labels[measuring], plain)
        nll += likelihood(fit.temperature) * int(np.count_nonzero(measuring))
    return ConfidenceWorth(
        seen=len(labels),
        correct=int(np.count_nonzero(right)),
        answered=int(np.count_nonzero(answered)),
        answered_correct=int(np.count_nonzero(answered & right)),
        ece_before=_ece(confidences_of(scores, plain), right),
        ece_after=_ece(confidences, right),
        nll_before=_likelihood_loss(scores, labels, plain)(1.0),
        nll_after=nll / len(labels),
    )


def confidences_of(scores: Scores, output: OutputContract) -> NDArray[np.float64]:
    """The probability of each decision, float64, shape (n,), as the runtime shows it."""
    return np.asarray(probabilities_from_scores(scores, output).max(axis=1))


def certainties_of(scores: Scores, output: OutputContract) -> NDArray[np.float64]:
    """What the runtime compares with the threshold, float64, shape (n,), 0..1."""
    return certainties_from_probabilities(probabilities_from_scores(scores, output), output)


def is_answered(scores: Scores, output: OutputContract, fit: ConfidenceFit) -> NDArray[np.bool_]:
    """Which images get a sure answer with such a fit, bool, shape (n,)."""
    return np.asarray(certainties_of(scores, fit.applied_to(output)) >= fit.abstention_threshold)


def fitted_temperature(scores: Scores, labels: Labels, output: OutputContract) -> float:
    """The temperature with the smallest negative log-likelihood, to four decimals, 0.05 to 20.

    The loss is convex in 1 / temperature, so a golden-section search finds its minimum. A right class whose
    score is zero has no logarithm; it counts as a quarter of the smallest positive score seen, which for
    quantized scores is the middle of what was rounded to zero.

    Where every decision is right, the likelihood rises for as long as the temperature falls. The temperature is then
    the one whose mean probability of a decision is what so many right ones out of as many make likely for the next,
    (n + 1) / (n + 2), which is Laplace's rule of succession.

    Source: C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks",
        ICML 2017, section 4.2; J. Kiefer, "Sequential minimax search for a maximum", Proceedings of the
        American Mathematical Society 4 (1953) 502-506.
    """
    if np.array_equal(decisions(scores, labels), labels):
        loss = _distance_from_succession(scores, output)
    else:
        loss = _likelihood_loss(scores, labels, output)

    def of_inverse(inverse: float) -> float:
        return loss(1 / inverse)

    inverse = _golden_section(of_inverse, 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE)
    return round(1 / inverse, _DECIMALS)


def abstention_threshold(certainties: NDArray[np.float64], *, coverage: float) -> float:
    """The largest threshold that leaves at least a share of the images their answer; 0 where that is all.

    It lies midway between two certainties that occur, so that the last digit of a probability, which differs
    from machine to machine, decides nothing.

    Args:
        certainties: float64, shape (n,), 0..1.
        coverage: above 0, up to 1.

    Raises:
        ValueError: there are no certainties, or the coverage is no such share.
    """
    if not len(certainties) or not 0 < coverage <= 1:
        raise ValueError(f"no threshold covers {coverage} of {len(certainties)} images")
    # The tolerance keeps 0.95 of 1,000 images at 950.
    kept = math.ceil(coverage * len(certainties) - 1e-9)
    last = np.sort(certainties)[::-1][kept - 1]
    below = certainties[certainties < last]
    if not len(below):
        return 0.0
    middle = (float(last) + float(below.max())) / 2
    rounded = round(middle, _DECIMALS)
    return rounded if below.max() < rounded <= last else middle


def first_half(labels: Labels) -> NDArray[np.bool_]:
    """Which images are the first half, bool, shape (n,): in turns within each class.

    Raises:
        ValueError: a half would be empty.
    """
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        chosen[np.flatnonzero(labels == label)[::2]] = True
    if chosen.all() or not chosen.any():
        raise ValueError(f"{len(labels)} images of as many classes make no two halves")
    return chosen


def _likelihood_loss(
    scores: Scores, labels: Labels, output: OutputContract
) -> Callable[[float], float]:
    """The mean negative log-likelihood of the right classes, in nats, as a function of the temperature."""
    certain = replace(output, temperature=1.0, abstention_threshold=None)
    probabilities = probabilities_from_scores(scores, certain)
    logits = np.log(np.maximum(probabilities, _SMALLEST))
    right = np.maximum(logits[np.arange(len(labels)), labels], np.log(_least(scores, output)))

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        highest = scaled.max(axis=1)
        totals = highest + np.log(np.exp(scaled - highest[:, np.newaxis]).sum(axis=1))
        return float((totals - right / temperature).mean())

    return loss


def _distance_from_succession(scores: Scores, output: OutputContract) -> Callable[[float], float]:
    """How far the mean probability of a decision is from (n + 1) / (n + 2), as a function of the temperature."""
    likely = (len(scores) + 1) / (len(scores) + 2)

    def distance(temperature: float) -> float:
        tempered = replace(output, temperature=temperature, abstention_threshold=None)
        return abs(float(confidences_of(scores, tempered).mean()) - likely)

    return distance


def _least(scores: Scores, output: OutputContract) -> float:
    """What a score of zero stands for; see :func:`fitted_temperature`."""
    positive = scores[scores > 0]
    if output.kind == "logits" or not len(positive):
        return float(_SMALLEST)
    return max(float(positive.min()) / 4, float(_SMALLEST))


def _golden_section(unimodal: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls, then rises, is smallest between ``low`` and ``high``."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = unimodal(left), unimodal(right)
    for _ in range(_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = unimodal(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = unimodal(right)
    return (low + high) / 2


def _ece(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    return expected_calibration_error(confidence_bins(confidences, right))
