"""The result of MLPerf Tiny's method as versioned JSON: raw windows and counts, and where they were measured.

Reading takes the raw numbers only; everything derived is computed again.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from cifar_bench.environment import Environment, environment_from_json
from cifar_bench.mlperf_recipe import OFFICIAL_WINDOW_SECONDS
from cifar_bench.scorer import ModelFile
from cifar_bench.statistics import wilson_interval
from cifar_runtime.errors import InputError
from cifar_runtime.flaw import flaw_of

SCHEMA = "cifar-edge/mlperf-tiny/1"
OFFICIAL_NUM_WINDOWS = 5

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One timed run of repeats on one input.

    Attributes:
        image_id: the input's position in CIFAR-10's test set.
        inferences: how often the model ran.
        duration_ns: how long that took in all, nanoseconds.
    """

    image_id: int
    inferences: int
    duration_ns: int

    def __post_init__(self) -> None:
        if self.inferences < 1 or self.duration_ns < 1:
            raise ValueError(f"{self.inferences} inferences in {self.duration_ns} ns are no window")

    @property
    def throughput_per_s(self) -> float:
        """Mean throughput, inferences a second."""
        return self.inferences * _NANOSECONDS / self.duration_ns

    def to_json(self) -> dict[str, Any]:
        """The window, and what follows from it, as JSON-ready data."""
        return {
            "image_id": self.image_id,
            "inferences": self.inferences,
            "duration_ns": self.duration_ns,
            "throughput_per_s": self.throughput_per_s,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MlperfModel:
    """What was measured of one model.

    Attributes:
        name: what tables call it, different for every model of a report.
        model_file: the file measured.
        runtime: what executed it.
        threads: threads one inference may use; None where the runtime decides by itself.
        correct: images decided rightly.
        seen: images shown.
        split: which images.
        windows: one for each of the five inputs.
    """

    name: str
    model_file: ModelFile
    runtime: str
    threads: int | None
    correct: int
    seen: int
    split: str
    windows: tuple[Window, ...]

    def __post_init__(self) -> None:
        if not self.windows:
            raise ValueError("a model without windows")
        if self.seen < 1 or not 0 <= self.correct <= self.seen:
            raise ValueError(f"{self.correct} correct of {self.seen} seen is not an accuracy")

    @property
    def accuracy(self) -> float:
        """``correct / seen``, 0..1."""
        return self.correct / self.seen

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy, both ends in 0..1."""
        return wilson_interval(self.correct, self.seen)

    @property
    def throughput_per_s(self) -> float:
        """The score: the median of the windows' mean throughputs, inferences a second."""
        return float(median(window.throughput_per_s for window in self.windows))

    @property
    def latency_ns(self) -> int:
        """One over the score, nanoseconds."""
        return round(_NANOSECONDS / self.throughput_per_s)

    def to_json(self) -> dict[str, Any]:
        """The measurement as JSON-ready data."""
        return {
            "name": self.name,
            **asdict(self.model_file),
            "runtime": self.runtime,
            "threads": self.threads,
            "accuracy": {
                "correct": self.correct,
                "seen": self.seen,
                "split": self.split,
                "accuracy": self.accuracy,
                "accuracy_interval_95": list(self.accuracy_interval),
            },
            "windows": [window.to_json() for window in self.windows],
            "median_throughput_per_s": self.throughput_per_s,
            "latency_ns": self.latency_ns,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MlperfReport:
    """One run of MLPerf Tiny's method.

    Attributes:
        environment: where it was measured.
        target: the board that measured, as the user named it; None for this machine.
        warmup: unmeasured inferences before each window.
        window_seconds: how long each window was to last at least.
        models: one entry per model.
    """

    environment: Environment
    target: str | None
    warmup: int
    window_seconds: float
    models: tuple[MlperfModel, ...]

    def __post_init__(self) -> None:
        names = [model.name for model in self.models]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"models named {names}, expected one or more different names")

    @property
    def follows_the_rules(self) -> bool:
        """Whether every model has five windows of at least ten seconds, as MLPerf Tiny asks."""
        official_ns = OFFICIAL_WINDOW_SECONDS * _NANOSECONDS
        return all(
            len(model.windows) == OFFICIAL_NUM_WINDOWS
            and all(window.duration_ns >= official_ns for window in model.windows)
            for model in self.models
        )

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready data, schema ``cifar-edge/mlperf-tiny/1``."""
        return {
            "schema": SCHEMA,
            "environment": self.environment.to_json(),
            "target": self.target,
            "warmup": self.warmup,
            "window_seconds": self.window_seconds,
            "follows_the_rules": self.follows_the_rules,
            "models": [model.to_json() for model in self.models],
        }

    def to_text(self) -> str:
        """The report as indented JSON text."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def mlperf_report_from_text(text: str, *, origin: str) -> MlperfReport:
    """The report that ``to_text`` wrote.

    Args:
        text: JSON.
        origin: where it came from, for error messages.

    Raises:
        InputError: not JSON, of another schema, incomplete, or contradicting itself.
    """
    hint = "Measure again with cifar-bench --mlperf-tiny --json FILE."
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            raise InputError(
                f"{origin}: schema is {document['schema']!r}, expected {SCHEMA!r}.", hint=hint
            )
        return MlperfReport(
            environment=environment_from_json(document["environment"]),
            target=document["target"],
            warmup=int(document["warmup"]),
            window_seconds=float(document["window_seconds"]),
            models=tuple(_model_from_json(model) for model in document["models"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{origin}: is not an MLPerf Tiny report: {flaw_of(error)}.", hint=hint
        ) from error


def _model_from_json(document: Mapping[str, Any]) -> MlperfModel:
    accuracy = document["accuracy"]
    return MlperfModel(
        name=document["name"],
        model_file=ModelFile(
            file=document["file"],
            format=document["format"],
            size_bytes=int(document["size_bytes"]),
            sha256=document["sha256"],
        ),
        runtime=document["runtime"],
        threads=document["threads"],
        correct=int(accuracy["correct"]),
        seen=int(accuracy["seen"]),
        split=accuracy["split"],
        windows=tuple(
            Window(
                image_id=int(window["image_id"]),
                inferences=int(window["inferences"]),
                duration_ns=int(window["duration_ns"]),
            )
            for window in document["windows"]
        ),
    )
