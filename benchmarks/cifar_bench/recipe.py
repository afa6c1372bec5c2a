"""What one benchmark run measures, as data. It imports nothing slow: the command line makes it before numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from cifar_runtime.errors import UsageError

BenchSplit = Literal["test-sample", "test", "validation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRecipe:
    """One benchmark run.

    Attributes:
        models: exported models; none means the default models that cifar_runtime ships.
        against: Keras checkpoints measured beside them; the first is the reference of all parity.
        split: labelled images to score: the shipped 1,000 of the test split, or a whole fetched
            split.
        limit: score at most this many images, evenly over the classes; None for all.
        threads: threads one inference may use.
        warmup: unmeasured inferences before each measured block.
        runs: measured inferences per model.
        contract: of the models without a card: a built-in contract's name, or a JSON file.
    """

    models: tuple[Path, ...] = ()
    against: tuple[Path, ...] = ()
    split: BenchSplit = "test-sample"
    limit: int | None = None
    threads: int = 1
    warmup: int = 10
    runs: int = 1000
    contract: str | None = None

    def __post_init__(self) -> None:
        if self.split not in get_args(BenchSplit):
            raise UsageError(
                f"split is {self.split!r}, expected one of {', '.join(get_args(BenchSplit))}.",
                hint="Give one of these.",
            )
        for name in ("limit", "threads", "warmup", "runs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}, expected 1 or more.", hint=f"Raise {name}.")
