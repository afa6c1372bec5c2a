"""The rank test and its interval, against SciPy's and against hand counts."""

import numpy as np
import pytest

from cifar_bench.regression.nonparametric import larger_p, ratio_interval, smallest_p

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("num_old", "num_new"), [(4, 4), (10, 10), (10, 25)])
def test_without_ties_the_p_value_is_scipys_exact_one(
    seed: int, num_old: int, num_new: int
) -> None:
    generator = np.random.default_rng(seed)
    old, new = generator.normal(size=num_old), generator.normal(0.5, size=num_new)
    expected = stats.mannwhitneyu(new, old, alternative="greater", method="exact").pvalue
    assert larger_p(old.tolist(), new.tolist()) == pytest.approx(expected, rel=1e-9)


def test_many_values_take_scipys_normal_approximation_with_ties() -> None:
    generator = np.random.default_rng(7)
    old, new = generator.integers(100, 130, 60), generator.integers(104, 134, 70)
    expected = stats.mannwhitneyu(new, old, alternative="greater", method="asymptotic").pvalue
    assert larger_p(old.tolist(), new.tolist()) == pytest.approx(expected, rel=1e-9)


def test_ties_are_permuted_exactly() -> None:
    # Of the six ways to choose two of the ranks 1.5, 1.5, 3, 4, one sums to 7 or more, two to 5.5.
    assert larger_p([1, 1], [2, 3]) == pytest.approx(1 / 6)
    assert larger_p([1, 2], [1, 3]) == pytest.approx(3 / 6)
    assert larger_p([5, 5, 5], [5, 5, 5]) == 1


def test_no_p_value_is_smaller_than_that_of_complete_separation() -> None:
    assert smallest_p(4, 4) == 1 / 70
    assert larger_p([1, 2, 3, 4], [5, 6, 7, 8]) == pytest.approx(1 / 70)


def test_the_interval_of_the_factor_holds_it() -> None:
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        old, new = (
            np.exp(generator.normal(0, 0.05, 10)),
            1.2 * np.exp(generator.normal(0, 0.05, 10)),
        )
        low, high = ratio_interval(old.tolist(), new.tolist())
        held += low <= 1.2 <= high
    assert 180 <= held <= 200


def test_nothing_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="0 old and 1 new"):
        larger_p([], [1])
