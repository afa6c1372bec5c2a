"""What one benchmark run measures, as data. It imports nothing slow: the command line makes it before numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from cifar_bench.variants import variants_from_names
from cifar_data.split_names import BenchSplit
from cifar_runtime.errors import UsageError
from cifar_runtime.formats.known_formats import MAX_THREADS


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"{name} is {value}, expected 1 or more.", hint=f"Raise {name}.")


def _check_threads(counts: tuple[int, ...]) -> None:
    for count in counts:
        if not 1 <= count <= MAX_THREADS:
            raise UsageError(
                f"threads is {count}, expected 1 to {MAX_THREADS}.", hint="Give a number of these."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much measuring a run does.

    Attributes:
        warmup: unmeasured inferences before each measured block.
        runs: measured inferences per model, in ten rounds, at least.
        max_seconds: rounds are added for this long until every median is steady; 0: none are.
        batch_sizes: batches whose throughput is measured.
        cold_starts: whole runs of cifar-classify per model.
        roofline: measure the machine's ceilings as well.

    Example:
        >>> from cifar_bench import Effort
        >>> Effort(runs=200, max_seconds=0).batch_sizes
        (1, 8, 32)
    """

    warmup: int = 10
    runs: int = 1000
    max_seconds: float = 30.0
    batch_sizes: tuple[int, ...] = (1, 8, 32)
    cold_starts: int = 5
    roofline: bool = True

    def __post_init__(self) -> None:
        _check_positive("warmup", self.warmup)
        _check_positive("runs", self.runs)
        for size in self.batch_sizes:
            _check_positive("batch_sizes", size)
        if self.max_seconds < 0 or self.cold_starts < 0:
            raise UsageError(
                f"max_seconds is {self.max_seconds:g} and cold_starts {self.cold_starts}, "
                "expected 0 or more.",
                hint="Raise them.",
            )


FULL = Effort()
QUICK = Effort(runs=200, max_seconds=0.0, batch_sizes=(), cold_starts=0, roofline=False)
"""For a demonstration or a trial: times are not steady yet, and the report says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRecipe:
    """One benchmark run.

    Attributes:
        models: exported models and checkpoints; none means the default models that cifar_runtime
            ships.
        against: checkpoints and models measured before them, which parity is against: a model is
            compared with the checkpoint it was made from, where that is here, else with the first.
        runtimes: names of variants, or ``default`` or ``all`` (see ``variants``).
        split: labelled images to score: the shipped 1,000 of the test split, or a whole fetched
            split. On those that models are trained on, reports say so.
        eval_data: a folder of labelled images instead, one folder a class; None for the split.
        run: the folder of a training run on pictures instead, whose test pictures are scored; None for the split.
        limit: score at most this many images, evenly over the classes; None for all.
        threads: thread counts of one inference; the first is the one that all else is measured
            with.
        contract: of the models without a card: a built-in contract's name, or a JSON file.
        profile: measure the time per operator in LiteRT and onnxruntime.
        effort: how much to measure.

    Example:
        >>> from cifar_bench import BenchRecipe
        >>> BenchRecipe(models=("edge-s-int8.tflite",), split="test", threads=(1, 4)).threads
        (1, 4)
    """

    models: tuple[str | Path, ...] = ()
    against: tuple[str | Path, ...] = ()
    runtimes: tuple[str, ...] = ("default",)
    split: BenchSplit = "test-sample"
    eval_data: str | Path | None = None
    run: str | Path | None = None
    limit: int | None = None
    threads: tuple[int, ...] = (1,)
    contract: str | None = None
    profile: bool = False
    effort: Effort = FULL

    def __post_init__(self) -> None:
        for name in ("models", "against"):
            object.__setattr__(self, name, tuple(map(Path, getattr(self, name))))
        for name in ("eval_data", "run"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)))
        if self.split not in get_args(BenchSplit):
            raise UsageError(
                f"split is {self.split!r}, expected one of {', '.join(get_args(BenchSplit))}.",
                hint="Give one of these.",
            )
        if self.limit is not None:
            _check_positive("limit", self.limit)
        _check_threads(self.threads)
        if not self.threads or len(set(self.threads)) != len(self.threads):
            raise UsageError(
                f"threads are {', '.join(map(str, self.threads)) or 'none'}, expected one or more "
                "different numbers.",
                hint="Give threads=(1,).",
            )
        variants_from_names(self.runtimes)
