"""Latency statistics from a fake clock, and the order in which models take their turns."""

from collections import Counter
from itertools import accumulate, chain, pairwise, repeat
from typing import Any

import numpy as np
import pytest

from cifar_bench.latency import Latency, interleaved_blocks, latency_from_json, sample_inference


def latency(samples_ns: list[int]) -> Latency:
    return Latency(threads=1, warmup=1, rounds=1, num_images=1, samples_ns=tuple(samples_ns))


def test_figures_are_nearest_rank_samples_whatever_their_order() -> None:
    measured = latency([1000 * i for i in (*range(100, 50, -1), *range(1, 51))])
    assert (measured.min_ns, measured.median_ns, measured.p90_ns, measured.p99_ns) == (
        1000,
        50_000,
        90_000,
        99_000,
    )


def test_json_keeps_raw_samples_and_reads_nothing_else() -> None:
    measured = latency([5, 3, 4])
    document = measured.to_json()
    assert (document["measured"], document["samples_ns"]) == ("inference", [5, 3, 4])
    assert latency_from_json({**document, "median_ns": 1}) == measured


@pytest.mark.parametrize("samples", [[], [5, -1]])
def test_latency_refuses_no_samples_and_clocks_that_run_backwards(samples: list[int]) -> None:
    with pytest.raises(ValueError, match="latency samples"):
        latency(samples)


def test_rounds_rotate_the_order_so_that_no_model_always_comes_first() -> None:
    order = [block.subject for block in interleaved_blocks(3, runs=8, rounds=4)]
    assert order == [0, 1, 2, 1, 2, 0, 2, 0, 1, 0, 1, 2]


@pytest.mark.parametrize(("runs", "rounds"), [(1000, 10), (7, 3), (3, 10), (1, 10)])
def test_every_model_gets_all_its_runs_once_in_ascending_order(runs: int, rounds: int) -> None:
    blocks = interleaved_blocks(2, runs=runs, rounds=rounds)
    for subject in range(2):
        own = [block for block in blocks if block.subject == subject]
        taken = chain.from_iterable(range(b.first_run, b.first_run + b.runs) for b in own)
        assert list(taken) == list(range(runs))
        assert all(block.runs > 0 for block in own)


def test_samples_are_clock_differences_around_each_measured_run_only(fake_subject: Any) -> None:
    """A clock that ticks 1, 2, 3, ... ns per run: 20 runs of one model, two warm-ups per round."""
    durations = chain.from_iterable((0, n) for n in range(1, 21))
    ticks = accumulate(durations)
    subject = fake_subject(name="a", answers=np.zeros((3, 10), dtype=np.float32))
    (samples,) = sample_inference(
        [subject], [["x", "y", "z"]], runs=20, warmup=2, clock=lambda: next(ticks)
    )
    assert samples == tuple(range(1, 21))
    assert next(ticks, None) is None
    assert len(subject.diary) == 20 + 10 * 2


def test_measured_runs_cycle_over_the_images_and_continue_in_the_next_round(
    fake_subject: Any,
) -> None:
    subject = fake_subject(name="a", answers=np.zeros((3, 10), dtype=np.float32))
    sample_inference([subject], [["x", "y", "z"]], runs=20, warmup=1, clock=repeat(0).__next__)
    # Ten rounds of one warm-up and two measured runs.
    measured = [tensor for i, (_, tensor) in enumerate(subject.diary) if i % 3]
    assert measured == [*"xyz" * 6, "x", "y"]


def test_models_are_interleaved_in_rounds(fake_subject: Any) -> None:
    diary: list[tuple[str, Any]] = []
    subjects = [
        fake_subject(name=name, answers=np.zeros((1, 10), dtype=np.float32), diary=diary)
        for name in "abc"
    ]
    samples = sample_inference(subjects, [["x"]] * 3, runs=30, warmup=1, clock=repeat(7).__next__)
    names = [name for name, _ in diary]
    turns = [names[0], *(after for before, after in pairwise(names) if after != before)]
    # The last of a round may be the first of the next: a-b-c, b-c-a, c-a-b, a-b-c, ...
    assert "".join(turns[:9]) == "abcbcacab"
    assert Counter(names) == {"a": 40, "b": 40, "c": 40}
    assert [len(taken) for taken in samples] == [30, 30, 30]
