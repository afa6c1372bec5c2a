"""One model in one runtime variant, opened in a worker process: what the bench asks it for, as data."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_bench.measure.sampling import WarmUp
from cifar_bench.measure.worker_process import WorkerProcess
from cifar_bench.results.conditions import pinning
from cifar_bench.results.cost import Cost, Delegation, OperatorTime
from cifar_bench.results.timings import Startup
from cifar_bench.variants import Variant
from cifar_eval.models.input_mapping import InputMapping
from cifar_eval.models.protocols import ModelFile
from cifar_runtime.documents import from_document
from cifar_runtime.progress import Counter, silent

_SCORED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker opens.

    Attributes:
        path: the model.
        variant: how it is run.
        contract: of a model without a card.
        labels: class names, for a checkpoint, which holds none.
        mapping: what a checkpoint takes for a pixel.
        images: a .npy file of the images to be scored, uint8, shape (n, height, width, 3).
        positions: those that latency is measured on.
    """

    path: Path
    variant: Variant
    contract: str | None
    labels: tuple[str, ...]
    mapping: InputMapping
    images: Path
    positions: tuple[int, ...]


class MeasuredModel:
    """A worker process with one open model; a context manager that ends it."""

    def __init__(self, job: Job, *, threads: int) -> None:
        """Starts a process, held on as many processors as threads, and opens the model in it.

        Raises:
            ArtefactError: the model cannot be used, or its process dies.
            MissingDependencyError: keras or an interpreter is not installed.
        """
        self.job = job
        self._worker = WorkerProcess(job.path.name, pinned_cpus=pinning(threads))
        try:
            self._take_in(self._open(threads))
        except BaseException:
            self._worker.close()
            raise

    def __enter__(self) -> "MeasuredModel":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._worker.close()

    def warm_up(self, *, window: int) -> WarmUp:
        """Runs until times have stopped falling."""
        return from_document(WarmUp, self._worker.ask("warm_up", window=window))

    def block(self, *, runs: range, warmup: int) -> Sequence[int]:
        """Nanoseconds of every numbered run, after ``warmup`` unmeasured ones."""
        samples: list[int] = self._worker.ask(
            "block", first=runs.start, end=runs.stop, warmup=warmup
        )
        return samples

    def batch(self, batch_size: int, *, calls: int) -> tuple[int, ...]:
        """Nanoseconds of each call with a whole batch."""
        return tuple(
            self._worker.ask(
                "batch", images=str(self.job.images), batch_size=batch_size, calls=calls
            )
        )

    def scores(
        self, num_images: int, *, count: Counter = silent
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Scores, float32, and probabilities, float64, of the images, shape (n, num_classes) each."""
        scores, probabilities = [], []
        for first in range(0, num_images, _SCORED_AT_ONCE):
            end = min(num_images, first + _SCORED_AT_ONCE)
            answer = self._worker.ask("score", images=str(self.job.images), first=first, end=end)
            shape = (end - first, answer["num_classes"])
            scores.append(_array(answer["scores"], np.dtype("<f4"), shape))
            probabilities.append(_array(answer["probabilities"], np.dtype("<f8"), shape))
            count(end, num_images)
        return np.concatenate(scores), np.concatenate(probabilities)

    def preprocess(self, picture: Path, *, calls: int) -> tuple[int, ...]:
        """Nanoseconds from a picture's file to the input tensor."""
        return tuple(self._worker.ask("preprocess", picture=str(picture), calls=calls))

    def describe(self) -> tuple[Cost, Delegation | None]:
        """What the file computes, and what XNNPACK takes over."""
        answer = self._worker.ask(
            "describe", xnnpack=bool(self.job.variant.options.get("xnnpack", False))
        )
        delegation = answer["delegation"]
        return (
            from_document(Cost, answer["cost"]),
            None if delegation is None else from_document(Delegation, delegation),
        )

    def profile(self, *, runs: int) -> tuple[OperatorTime, ...] | None:
        """The time per operator; None for a checkpoint in Keras."""
        options = self.job.variant.options
        answer = self._worker.ask(
            "profile",
            runs=runs,
            graph_optimization=options.get("graph_optimization"),
            xnnpack=bool(options.get("xnnpack", False)),
        )
        if answer is None:
            return None
        return tuple(from_document(OperatorTime, one) for one in answer)

    def _open(self, threads: int) -> dict[str, Any]:
        job = self.job
        opened: dict[str, Any] = self._worker.ask(
            "open",
            path=str(job.path),
            format=job.variant.format,
            options=dict(job.variant.options),
            contract=job.contract,
            labels=list(job.labels),
            mapping=job.mapping.to_json(),
            threads=threads,
            images=str(job.images),
            positions=list(job.positions),
        )
        return opened

    def _take_in(self, opened: dict[str, Any]) -> None:
        height, width, channels = opened["image_shape"]
        self.name: str = opened["name"]
        self.labels: tuple[str, ...] = tuple(opened["labels"])
        self.image_shape: tuple[int, int, int] = (height, width, channels)
        self.model_file = from_document(ModelFile, opened["model_file"])
        self.runtime: str = opened["runtime"]
        self.threads: int | None = opened["threads"]
        self.startup: Startup = from_document(Startup, opened["startup"])
        self.num_images = len(self.job.positions)


def _array(text: str, dtype: "np.dtype[Any]", shape: tuple[int, int]) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text), dtype=dtype).reshape(shape)
