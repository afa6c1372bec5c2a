"""How likely the truth is found tells contracts apart that decisions alone do not."""

import math

import numpy as np
import pytest

from cifar_eval.intervals import exact_mcnemar_p
from cifar_export.checkpoint.attempt import LEVEL, Attempt
from cifar_export.checkpoint.likelihood import losses_at_best_temperature, paired_p


def test_losses_are_those_of_a_plain_loop_at_the_best_temperature() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(60, 4)).astype(np.float32)
    truth = np.where(random.random(60) < 0.6, logits.argmax(axis=1), random.integers(0, 4, 60))

    def loss(row: int, temperature: float) -> float:
        weights = [math.exp(float(score) / temperature) for score in logits[row]]
        return -math.log(weights[truth[row]] / sum(weights))

    temperatures = [0.1 * 300 ** (step / 2000) for step in range(2001)]
    means = [sum(loss(row, one) for row in range(60)) / 60 for one in temperatures]
    best = temperatures[means.index(min(means))]
    found = losses_at_best_temperature(logits, truth, is_independent=False)
    np.testing.assert_allclose(found, [loss(row, best) for row in range(60)], rtol=0.01)


def test_probabilities_and_their_logits_are_as_likely() -> None:
    random = np.random.default_rng(1)
    logits = random.normal(size=(50, 3)).astype(np.float32)
    truth = random.integers(0, 3, 50)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    both = [
        losses_at_best_temperature(scores, truth, is_independent=False)
        for scores in (logits, probabilities)
    ]
    np.testing.assert_allclose(*both, atol=1e-4)


def test_a_sharper_network_is_not_likelier() -> None:
    random = np.random.default_rng(2)
    logits = random.normal(size=(80, 3)).astype(np.float32)
    truth = random.integers(0, 3, 80)
    ratio = np.float32(300 ** (1 / 11))  # one step of the temperatures that are tried
    losses = [
        losses_at_best_temperature(logits * factor, truth, is_independent=False).mean()
        for factor in (np.float32(1), ratio)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("sharpness", [0.9, 0.95, 1.05, 1.1])
def test_a_network_that_is_a_little_sharper_and_decides_alike_is_no_better_contract(
    sharpness: float,
) -> None:
    """As one without a Rescaling whose first layers normalize: 0..1 and 0..255 differ by an epsilon alone."""
    for seed in range(20):
        random = np.random.default_rng(seed)
        truth = random.integers(0, 10, 400)
        logits = random.normal(size=(400, 10)) * random.uniform(1.0, 4.0)
        logits[np.arange(400), truth] += random.uniform(2.0, 8.0)
        one, other = (
            losses_at_best_temperature(scores.astype(np.float32), truth, is_independent=False)
            for scores in (logits, logits * sharpness)
        )
        assert min(paired_p(one, other), paired_p(other, one)) > 0.1


def test_independent_labels_add_up() -> None:
    scores = np.array([[0.9, 0.2], [0.5, 0.5]], np.float32)
    truth = np.array([[True, False], [True, True]])
    found = losses_at_best_temperature(scores, truth, is_independent=True)
    sharp = 0.1  # both images are right or even, so that the sharpest temperature suits best
    first = math.log1p(9 ** (-1 / sharp)) + math.log1p(4 ** (-1 / sharp))
    np.testing.assert_allclose(found, [first, 2 * math.log(2)], rtol=1e-4)


def test_the_p_value_is_that_of_a_normal_deviate() -> None:
    losses = np.zeros(100)
    others = np.tile([1.0, -0.5], 50)  # mean 0.25, sample deviation 0.7538
    z = 0.25 / (0.75 * math.sqrt(100 / 99) / 10)
    assert paired_p(losses, others) == pytest.approx(math.erfc(z / math.sqrt(2)))
    assert paired_p(others, losses) == 1.0
    assert paired_p(losses[:40], others[:40]) == 1.0


def test_what_decisions_leave_open_likelihood_decides() -> None:
    """74.8 % with 0..255 and 84.0 % with 0..1, on 294 images: so a network of 0..1 was published as passed."""
    right, wrong = np.arange(294) < 247, np.arange(294) < 247
    wrong[:45], wrong[-18:] = False, True
    tries = 36
    assert exact_mcnemar_p(18, 45) * tries > LEVEL
    plain, other = Attempt(correct=right), Attempt(correct=wrong)
    assert not plain.beats(other, tries=tries)
    random = np.random.default_rng(3)
    losses = np.where(right, 0.3, 1.5) + random.normal(0, 0.2, 294)
    likelier = Attempt(correct=right, losses=losses)
    unlikely = Attempt(correct=wrong, losses=losses + random.normal(0.2, 0.3, 294))
    assert likelier.beats(unlikely, tries=tries)
    assert not unlikely.beats(likelier, tries=tries)
