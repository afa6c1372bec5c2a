"""Single-image inference latency: raw samples, what follows from them, and the measuring itself.

*Inference* is one full ``session.run`` (``model(x, training=False)`` for Keras) on one image that
is already a ready input tensor: decoding, resizing and quantizing the picture are outside the
clock; copying the tensor in, running the network, and copying the scores out are inside.

Statistics are pure; only :func:`sample_inference` runs anything, and its clock is passed in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cifar_bench.scorer import Subject
from cifar_bench.statistics import percentile

Clock = Callable[[], int]
"""Returns nanoseconds from any fixed start; ``time.perf_counter_ns`` outside of tests."""

ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Raw samples of one model's inference, and how they were taken.

    Attributes:
        threads: threads one inference may use; None where the runtime decides by itself.
        warmup: unmeasured runs before each round's measured ones.
        rounds: rounds in which the samples were taken, all models in turn in each.
        num_images: different real images that were cycled over.
        samples_ns: one wall-clock duration per measured run, nanoseconds, in the order taken.
    """

    threads: int | None
    warmup: int
    rounds: int
    num_images: int
    samples_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.samples_ns or min(self.samples_ns) < 0:
            raise ValueError(f"{len(self.samples_ns)} latency samples, or one below zero")

    @property
    def min_ns(self) -> int:
        """The fastest run, nanoseconds."""
        return min(self.samples_ns)

    @property
    def median_ns(self) -> int:
        """The typical run, nanoseconds: at least half of all runs took this long or less.

        It is the nearest-rank 50 % percentile: one of the samples, never an average of two.
        """
        return percentile(self.samples_ns, 50)

    @property
    def p90_ns(self) -> int:
        """Nanoseconds within which 90 % of the runs ended."""
        return percentile(self.samples_ns, 90)

    @property
    def p99_ns(self) -> int:
        """Nanoseconds within which 99 % of the runs ended; of 100 samples only one lies beyond."""
        return percentile(self.samples_ns, 99)

    def to_json(self) -> dict[str, Any]:
        """The samples, and what follows from them, as JSON-ready data."""
        return {
            "measured": "inference",
            "threads": self.threads,
            "warmup": self.warmup,
            "rounds": self.rounds,
            "num_images": self.num_images,
            "min_ns": self.min_ns,
            "median_ns": self.median_ns,
            "p90_ns": self.p90_ns,
            "p99_ns": self.p99_ns,
            "samples_ns": list(self.samples_ns),
        }


def latency_from_json(document: Mapping[str, Any]) -> Latency:
    """The latency that ``to_json`` wrote; only the raw samples are read."""
    return Latency(
        threads=document["threads"],
        warmup=int(document["warmup"]),
        rounds=int(document["rounds"]),
        num_images=int(document["num_images"]),
        samples_ns=tuple(int(sample) for sample in document["samples_ns"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One model's turn within a round.

    Attributes:
        subject: index of the model.
        first_run: number of the block's first measured run among all of this model's.
        runs: measured runs in the block.
    """

    subject: int
    first_run: int
    runs: int


def interleaved_blocks(num_subjects: int, *, runs: int, rounds: int = ROUNDS) -> tuple[Block, ...]:
    """The order of measuring: every model has a turn in every round.

    Each round starts with the next model, so that no model always comes first.

    A machine that slows down or speeds up meanwhile hits all models alike; within a turn the caches
    are warm, as on a device that runs one model.

    Args:
        num_subjects: how many models.
        runs: measured runs per model in all.
        rounds: rounds to spread them over, at most one per run.
    """
    rounds = min(rounds, runs)
    edges = [runs * round_ // rounds for round_ in range(rounds + 1)]
    return tuple(
        Block(
            subject=(round_ + turn) % num_subjects,
            first_run=edges[round_],
            runs=edges[round_ + 1] - edges[round_],
        )
        for round_ in range(rounds)
        for turn in range(num_subjects)
    )


def sample_inference(
    subjects: Sequence[Subject],
    tensors: Sequence[Sequence[Any]],
    *,
    runs: int,
    warmup: int,
    clock: Clock,
) -> tuple[tuple[int, ...], ...]:
    """Nanoseconds of ``runs`` inferences for every model, taken in interleaved rounds.

    Args:
        subjects: the models.
        tensors: for each model its ready input tensors, cycled over run by run.
        runs: measured runs per model.
        warmup: unmeasured runs before each block.
        clock: read immediately before and after each run.
    """
    samples: list[list[int]] = [[] for _ in subjects]
    for block in interleaved_blocks(len(subjects), runs=runs):
        subject, inputs = subjects[block.subject], tensors[block.subject]
        for run in range(warmup):
            subject.infer(inputs[run % len(inputs)])
        for run in range(block.first_run, block.first_run + block.runs):
            tensor = inputs[run % len(inputs)]
            start = clock()
            subject.infer(tensor)
            samples[block.subject].append(clock() - start)
    return tuple(tuple(taken) for taken in samples)
