"""Unsteady medians are named with their threads and their side, and a busy machine is pointed out."""

from dataclasses import replace

import pytest

from cifar_bench.regression.baseline import judge_against
from cifar_bench.regression.limits import RegressionLimits
from cifar_bench.results.latency import Latency
from cifar_bench.results.report import Report
from cifar_bench.results.steadiness import busy_sentence, steadiness_notes, unsteady_medians


def latency(rounds: list[list[int]], *, threads: int) -> Latency:
    return Latency(
        threads=threads,
        warmup=1,
        warmup_runs=3,
        warmed_up=True,
        num_images=1,
        samples_ns=tuple(map(tuple, rounds)),
    )


STEADY = latency([[1000] * 10] * 10, threads=1)
RESTLESS = latency([[1000 + 100 * i] * 10 for i in range(10)], threads=2)


def of_one(report: Report, first: Latency, *further: Latency) -> Report:
    model = replace(report.models[0], latency=first, threads=further)
    return replace(report, reference=None, models=(model,))


def test_a_further_thread_count_is_checked_like_the_first(report: Report) -> None:
    """Rounds of 1,000 to 1,900 ns: half of 1,100 to 1,800 is 25 % of the median, 1,400."""
    assert unsteady_medians(of_one(report, STEADY)) == ()
    assert unsteady_medians(of_one(report, STEADY, RESTLESS)) == (
        "seed-cnn with 2 threads (25.0%)",
    )


@pytest.mark.parametrize(
    ("load", "sentence"),
    [
        (None, None),
        (1.0, None),
        (4.67, "The machine was busy: load 4.67 on 2 cores at the start."),
    ],
)
def test_load_above_half_the_cores_is_a_busy_machine(
    report: Report, load: float | None, sentence: str | None
) -> None:
    average = None if load is None else (load, 0.0, 0.0)
    environment = replace(report.environment, load_average=average)
    assert busy_sentence(replace(of_one(report, STEADY), environment=environment)) == sentence


@pytest.mark.parametrize(("slowest", "busy"), [(10_000, False), (10_001, True)])
def test_a_p99_beyond_ten_medians_is_a_busy_machine(
    report: Report, slowest: int, busy: bool
) -> None:
    disturbed = latency([[1000] * 8 + [slowest] * 2] * 10, threads=2)
    expected = [
        "The machine was busy: p99 more than 10 times the median of seed-cnn with 2 threads."
    ]
    assert steadiness_notes(of_one(report, STEADY, disturbed)) == (expected if busy else [])


def test_the_verdict_says_which_side_is_not_steady(report: Report) -> None:
    restless = replace(RESTLESS, threads=1)
    limits = RegressionLimits(max_slowdown=1.0, max_accuracy_drop=0.5)
    steady, unsteady = of_one(report, STEADY), of_one(report, restless)
    assert judge_against(steady, unsteady, limits)[0].splitlines()[1] == (
        "Not steady: the new seed-cnn (25.0%)."
    )
    assert judge_against(unsteady, steady, limits)[0].splitlines()[1] == (
        "Not steady: the old seed-cnn (25.0%)."
    )
    assert "Not steady" not in judge_against(steady, steady, limits)[0]
