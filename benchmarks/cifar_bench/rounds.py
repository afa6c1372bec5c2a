"""Decides how many rounds to measure and in which order models take turns; it runs nothing itself.

A machine that slows down or speeds up meanwhile hits all models alike; within a turn the caches are
warm, as on a device that runs one model.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cifar_bench.conditions import Clock
from cifar_bench.latency import Latency
from cifar_bench.sampling import WarmUp

MIN_ROUNDS = 10
MAX_ROUNDS = 100


class TimedModel(Protocol):
    """A model that can be told to run a block; its samples are taken where it runs."""

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


def measure_rounds(
    models: Sequence[TimedModel], plan: RoundPlan, *, clock: Clock
) -> tuple[Latency, ...]:
    """The latency of every model, taken in interleaved rounds.

    Each round starts with the next model, so that no model always comes first.

    Args:
        models: warmed up in their order, then measured in turns.
        plan: how much to measure.
        clock: nanoseconds; it only limits how many rounds are added.
    """
    warmups = [model.warm_up(window=plan.warmup) for model in models]
    samples: list[list[tuple[int, ...]]] = [[] for _ in models]
    first_rounds = min(MIN_ROUNDS, plan.runs)
    edges = [plan.runs * round_ // first_rounds for round_ in range(first_rounds + 1)]
    for start, end in itertools.pairwise(edges):
        _one_round(models, samples, range(start, end), plan.warmup)
    latencies = _latencies(models, samples, warmups, plan)
    per_round, until = edges[1], clock() + int(plan.max_seconds * 1e9)
    while clock() < until and len(samples[0]) < MAX_ROUNDS and not _all_steady(latencies):
        done = len(latencies[0].samples)
        _one_round(models, samples, range(done, done + per_round), plan.warmup)
        latencies = _latencies(models, samples, warmups, plan)
    return latencies


def _one_round(
    models: Sequence[TimedModel],
    samples: list[list[tuple[int, ...]]],
    runs: range,
    warmup: int,
) -> None:
    round_ = len(samples[0])
    for turn in range(len(models)):
        index = (round_ + turn) % len(models)
        samples[index].append(tuple(models[index].block(runs=runs, warmup=warmup)))


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
