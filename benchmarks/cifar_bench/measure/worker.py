"""The process that one model is measured in: ``python -m cifar_bench.measure.worker``, asked in JSON lines.

A request is ``{"do": NAME, ...}``; the answer is ``{"ok": ...}`` or ``{"error": ...}``, before which a long action
writes ``{"counted": [DONE, TOTAL]}``. Arrays travel as files (images) or base64 (scores), never as pickles. The
parent is :mod:`cifar_bench.measure.worker_process`.
"""

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from cifar_bench.measure.artefact_cost import cost_of
from cifar_bench.measure.checkpoint_cost import checkpoint_cost
from cifar_bench.measure.sampling import sample_calls, warm_up
from cifar_bench.results.cost import profile_to_json
from cifar_bench.results.timings import Startup
from cifar_eval.models.exported import ExportedModel
from cifar_eval.models.input_mapping import mapping_from_json
from cifar_eval.models.keras import CheckpointModel, imported_keras
from cifar_eval.models.protocols import BenchmarkFormat, BenchmarkModel
from cifar_runtime.documents import to_document
from cifar_runtime.errors import CifarEdgeError
from cifar_runtime.progress import Counter
from cifar_runtime.sessions.base import SessionOptions
from cifar_runtime.sessions.interpreters import import_interpreter

_STATUS = Path("/proc/self/status")

_clock = time.perf_counter_ns


