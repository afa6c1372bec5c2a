"""Temperature, calibration error and threshold against SciPy, plain loops and models whose truth is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_eval.calibration_error import confidence_bins, expected_calibration_error
from cifar_eval.confidence import (
    ConfidenceFit,
    abstention_threshold,
    confidences_of,
    first_half,
    fit_confidence,
    fitted_temperature,
    is_answered,
    measure_confidence,
)
from cifar_runtime.contract import OutputContract
from cifar_runtime.errors import ArtefactError
from cifar_runtime.scores import certainties_from_probabilities, probabilities_from_scores

LOGITS = OutputContract(kind="logits", dtype="float32", scale=None, zero_point=None)
PROBABILITIES = replace(LOGITS, kind="probabilities")
INT8 = OutputContract(kind="probabilities", dtype="int8", scale=1 / 256, zero_point=-128)


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def overconfident(count: int, *, truth: float, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Logits, and labels drawn with the probabilities that the logits have at the temperature ``truth``."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=4, size=(count, 4)).astype(np.float32)
    edges = softmax(logits / truth).cumsum(axis=1)
    labels = (random.random((count, 1)) > edges[:, :3]).sum(axis=1)
    return logits, labels


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(truth: float) -> None:
    logits, labels = overconfident(20_000, truth=truth)
    assert fitted_temperature(logits, labels, LOGITS) == pytest.approx(truth, rel=0.03)


@pytest.mark.parametrize(("kind", "truth"), [("logits", 2.5), ("probabilities", 0.6)])
def test_the_minimum_is_the_one_that_scipy_finds(kind: str, truth: float) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    logits, labels = overconfident(500, truth=truth)

    def loss(temperature: float) -> float:
        right = softmax(logits / temperature)[np.arange(500), labels]
        return float(-np.log(right).mean())

    expected = optimize.minimize_scalar(
        loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-8}
    ).x
    scores = logits if kind == "logits" else softmax(logits).astype(np.float32)
    found = fitted_temperature(scores, labels, LOGITS if kind == "logits" else PROBABILITIES)
    assert found == pytest.approx(expected, abs=1e-3 if kind == "probabilities" else 6e-5)


def test_of_decisions_that_are_all_right_the_temperature_promises_no_more_than_their_number() -> (
    None
):
    """Their likelihood rises for ever as the temperature falls: 45 right ones make 46 of 47 likely."""
    logits, _ = overconfident(45, truth=1.0)
    temperature = fitted_temperature(logits, logits.argmax(axis=1), LOGITS)
    assert softmax(logits / temperature).max(axis=1).mean() == pytest.approx(46 / 47, abs=1e-4)


@pytest.mark.parametrize(
    ("output", "truth", "within"),
    # PROBABILITIES: int8 inside, float at its ends, so that no contract says how wide a step is.
    [(INT8, 1.5, 0.1), (INT8, 2.5, 0.15), (PROBABILITIES, 1.5, 0.1)],
)
def test_int8_zeros_do_not_decide_the_temperature(
    output: OutputContract, truth: float, within: float
) -> None:
    """Of scores rounded to 1/256 some right classes' are zero; the float scores' answer stays near."""
    logits, labels = overconfident(5_000, truth=truth)
    steps = np.round(softmax(logits) * 256).clip(0, 255)
    rounded = (steps / 256).astype(np.float32)
    assert np.count_nonzero(rounded[np.arange(5_000), labels] == 0) >= 20
    expected = fitted_temperature(logits, labels, LOGITS)
    assert fitted_temperature(rounded, labels, output) == pytest.approx(expected, rel=within)


def test_a_temperature_takes_away_most_of_the_calibration_error_and_no_decision() -> None:
    logits, labels = overconfident(4_000, truth=2.5)
    worth = measure_confidence(logits, labels, LOGITS, coverage=0.9)
    assert worth.ece_before > 0.1
    assert worth.ece_after < 0.03
    assert worth.nll_after < worth.nll_before
    assert (worth.seen, worth.correct) == (4_000, int((logits.argmax(axis=1) == labels).sum()))
    assert worth.coverage == pytest.approx(0.9, abs=0.02)
    assert worth.selective_accuracy is not None
    assert worth.selective_accuracy > worth.accuracy + 0.02


def test_no_image_measures_what_it_helped_to_choose() -> None:
    """Each half is judged by the temperature and the threshold of the other."""
    logits, labels = overconfident(400, truth=3.0)
    first = first_half(labels)
    right_class, answered = np.empty(400), np.empty(400, dtype=bool)
    for part, other in ((first, ~first), (~first, first)):
        fit = fit_confidence(logits[other], labels[other], LOGITS, coverage=0.9)
        probabilities = softmax(logits[part].astype(np.float64) / fit.temperature)
        right_class[part] = probabilities[np.arange(part.sum()), labels[part]]
        entropy = (probabilities**0.25 * (1 - probabilities) ** 0.25).sum(axis=1)
        certainty = 1 - entropy / (4 * 0.25**0.25 * 0.75**0.25)
        answered[part] = certainty >= fit.abstention_threshold
    worth = measure_confidence(logits, labels, LOGITS, coverage=0.9)
    assert worth.nll_after == pytest.approx(float(-np.log(right_class).mean()), rel=1e-9)
    assert worth.answered == np.count_nonzero(answered)
    assert worth.answered != 360  # as it would be, were the threshold judged by its own images


def test_the_calibration_error_is_that_of_a_loop_over_bins() -> None:
    random = np.random.default_rng(1)
    confidences = np.concatenate([random.random(300), [0.0, 1.0, 1 / 15, 2 / 15]])
    right = random.random(304) < confidences
    expected = 0.0
    for number in range(15):
        inside = (confidences > number / 15) & (confidences <= (number + 1) / 15)
        inside |= (confidences == 0) & (number == 0)
        if inside.any():
            gap = abs(right[inside].mean() - confidences[inside].mean())
            expected += inside.sum() / 304 * gap
    bins = confidence_bins(confidences, right)
    assert len(bins) == 15
    assert expected_calibration_error(bins) == pytest.approx(expected, abs=1e-12)


def test_a_model_that_is_right_as_often_as_it_says_has_no_calibration_error() -> None:
    confidences = np.array([0.75] * 4 + [0.5] * 2)
    right = np.array([True, True, True, False, True, False])
    assert expected_calibration_error(confidence_bins(confidences, right)) == 0
    assert expected_calibration_error(confidence_bins(confidences, ~right)) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="no image"):
        expected_calibration_error(())


@pytest.mark.parametrize(
    ("confidences", "coverage", "expected"),
    [
        ([0.9, 0.8, 0.6, 0.4], 0.5, 0.7),  # midway between the last answered and the next
        ([0.9, 0.8, 0.6, 0.4], 0.51, 0.5),  # never below the coverage
        ([0.9, 0.8, 0.6, 0.4], 1.0, 0.0),
        ([0.9, 0.5, 0.5, 0.5], 0.5, 0.0),  # equal ones are answered alike
        ([0.9, 0.9, 0.9, 0.5], 0.5, 0.7),
        ([0.30001, 0.30002], 0.5, 0.300015),  # closer than four decimals
    ],
)
def test_the_threshold_leaves_the_stated_share_its_answer(
    confidences: list[float], coverage: float, expected: float
) -> None:
    found = abstention_threshold(np.array(confidences), coverage=coverage)
    assert found == pytest.approx(expected, abs=1e-12)
    assert np.mean(np.array(confidences) >= found) >= coverage


def test_95_percent_of_a_thousand_images_are_950() -> None:
    threshold = abstention_threshold(np.arange(1, 1001) / 1000, coverage=0.95)
    assert np.count_nonzero(np.arange(1, 1001) / 1000 >= threshold) == 950


@pytest.mark.parametrize(("count", "coverage"), [(0, 0.9), (3, 0.0), (3, 1.1)])
def test_no_images_and_no_coverage_have_no_threshold(count: int, coverage: float) -> None:
    with pytest.raises(ValueError, match="no threshold covers"):
        abstention_threshold(np.ones(count), coverage=coverage)


def test_what_is_fitted_is_what_the_runtime_then_does() -> None:
    logits, labels = overconfident(1_000, truth=2.0)
    fit = fit_confidence(logits, labels, LOGITS, coverage=0.8)
    contract = fit.applied_to(LOGITS)
    shown = probabilities_from_scores(logits, contract).max(axis=1)
    np.testing.assert_array_equal(confidences_of(logits, contract), shown)
    certainties = certainties_from_probabilities(
        probabilities_from_scores(logits, contract), contract
    )
    assert np.count_nonzero(certainties >= fit.abstention_threshold) == 800
    np.testing.assert_array_equal(
        is_answered(logits, LOGITS, fit), certainties >= fit.abstention_threshold
    )
    assert fit == ConfidenceFit(
        temperature=contract.temperature or 0.0,
        abstention_threshold=contract.abstention_threshold or 0.0,
        abstention_score=contract.abstention_score,
    )


def test_halves_take_turns_within_each_class() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 0])
    assert first_half(labels).tolist() == [True, False, True, True, False, True, False]
    with pytest.raises(ValueError, match="make no two halves"):
        first_half(np.array([2, 0, 1]))


def test_scores_that_are_no_numbers_are_refused() -> None:
    scores = np.full((4, 2), np.nan, np.float32)
    with pytest.raises(ArtefactError, match="not all finite numbers"):
        fit_confidence(scores, np.array([0, 1, 0, 1]), LOGITS, coverage=0.9)
