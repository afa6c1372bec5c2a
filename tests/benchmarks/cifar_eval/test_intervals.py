"""Formulas against published examples and independent computations."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from cifar_eval.intervals import (
    exact_mcnemar_p,
    median_interval,
    paired_difference_interval,
    percentile,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_interval_is_the_published_one(
    successes: int, trials: int, expected: tuple[float, float]
) -> None:
    assert wilson_interval(successes, trials) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("correct", [0, 1, 500, 6591, 9999, 10_000])
def test_wilson_ends_are_the_rates_at_which_the_observation_is_196_errors_away(
    correct: int,
) -> None:
    observed = correct / 10_000
    for end in wilson_interval(correct, 10_000):
        if end not in (0.0, 1.0):
            error = (end * (1 - end) / 10_000) ** 0.5
            assert abs(observed - end) / error == pytest.approx(1.959964, rel=1e-5)


def test_wilson_interval_mirrors_when_success_and_failure_swap() -> None:
    low, high = wilson_interval(30, 1000)
    assert wilson_interval(970, 1000) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_interval_refuses_what_is_no_proportion(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        wilson_interval(successes, trials)


def test_paired_interval_is_the_published_one() -> None:
    # M. W. Fagerland, S. Lydersen, P. Laake, Statistics in Medicine 33 (2014) 2850-2875: airway
    # hyper-responsiveness, cells 1, 1, 7, 12; Tango's interval is (-0.517, -0.026).
    assert paired_difference_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize(
    ("losses", "gains", "pairs"),
    [(40, 20, 160), (1, 0, 1000), (5, 2, 1000), (0, 3, 1000), (37, 21, 10_000), (90, 3, 10_000)],
)
def test_paired_interval_ends_solve_the_closed_form_quartic(
    losses: int, gains: int, pairs: int
) -> None:
    """Z. Yang, X. Sun, J. W. Hardin, Statistics in Medicine 32 (2013): Tango's ends are two of its four roots."""
    g, difference, changes = 1.959963984540054**2, losses - gains, losses + gains
    quartic = [
        pairs**2 * (pairs / g + 1) ** 2,
        -pairs * difference * (pairs / g + 1) * (4 * pairs / g + 1),
        2 * pairs * difference**2 * (3 * pairs / g + 2) / g - pairs**2 * (changes / g + 1),
        pairs * difference * (2 * changes / g + 1) - difference**3 * (4 * pairs / g + 1) / g,
        difference**2 * (difference**2 / g - changes) / g,
    ]
    roots = np.sort(np.roots(quartic).real)
    assert paired_difference_interval(losses, gains, pairs) == pytest.approx(
        (roots[0], roots[-1]), abs=1e-8
    )


def test_paired_interval_without_any_change_is_not_of_width_zero() -> None:
    bound = 1.959963984540054**2 / (1000 + 1.959963984540054**2)
    assert paired_difference_interval(0, 0, 1000) == pytest.approx((-bound, bound))


def test_paired_interval_mirrors_when_losses_and_gains_swap() -> None:
    low, high = paired_difference_interval(9, 4, 500)
    assert paired_difference_interval(4, 9, 500) == pytest.approx((-high, -low))


def test_paired_interval_covers_the_true_difference_about_95_times_in_100() -> None:
    """Exact coverage, every outcome of 60 pairs enumerated: rates of loss 0.06 and gain 0.02."""
    pairs, loss_rate, gain_rate = 60, 0.06, 0.02
    covered = 0.0
    for losses in range(20):
        for gains in range(20):
            low, high = paired_difference_interval(losses, gains, pairs)
            if low <= loss_rate - gain_rate <= high:
                ways = comb(pairs, losses) * comb(pairs - losses, gains)
                rest = pairs - losses - gains
                covered += ways * loss_rate**losses * gain_rate**gains * 0.92**rest
    assert 0.93 < covered < 0.98


@pytest.mark.parametrize(("losses", "gains", "pairs"), [(0, 0, 0), (-1, 0, 5), (3, 3, 5)])
def test_paired_interval_refuses_counts_that_do_not_fit(
    losses: int, gains: int, pairs: int
) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        paired_difference_interval(losses, gains, pairs)


@pytest.mark.parametrize(
    ("losses", "gains", "published"),
    [
        # M. W. Fagerland, S. Lydersen, P. Laake, BMC Medical Research Methodology 13:91 (2013).
        (1, 7, 0.0703),
        (6, 16, 0.0525),
        (16, 6, 0.0525),
    ],
)
def test_exact_mcnemar_is_the_published_one(losses: int, gains: int, published: float) -> None:
    assert exact_mcnemar_p(losses, gains) == pytest.approx(published, abs=5e-5)


@pytest.mark.parametrize(("losses", "gains"), [(0, 0), (5, 5), (12, 3), (700, 900)])
def test_exact_mcnemar_is_the_enumerated_probability_of_outcomes_as_extreme(
    losses: int, gains: int
) -> None:
    changes, distance = losses + gains, abs(losses - gains)
    extreme = sum(comb(changes, k) for k in range(changes + 1) if abs(changes - 2 * k) >= distance)
    assert exact_mcnemar_p(losses, gains) == pytest.approx(float(Fraction(extreme, 2**changes)))


@pytest.mark.parametrize(
    ("samples", "percent", "expected"),
    [
        ([15, 20, 35, 40, 50], 5, 15),  # Wikipedia, "Percentile", the nearest-rank example
        ([15, 20, 35, 40, 50], 30, 20),
        ([15, 20, 35, 40, 50], 40, 20),
        ([15, 20, 35, 40, 50], 50, 35),
        ([15, 20, 35, 40, 50], 100, 50),
        ([4, 1, 3, 2], 50, 2),
        ([7], 99, 7),
        (list(range(1, 101)), 99, 99),
        (list(range(1, 1001)), 99, 990),
    ],
)
def test_percentile_is_the_nearest_rank(samples: list[int], percent: int, expected: int) -> None:
    assert percentile(samples, percent) == expected


@pytest.mark.parametrize(("samples", "percent"), [([], 50), ([1], 0), ([1], 101)])
def test_percentile_refuses_what_has_none(samples: list[int], percent: int) -> None:
    with pytest.raises(ValueError, match="percentile of"):
        percentile(samples, percent)


@pytest.mark.parametrize("count", [1, 5, 6, 8, 9, 10, 12, 20, 30, 50, 100])
def test_the_medians_interval_is_the_shortest_that_the_sign_test_allows(count: int) -> None:
    """The rank is the largest that at most 2.5 % of fair coin series fall below."""
    interval = median_interval(list(range(count, 0, -1)))
    below = [Fraction(sum(comb(count, k) for k in range(rank)), 2**count) for rank in range(count)]
    rank = max(rank for rank in range(count) if below[rank] <= Fraction(1, 40))
    assert interval == (None if rank == 0 else (rank, count + 1 - rank))
    assert (rank == 0) == (count < 6)