class Worker:
    """One opened model and its ready input tensors."""

    def __init__(self, count: Counter) -> None:
        self._count = count
        self._model: BenchmarkModel
        self._inputs: list[Any] = []

    def open(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Opens the model, runs it once, and answers what it is and how long that took."""
        start = _clock()
        _import_runtime(request["format"])
        imported = _clock()
        self._model = _open_model(request)
        opened = _clock()
        height, width, channels = self._model.image_shape
        images = np.load(request["images"], mmap_mode="r")[request["positions"]]
        if images.shape[1:] != (height, width, channels):
            images = np.zeros((1, height, width, channels), dtype=np.uint8)
        self._inputs = [self._model.prepare(images[i : i + 1]) for i in range(len(images))]
        before = _clock()
        self._model.infer(self._inputs[0])
        startup = Startup(
            import_ns=imported - start,
            load_ns=opened - imported,
            first_inference_ns=_clock() - before,
            peak_rss_bytes=peak_rss_bytes(),
        )
        return {
            "name": self._model.name,
            "labels": list(self._model.labels),
            "image_shape": [height, width, channels],
            "model_file": to_document(self._model.model_file),
            "runtime": self._model.runtime,
            "threads": self._model.threads,
            "startup": to_document(startup),
        }

    def warm_up(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Runs until times have stopped falling."""
        return to_document(
            warm_up(self._model.infer, self._inputs, window=request["window"], clock=_clock)
        )

    def block(self, request: Mapping[str, Any]) -> list[int]:
        """Nanoseconds of each numbered run."""
        runs = range(request["first"], request["end"])
        return sample_calls(
            self._model.infer, self._inputs, runs=runs, warmup=request["warmup"], clock=_clock
        )

    def batch(self, request: Mapping[str, Any]) -> list[int]:
        """Nanoseconds of each call with a whole batch, which repeats the images as needed."""
        images = np.load(request["images"], mmap_mode="r")
        positions = np.arange(request["batch_size"]) % len(images)
        tensor = self._model.prepare(images[positions])
        return sample_calls(
            self._model.infer, [tensor], runs=range(request["calls"]), warmup=2, clock=_clock
        )

    def score(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Scores and probabilities of the images from ``first`` to ``end``."""
        images = np.load(request["images"], mmap_mode="r")[request["first"] : request["end"]]
        scores = self._model.scores(np.ascontiguousarray(images))
        return {
            "num_classes": scores.shape[1],
            "scores": _base64(scores.astype("<f4")),
            "probabilities": _base64(self._model.probabilities(scores).astype("<f8")),
        }

    def preprocess(self, request: Mapping[str, Any]) -> list[int]:
        """Nanoseconds from a picture's file to the input tensor, each time anew."""
        from cifar_runtime.imaging.fitted_image import read_fitted

        model = self._exported_model()

        def prepared(picture: Path) -> Any:
            pixels = read_fitted(picture, model.contract.input)
            return model.prepare(pixels[np.newaxis])

        pictures = [Path(request["picture"])]
        return sample_calls(
            prepared, pictures, runs=range(request["calls"]), warmup=3, clock=_clock
        )

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What the file computes, and what XNNPACK takes over."""
        if isinstance(self._model, CheckpointModel):
            return {"cost": to_document(checkpoint_cost(self._model.model)), "delegation": None}
        artefact = self._exported_model().artefact
        delegation = None
        if request["xnnpack"]:
            from cifar_bench.measure.litert_delegation import delegation_of

            delegation = delegation_of(artefact)
        return {
            "cost": to_document(cost_of(artefact)),
            "delegation": None if delegation is None else delegation.to_json(),
        }

    def profile(self, request: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """The time per operator of an exported model."""
        runs, inputs = request["runs"], self._inputs
        if self._model.runtime == "litert":
            from cifar_bench.measure import litert_profile

            found = litert_profile.profile_of(
                self._exported_model().artefact,
                inputs,
                runs=runs,
                xnnpack=request["xnnpack"],
                clock=_clock,
            )
        elif self._model.runtime == "onnxruntime":
            from cifar_bench.measure import ort_profile

            level = request["graph_optimization"]
            found = ort_profile.profile_of(
                self._exported_model().artefact, inputs, runs=runs, graph_optimization=level
            )
        else:
            return None
        return profile_to_json(found)

    def roofline(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The machine's ceilings; no model need be open."""
        from cifar_bench.measure.machine.ceilings import measure_roofline

        runtimes = tuple(request["runtimes"])
        return measure_roofline(runtimes, clock=_clock, count=self._count).to_json()

    def _exported_model(self) -> ExportedModel:
        if not isinstance(self._model, ExportedModel):
            raise TypeError(f"{self._model.name} is not an exported model")
        return self._model


def peak_rss_bytes() -> int | None:
    """The most memory that this process has held; None where the system does not report it.

    On Linux from the process' own status: ``getrusage`` would count what the parent held before.
    """
    with suppress(OSError):
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _open_model(request: Mapping[str, Any]) -> BenchmarkModel:
    path, threads, options = Path(request["path"]), request["threads"], request["options"]
    if request["format"] == "keras":
        mapping = mapping_from_json(request["mapping"])
        return CheckpointModel(path, labels=request["labels"], threads=threads, mapping=mapping)
    return ExportedModel(
        path,
        contract=request["contract"],
        threads=threads,
        options=SessionOptions(**options),
        own_process=True,
    )


def _import_runtime(model_format: BenchmarkFormat) -> None:
    if model_format == "keras":
        imported_keras()
        return
    with suppress(ImportError):  # the session says what is missing
        import_interpreter(model_format)


def _base64(array: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def main() -> int:
    """Answers requests until stdin ends."""
    answers = _private_stdout()
    first = json.loads(sys.stdin.readline())
    if first["pinned_cpus"] is not None:
        os.sched_setaffinity(0, first["pinned_cpus"])

    def answer(document: dict[str, Any]) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    worker = Worker(lambda *counted: answer({"counted": counted}))
    for line in sys.stdin:
        request = json.loads(line)
        action: Callable[[Mapping[str, Any]], Any] = getattr(worker, request["do"])
        try:
            answer({"ok": action(request)})
        except CifarEdgeError as error:
            answer({"error": error.to_json()})
    return 0


def _private_stdout() -> TextIO:
    """Stdout for answers alone: what interpreters print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    sys.exit(main())
