"""Latency statistics follow from raw rounds, and nothing but raw rounds is read back."""

import pytest

from cifar_bench.results.latency import Latency
from cifar_eval.intervals import median_interval
from cifar_runtime.documents import from_document


def latency(rounds: list[list[int]], *, warmed_up: bool = True) -> Latency:
    return Latency(
        threads=1,
        warmup=1,
        warmup_runs=3,
        warmed_up=warmed_up,
        num_images=1,
        samples_ns=tuple(map(tuple, rounds)),
    )


def test_figures_are_nearest_rank_samples_whatever_their_order() -> None:
    measured = latency([[1000 * i for i in range(100, 50, -1)], [1000 * i for i in range(1, 51)]])
    assert (measured.min_ns, measured.median_ns, measured.max_ns) == (1000, 50_000, 100_000)
    assert (measured.p90_ns, measured.p95_ns, measured.p99_ns) == (90_000, 95_000, 99_000)
    assert measured.mean_ns == 50_500
    assert measured.round_medians_ns == (75_000, 25_000)


def test_the_medians_interval_is_of_round_medians_and_needs_six_rounds() -> None:
    """Six rounds: the whole range, 96.9 % sure; ten: second smallest to second largest, 97.9 %."""
    rounds = [[100 + i] * 9 + [10_000] for i in range(10)]
    assert latency(rounds[:5]).median_interval_ns is None
    assert latency(rounds[:6]).median_interval_ns == (100, 105)
    assert latency(rounds).median_interval_ns == (101, 108)
    assert latency(rounds).interval_share == pytest.approx(3.5 / 105)


def test_the_medians_interval_is_widened_to_a_median_outside_of_it() -> None:
    """As once measured of a ResNet: rounds from 294,111 to 296,656 ns, all runs' median 296,867 ns."""
    short = [[294_000], *[[294_111]] * 4, *[[296_656]] * 4]
    measured = latency([*short, [296_867] * 11])
    assert median_interval(measured.round_medians_ns) == (294_111, 296_656)
    assert measured.median_ns == 296_867
    assert measured.median_interval_ns == (294_111, 296_867)


def test_a_median_is_stable_within_two_percent_and_only_after_warm_up() -> None:
    steady = [[1000 + i] * 3 for i in range(10)]
    assert latency(steady).is_stable
    assert not latency(steady, warmed_up=False).is_stable
    assert not latency([[1000 + 20 * i] * 3 for i in range(10)]).is_stable
    assert not latency(steady[:3]).is_stable


def test_mlperfs_figure_is_the_middle_of_five_window_means() -> None:
    """Windows of two: means 1.5, 3.5, 5.5, 7.5, and 504.5 with one slow run."""
    measured = latency([[1, 2, 3, 4, 5], [6, 7, 8, 9, 1000]])
    assert measured.window_means_ns == (1.5, 3.5, 5.5, 7.5, 504.5)
    assert measured.mlperf_ns == 5.5
    assert latency([[4, 8]]).mlperf_ns == 6


def test_json_keeps_raw_samples_and_reads_nothing_else() -> None:
    measured = latency([[5, 3], [4]])
    document = measured.to_json()
    assert (document["measured"], document["samples_ns"]) == ("inference", [[5, 3], [4]])
    assert document["median_interval_95_ns"] is None
    assert from_document(Latency, {**document, "median_ns": 1, "stable": True}) == measured


@pytest.mark.parametrize("rounds", [[], [[]], [[5, -1]], [[5], []]])
def test_latency_refuses_no_samples_and_clocks_that_run_backwards(rounds: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="rounds of latency"):
        latency(rounds)
