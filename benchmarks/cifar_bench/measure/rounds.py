"""Decides how many rounds to measure and in which order models take turns; it runs nothing itself.

A machine that slows down or speeds up meanwhile hits all models alike; within a turn the caches are
warm, as on a device that runs one model.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cifar_bench.measure.sampling import WarmUp
from cifar_bench.results.conditions import Clock
from cifar_bench.results.latency import Latency
from cifar_runtime.progress import Counter, silent

MIN_ROUNDS = 10
MAX_ROUNDS = 100

MIN_TURN_NS = 50_000_000
"""A model's turn in an added round lasts at least so long: a hundred runs of 40 µs see but an instant."""

MAX_TURN_RUNS = 100_000
"""A clock too coarse to see a run would ask for runs without end."""


class TimedModel(Protocol):
    """A model that runs a block on request; its samples are taken where it runs."""

    threads: int | None
    num_images: int

    def warm_up(self, *, window: int) -> WarmUp:
        """Runs until times have stopped falling."""

    def block(self, *, runs: range, warmup: int) -> Sequence[int]:
        """Nanoseconds of every numbered run, after ``warmup`` unmeasured ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPlan:
    """How much to measure.

    Attributes:
        warmup: unmeasured runs before each block, and the size of a warm-up window.
        runs: measured runs per model in the first ten rounds (fewer rounds of fewer runs).
        max_seconds: rounds are added for this long until every median is steady.
    """

    warmup: int
    runs: int
    max_seconds: float

    def turn_ns(self, num_models: int) -> int:
        """How long a turn in an added round should last, nanoseconds, so that all of them fill the time."""
        turns = (MAX_ROUNDS - MIN_ROUNDS) * num_models
        return max(MIN_TURN_NS, int(self.max_seconds * 1e9) // turns)


def measure_rounds(
    models: Sequence[TimedModel], plan: RoundPlan, *, clock: Clock, count: Counter = silent
) -> tuple[Latency, ...]:
    """The latency of every model, taken in interleaved rounds.

    Each round starts with the next model, so that no model always comes first. A turn in an added
    round may hold many more runs than one of the first ten; as many of them are kept, evenly
    spread, so that reports stay small.

    Args:
        models: warmed up in their order, then measured in turns.
        plan: how much to measure.
        clock: nanoseconds; it only limits how many rounds are added.
        count: sees how many of the first rounds are done, then how much of the time for further ones; all at the end.
    """
    warmups = [model.warm_up(window=plan.warmup) for model in models]
    samples: list[list[tuple[int, ...]]] = [[] for _ in models]
    first_rounds = min(MIN_ROUNDS, plan.runs)
    edges = [plan.runs * round_ // first_rounds for round_ in range(first_rounds + 1)]
    for start, end in itertools.pairwise(edges):
        blocks = [range(start, end)] * len(models)
        _one_round(models, samples, blocks, plan.warmup, kept=end - start)
        count(len(samples[0]), first_rounds)
    latencies = _latencies(models, samples, warmups, plan)
    kept, limit_ns, started = edges[1], int(plan.max_seconds * 1e9), clock()
    turn_ns = plan.turn_ns(len(models))
    while (
        (taken := clock() - started) < limit_ns
        and len(samples[0]) < MAX_ROUNDS
        and not _all_steady(latencies)
    ):
        count(taken, limit_ns)
        blocks = [_long_block(latency, turn_ns, kept=kept) for latency in latencies]
        _one_round(models, samples, blocks, plan.warmup, kept=kept)
        latencies = _latencies(models, samples, warmups, plan)
    count(limit_ns, limit_ns)
    return latencies


def _long_block(latency: Latency, turn_ns: int, *, kept: int) -> range:
    """Runs that take ``turn_ns`` in all, but not fewer than are kept; numbered on from the kept ones."""
    done = len(latency.samples)
    fitting = min(MAX_TURN_RUNS, turn_ns // max(1, latency.median_ns))
    return range(done, done + max(kept, fitting))


def _one_round(
    models: Sequence[TimedModel],
    samples: list[list[tuple[int, ...]]],
    blocks: Sequence[range],
    warmup: int,
    *,
    kept: int,
) -> None:
    round_ = len(samples[0])
    for turn in range(len(models)):
        index = (round_ + turn) % len(models)
        taken = models[index].block(runs=blocks[index], warmup=warmup)
        samples[index].append(_evenly_spread(taken, kept))


def _evenly_spread(taken: Sequence[int], count: int) -> tuple[int, ...]:
    """``count`` of the samples in their order, from the first one on at equal distances."""
    return tuple(taken[place * len(taken) // count] for place in range(count))


def _latencies(
    models: Sequence[TimedModel],
    samples: Sequence[Sequence[tuple[int, ...]]],
    warmups: Sequence[WarmUp],
    plan: RoundPlan,
) -> tuple[Latency, ...]:
    return tuple(
        Latency(
            threads=model.threads,
            warmup=plan.warmup,
            warmup_runs=warmed.runs,
            warmed_up=warmed.settled,
            num_images=model.num_images,
            samples_ns=tuple(taken),
        )
        for model, taken, warmed in zip(models, samples, warmups, strict=True)
    )


def _all_steady(latencies: Sequence[Latency]) -> bool:
    """Whether more rounds would not help: what had not warmed up stays as it is."""
    return all(latency.has_steady_median for latency in latencies)
