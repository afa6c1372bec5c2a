"""The paired test and its interval, against SciPy's and against hand counts."""

import numpy as np
import pytest

from cifar_bench.regression.nonparametric import (
    larger_p,
    paired_larger_p,
    paired_ratio_interval,
    smallest_paired_p,
)

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pairs", [6, 10, 40])
def test_without_ties_the_p_value_is_scipys_exact_one(seed: int, pairs: int) -> None:
    generator = np.random.default_rng(seed)
    ratios = generator.normal(0.1, 0.3, pairs)
    old = np.exp(generator.normal(5, 1, pairs))
    new = old * np.exp(ratios)
    expected = stats.wilcoxon(ratios, alternative="greater", method="exact").pvalue
    assert paired_larger_p(old.tolist(), new.tolist()) == pytest.approx(expected, rel=1e-9)


def test_many_pairs_take_scipys_normal_approximation() -> None:
    generator = np.random.default_rng(7)
    ratios = generator.normal(0.05, 0.3, 80)
    new = np.exp(ratios)
    expected = stats.wilcoxon(
        ratios, alternative="greater", correction=True, method="approx"
    ).pvalue
    assert paired_larger_p([1.0] * 80, new.tolist()) == pytest.approx(expected, rel=1e-9)


def test_ties_are_permuted_exactly_and_equal_pairs_are_left_out() -> None:
    # Ratios 2, 2, 1/2 share rank 2: of the eight choices of signs four give the positives 4 or more.
    assert paired_larger_p([1, 1, 2, 5], [2, 2, 1, 5]) == pytest.approx(4 / 8)
    assert paired_larger_p([1, 2, 3], [1, 2, 3]) == 1


def test_no_p_value_is_smaller_than_that_of_a_gain_in_every_pair() -> None:
    old, new = [100, 200, 300, 400, 500, 600], [101, 203, 306, 409, 512, 616]
    assert paired_larger_p(old, new) == smallest_paired_p(6) == 1 / 64


def test_what_disturbs_both_of_a_pair_hides_nothing() -> None:
    """Rounds that differ by a factor of two, a slowdown of 3 %: paired it is found, unpaired it is not."""
    generator = np.random.default_rng(3)
    old = 100 * np.exp(generator.normal(0, 0.4, 12))
    new = old * 1.03 * np.exp(generator.normal(0, 0.01, 12))
    assert paired_larger_p(old.tolist(), new.tolist()) < 0.001
    assert larger_p(old.tolist(), new.tolist()) > 0.2


def test_the_interval_of_the_factor_holds_it() -> None:
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        old = np.exp(generator.normal(0, 0.5, 12))
        new = 1.2 * old * np.exp(generator.normal(0, 0.05, 12))
        low, high = paired_ratio_interval(old.tolist(), new.tolist())
        held += low <= 1.2 <= high
    assert 180 <= held <= 200


def test_values_without_a_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_larger_p([1, 2], [1])
