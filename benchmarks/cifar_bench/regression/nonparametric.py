"""Whether one set of times is larger than another, without assuming how times are distributed. Pure."""

import math
from collections.abc import Sequence

import numpy as np

from cifar_eval.intervals import Z_95

MOST_EXACT = 50
"""Up to so many values in all the p-value is exact; their permutations can be counted without rounding."""


def larger_p(old: Sequence[float], new: Sequence[float]) -> float:
    """One-sided p-value of the Mann-Whitney test: how often chance alone makes ``new`` so large.

    It permutes the midranks, so ties are no exception; beyond ``MOST_EXACT`` values the normal
    approximation with its corrections for ties and continuity is used.

    Source: H. B. Mann and D. R. Whitney, "On a test of whether one of two random variables is
        stochastically larger than the other", Annals of Mathematical Statistics 18 (1947) 50-60.

    Raises:
        ValueError: one of both is empty.
    """
    if not old or not new:
        raise ValueError(f"{len(old)} old and {len(new)} new values cannot be compared")
    ranks = doubled_midranks([*old, *new])
    observed = sum(ranks[len(old) :])
    if len(ranks) <= MOST_EXACT:
        return _exact_tail(ranks, len(new), observed)
    return _normal_tail(ranks, len(new), observed)


def smallest_p(num_old: int, num_new: int) -> float:
    """The p-value when every new value is above every old one: less than this no test can find."""
    return 1 / math.comb(num_old + num_new, num_new)


def ratio_interval(old: Sequence[float], new: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval of the factor between both: the factors that the two-sided test does not refuse.

    Args:
        old: values above zero.
        new: values above zero.

    Source: M. Hollander, D. A. Wolfe and E. Chicken, Nonparametric Statistical Methods, 3rd
        edition, section 4.3 (interval from ordered pairwise differences, here of logarithms).
    """
    ratios = sorted(after / before for before in old for after in new)
    pairs = len(ratios)
    spread = math.sqrt(pairs * (len(old) + len(new) + 1) / 12)
    rank = max(0, math.floor(pairs / 2 - Z_95 * spread))
    return ratios[rank], ratios[pairs - 1 - rank]


def doubled_midranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each value, ties sharing their mean rank: doubled, it is an integer."""
    ordered = sorted(values)
    first = {value: index for index, value in reversed(list(enumerate(ordered)))}
    last = {value: index for index, value in enumerate(ordered)}
    return [first[value] + last[value] + 2 for value in values]


def _exact_tail(ranks: Sequence[int], chosen: int, observed: int) -> float:
    """The share of all choices of so many ranks that sum to the observed value or more."""
    total = sum(ranks)
    counts = np.zeros((chosen + 1, total + 1))
    counts[0, 0] = 1
    for rank in ranks:
        longer = counts.copy()
        longer[1:, rank:] += counts[:-1, : total + 1 - rank]
        counts = longer
    return float(counts[chosen, observed:].sum()) / math.comb(len(ranks), chosen)


def _normal_tail(ranks: Sequence[int], chosen: int, observed: int) -> float:
    count = len(ranks)
    mean = chosen * sum(ranks) / count
    squares = sum((rank - sum(ranks) / count) ** 2 for rank in ranks)
    variance = chosen * (count - chosen) * squares / (count * (count - 1))
    if variance == 0:
        return 1.0
    # Half a rank of continuity correction is one in doubled ranks.
    return 0.5 * math.erfc((observed - mean - 1) / math.sqrt(2 * variance))


def paired_larger_p(old: Sequence[float], new: Sequence[float]) -> float:
    """One-sided p-value of the signed-rank test: how often chance alone makes ``new`` so large in its pairs.

    It compares logarithms, so that a pair counts by its ratio. Pairs of equal values are left out; the signs
    of the midranks are permuted, so ties are no exception; beyond ``MOST_EXACT`` pairs the normal
    approximation with its corrections for ties and continuity is used.

    Args:
        old: values above zero.
        new: their partners, above zero.

    Source: F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945) 80-83.
    """
    differences = [one for one in _log_ratios(old, new) if one]
    ranks = doubled_midranks([abs(one) for one in differences])
    observed = sum(rank for rank, one in zip(ranks, differences, strict=True) if one > 0)
    if len(ranks) <= MOST_EXACT:
        return _exact_sign_tail(ranks, observed)
    variance = sum(rank * rank for rank in ranks) / 4
    # Half a rank of continuity correction is one in doubled ranks.
    return 0.5 * math.erfc((observed - sum(ranks) / 2 - 1) / math.sqrt(2 * variance))


def smallest_paired_p(num_pairs: int) -> float:
    """The p-value when every new value is above its partner: less than this no test can find."""
    return float(0.5**num_pairs)


def paired_ratio_interval(old: Sequence[float], new: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval of the factor between partners: the factors that the two-sided test does not refuse.

    Args:
        old: values above zero.
        new: their partners, above zero.

    Source: M. Hollander, D. A. Wolfe and E. Chicken, Nonparametric Statistical Methods, 3rd
        edition, section 3.3 (interval from ordered Walsh averages, here of logarithms).
    """
    ratios = _log_ratios(old, new)
    count = len(ratios)
    averages = sorted(
        (ratios[first] + ratios[second]) / 2
        for first in range(count)
        for second in range(first, count)
    )
    spread = math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
    rank = max(0, math.floor(len(averages) / 2 - Z_95 * spread))
    return math.exp(averages[rank]), math.exp(averages[len(averages) - 1 - rank])


def _log_ratios(old: Sequence[float], new: Sequence[float]) -> list[float]:
    return [math.log(after / before) for before, after in zip(old, new, strict=True)]


def _exact_sign_tail(ranks: Sequence[int], observed: int) -> float:
    """The share of all choices of signs whose positive ranks sum to the observed value or more."""
    total = sum(ranks)
    counts = np.zeros(total + 1)
    counts[0] = 1
    for rank in ranks:
        counts[rank:] = counts[rank:] + counts[: total + 1 - rank]
    return float(counts[observed:].sum() * 0.5 ** len(ranks))
