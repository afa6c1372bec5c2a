"""Single-image inference latency as data: raw samples of every round, and what follows from them.

*Inference* is one full ``session.run`` (``model(x, training=False)`` for Keras) on one image that
is already a ready input tensor: decoding, resizing and quantizing the picture are outside the
clock; copying the tensor in, running the network, and copying the scores out are inside.

Pure: :mod:`cifar_bench.measure.worker` takes the samples, :mod:`cifar_bench.measure.rounds` decides how many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

from cifar_eval.intervals import median_interval, percentile

STEADY_SHARE = 0.02
"""A median is steady when the half-width of its 95 % interval is within this share of it."""

NUM_WINDOWS = 5
"""MLPerf Tiny's score is the median of the mean throughputs of five windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Raw samples of one model's inference, and how they were taken.

    Attributes:
        threads: threads one inference may use; None where the runtime decides by itself.
        warmup: unmeasured runs before each round's measured ones.
        warmup_runs: unmeasured runs before the first round.
        warmed_up: whether times had stopped falling after these.
        num_images: different real images that were cycled over.
        samples_ns: for each round one wall-clock duration per measured run, nanoseconds, in the
            order taken; all models had a turn in every round.
    """

    threads: int | None
    warmup: int
    warmup_runs: int
    warmed_up: bool
    num_images: int
    samples_ns: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.samples_ns or not all(self.samples_ns) or min(self.samples) < 0:
            raise ValueError(f"{len(self.samples_ns)} rounds of latency, one empty or below zero")

    @property
    def samples(self) -> tuple[int, ...]:
        """All samples, nanoseconds, in the order taken."""
        return tuple(chain.from_iterable(self.samples_ns))

    @property
    def min_ns(self) -> int:
        """The fastest run, nanoseconds."""
        return min(self.samples)

    @property
    def max_ns(self) -> int:
        """The slowest run, nanoseconds."""
        return max(self.samples)

    @property
    def mean_ns(self) -> float:
        """The mean run, nanoseconds; a single slow run can move it far."""
        return sum(self.samples) / len(self.samples)

    @property
    def median_ns(self) -> int:
        """The typical run, nanoseconds: at least half of all runs took this long or less.

        It is the nearest-rank 50 % percentile: one of the samples, never an average of two.
        """
        return percentile(self.samples, 50)

    @property
    def p90_ns(self) -> int:
        """Nanoseconds within which 90 % of the runs ended."""
        return percentile(self.samples, 90)

    @property
    def p95_ns(self) -> int:
        """Nanoseconds within which 95 % of the runs ended."""
        return percentile(self.samples, 95)

    @property
    def p99_ns(self) -> int:
        """Nanoseconds within which 99 % of the runs ended; of 100 samples only one lies beyond."""
        return percentile(self.samples, 99)

    @property
    def round_medians_ns(self) -> tuple[int, ...]:
        """The median of every round, nanoseconds: runs of one round share their disturbances."""
        return tuple(percentile(taken, 50) for taken in self.samples_ns)

    @property
    def median_interval_ns(self) -> tuple[int, int] | None:
        """A 95 % interval of the median: order statistics of the rounds' medians; None below six rounds.

        The median is over all runs, the interval over rounds, so where rounds differ much the median
        can lie outside; the interval is then widened to it. That keeps the median one of the
        samples, comparable with its percentiles, and can only make the interval more careful.

        Rounds are added until the interval is narrow, and looking again and again makes the
        95 % a little optimistic.
        """
        interval = median_interval(self.round_medians_ns)
        if interval is None:
            return None
        return min(interval[0], self.median_ns), max(interval[1], self.median_ns)

    @property
    def interval_share(self) -> float | None:
        """Half the interval's width as a share of the median; None where there is no interval."""
        interval = self.median_interval_ns
        if interval is None:
            return None
        return (interval[1] - interval[0]) / 2 / max(1, self.median_ns)

    @property
    def has_steady_median(self) -> bool:
        """Whether the median is known to ``STEADY_SHARE`` of itself."""
        share = self.interval_share
        return share is not None and share <= STEADY_SHARE

    @property
    def is_stable(self) -> bool:
        """Whether warm-up had ended and the median is steady."""
        return self.warmed_up and self.has_steady_median

    @property
    def window_means_ns(self) -> tuple[float, ...]:
        """The mean run of each of five equal stretches of the samples (fewer of fewer samples)."""
        samples = self.samples
        windows = min(NUM_WINDOWS, len(samples))
        edges = [len(samples) * window // windows for window in range(windows + 1)]
        return tuple(sum(samples[start:end]) / (end - start) for start, end in pairwise(edges))

    @property
    def mlperf_ns(self) -> float:
        """One over the median of the windows' mean throughputs, nanoseconds.

        Source: MLPerf Tiny benchmark rules, performance mode: the median of five throughputs; here
            over stretches of the same samples, not over windows of ten seconds.
        """
        return _middle(self.window_means_ns)

    def to_json(self) -> dict[str, Any]:
        """The samples, and what follows from them, as JSON-ready data."""
        interval = self.median_interval_ns
        return {
            "measured": "inference",
            "threads": self.threads,
            "warmup": self.warmup,
            "warmup_runs": self.warmup_runs,
            "warmed_up": self.warmed_up,
            "rounds": len(self.samples_ns),
            "num_images": self.num_images,
            "min_ns": self.min_ns,
            "median_ns": self.median_ns,
            "median_interval_95_ns": None if interval is None else list(interval),
            "stable": self.is_stable,
            "p90_ns": self.p90_ns,
            "p95_ns": self.p95_ns,
            "p99_ns": self.p99_ns,
            "max_ns": self.max_ns,
            "mean_ns": self.mean_ns,
            "window_means_ns": list(self.window_means_ns),
            "mlperf_ns": self.mlperf_ns,
            "samples_ns": [list(taken) for taken in self.samples_ns],
        }


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
