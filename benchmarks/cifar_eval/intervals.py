"""Formulas for counts and samples: intervals, a paired test, percentiles; numbers in and out."""

import math
from collections.abc import Callable, Sequence

Z_95 = 1.959963984540054
"""Two-sided 95 % quantile of the standard normal distribution."""

_BISECTIONS = 60


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a proportion, both ends in 0..1.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        Journal of
    the American Statistical Association 22 (1927) 209-212, without continuity correction.

    Raises:
        ValueError: there are no trials, or the successes are not among them.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is not a proportion")
    z2 = Z_95 * Z_95
    centre = successes + z2 / 2
    half = Z_95 * math.sqrt(successes * (trials - successes) / trials + z2 / 4)
    # At the borders the exact ends are 0 and 1; rounding would leave them a hair inside or outside.
    low = 0.0 if successes == 0 else (centre - half) / (trials + z2)
    high = 1.0 if successes == trials else (centre + half) / (trials + z2)
    return low, high


def paired_difference_interval(losses: int, gains: int, pairs: int) -> tuple[float, float]:
    """The 95 % score interval of ``(losses - gains) / pairs``, a difference of paired proportions.

    Only the pairs that changed sides carry information about the difference; the interval keeps its
    coverage when they are few or none, where the textbook (Wald) interval has width zero.

    Args:
        losses: pairs that the first model decides rightly and the second wrongly.
        gains: pairs that the first model decides wrongly and the second rightly.
        pairs: all pairs, the unchanged ones included.

    Source: T. Tango, "Equivalence test and confidence interval for the difference in proportions
        for the
    paired-sample design", Statistics in Medicine 17 (1998) 891-908.

    Raises:
        ValueError: there are no pairs, or more changes than pairs.
    """
    if pairs < 1 or min(losses, gains) < 0 or losses + gains > pairs:
        raise ValueError(f"{losses} losses and {gains} gains do not fit {pairs} pairs")

    def statistic(difference: float) -> float:
        return _tango_statistic(losses, gains, pairs, difference)

    estimate = (losses - gains) / pairs
    low = _crossing(statistic, Z_95, low=-1.0, high=estimate)
    high = _crossing(statistic, -Z_95, low=estimate, high=1.0)
    return low, high


def exact_mcnemar_p(losses: int, gains: int) -> float:
    """The two-sided exact p-value of "losses and gains are equally likely", in 0..1.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions
        or
    percentages", Psychometrika 12 (1947) 153-157, in its exact binomial form.
    """
    changes = losses + gains
    tail = sum(math.comb(changes, count) for count in range(min(losses, gains) + 1))
    # Integers as long as possible: 2 ** changes overflows a float from 1,024 changes on.
    return min(1.0, 2 * tail / (1 << changes))


def percentile(samples: Sequence[int], percent: int) -> int:
    """The smallest sample that at least ``percent`` % of the samples do not exceed (nearest rank).

    It is always one of the samples, never a value between two, so ``percentile(samples, 50)`` of an
    even number of samples is the lower of the two in the middle.

    Source: R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American
        Statistician 50
    (1996) 361-365, definition 1.

    Raises:
        ValueError: there are no samples, or ``percent`` is outside 1..100.
    """
    if not samples or not 1 <= percent <= 100:
        raise ValueError(f"no {percent} % percentile of {len(samples)} samples")
    rank = -(-percent * len(samples) // 100)
    return sorted(samples)[rank - 1]


def median_interval(values: Sequence[int]) -> tuple[int, int] | None:
    """A 95 % interval of the median that the values were drawn around; None of fewer than six values.

    Its ends are two of the values, chosen by the binomial distribution of how many lie below the
    median: nothing is assumed about how they are distributed, and the real confidence is 95 % or
    more.

    Source: W. J. Conover, Practical Nonparametric Statistics, 3rd edition, section 3.2 (confidence
        interval for a quantile).
    """
    count = len(values)
    tail, rank = 0, 0
    # The largest rank whose two tails together hold at most 5 %.
    while 2 * (tail + math.comb(count, rank)) * 20 <= 1 << count:
        tail += math.comb(count, rank)
        rank += 1
    if rank == 0:
        return None
    ordered = sorted(values)
    return ordered[rank - 1], ordered[count - rank]


def _tango_statistic(losses: int, gains: int, pairs: int, difference: float) -> float:
    """Standardised distance of the observed difference from a supposed one; falls with it."""
    observed = losses - gains - pairs * difference
    variance = pairs * (
        2 * _restricted_gain_rate(losses, gains, pairs, difference) + difference * (1 - difference)
    )
    if variance <= 0:
        return 0.0 if observed == 0 else math.copysign(math.inf, observed)
    return observed / math.sqrt(variance)


def _restricted_gain_rate(losses: int, gains: int, pairs: int, difference: float) -> float:
    """The most likely rate of gains given the difference: the root of 2n q^2 + b q - c = 0."""
    b = (2 * pairs - losses + gains) * difference - losses - gains
    c = gains * difference * (1 - difference)
    root = (math.sqrt(max(0.0, b * b + 8 * pairs * c)) - b) / (4 * pairs)
    return max(root, 0.0, -difference)


def _crossing(
    falling: Callable[[float], float], target: float, *, low: float, high: float
) -> float:
    """Where a falling function passes ``target`` between ``low`` and ``high``, by bisection."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if falling(middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2
