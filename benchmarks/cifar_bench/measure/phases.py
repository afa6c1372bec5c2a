"""The phases of a benchmark over all opened models: times, batches, answers, and the rest of a report."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar_bench.measure.energy import measure_energy
from cifar_bench.measure.measured_model import Job, MeasuredModel
from cifar_bench.measure.rounds import RoundPlan, measure_rounds
from cifar_bench.recipe import BenchRecipe
from cifar_bench.results.conditions import Clock
from cifar_bench.results.cost import Cost, Delegation, OperatorTime
from cifar_bench.results.latency import Latency
from cifar_bench.results.timings import Energy, Preprocessing, Throughput
from cifar_runtime.progress import Counter, silent

_BATCHES_NS = 300_000_000
_MIN_CALLS, _MAX_CALLS = 5, 50
_ENERGY_NS = 2_000_000_000
_PICTURES = 50
_PROFILED_RUNS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """One model's times with one thread count.

    Attributes:
        latency: of single-image inference.
        throughput: of batches.
    """

    latency: Latency
    throughput: tuple[Throughput, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One model's answers for all images.

    Attributes:
        scores: float32, shape (n, num_classes).
        probabilities: float64, of the same shape.
    """

    scores: NDArray[np.float32]
    probabilities: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What is measured of one model by itself; the fields are those of ``ModelReport``."""

    cost: Cost
    delegation: Delegation | None
    preprocessing: Preprocessing | None
    energy: Energy | None
    profile: tuple[OperatorTime, ...] | None


def measure_times(
    models: Sequence[MeasuredModel],
    recipe: BenchRecipe,
    *,
    clock: Clock,
    count: Counter = silent,
) -> tuple[Times, ...]:
    """Latency in interleaved rounds, then throughput, of every opened model."""
    effort = recipe.effort
    plan = RoundPlan(warmup=effort.warmup, runs=effort.runs, max_seconds=effort.max_seconds)
    latencies = measure_rounds(models, plan, clock=clock, count=count)
    throughput: list[list[Throughput]] = [[] for _ in models]
    for batch_size in effort.batch_sizes:
        for taken, model, latency in zip(throughput, models, latencies, strict=True):
            taken.append(_throughput(model, latency, batch_size))
    return tuple(
        Times(latency=latency, throughput=tuple(taken))
        for latency, taken in zip(latencies, throughput, strict=True)
    )


def measure_further_threads(
    jobs: Sequence[Job], recipe: BenchRecipe, *, clock: Clock, count: Counter
) -> tuple[tuple[Times, ...], ...]:
    """For every job its times with each thread count but the first, in fresh processes."""
    by_count = []
    for threads in recipe.threads[1:]:
        with ExitStack() as stack:
            models = [stack.enter_context(MeasuredModel(job, threads=threads)) for job in jobs]
            by_count.append(measure_times(models, recipe, clock=clock, count=count))
    return tuple(tuple(times[place] for times in by_count) for place in range(len(jobs)))


def ask_answers(model: MeasuredModel, num_images: int, *, count: Counter) -> Answers:
    """The model's answers for all images; ``count`` sees how many it has given."""
    scores, probabilities = model.scores(num_images, count=count)
    return Answers(scores=scores, probabilities=probabilities)


def measure_extras(
    model: MeasuredModel,
    latency: Latency,
    *,
    picture: Path,
    with_profile: bool,
    clock: Clock,
) -> Extras:
    """What the file costs, what XNNPACK takes over, preprocessing, energy, and operators' times."""
    cost, delegation = model.describe()
    return Extras(
        cost=cost,
        delegation=delegation,
        preprocessing=_preprocessing(model, picture),
        energy=_energy(model, latency, clock),
        profile=model.profile(runs=_PROFILED_RUNS) if with_profile else None,
    )


def _throughput(model: MeasuredModel, latency: Latency, batch_size: int) -> Throughput:
    expected_ns = max(1, latency.median_ns * batch_size)
    calls = min(_MAX_CALLS, max(_MIN_CALLS, _BATCHES_NS // expected_ns))
    return Throughput(
        batch_size=batch_size,
        threads=model.threads,
        samples_ns=model.batch(batch_size, calls=calls),
    )


def _preprocessing(model: MeasuredModel, picture: Path) -> Preprocessing | None:
    if model.job.variant.format == "keras":
        return None
    from PIL import Image

    with Image.open(picture) as opened:
        size = opened.size
    return Preprocessing(picture_size=size, samples_ns=model.preprocess(picture, calls=_PICTURES))


def _energy(model: MeasuredModel, latency: Latency, clock: Clock) -> Energy | None:
    runs = max(1, _ENERGY_NS // max(1, latency.median_ns))

    def run() -> int:
        model.block(runs=range(runs), warmup=0)
        return runs

    return measure_energy(run, clock=clock)
