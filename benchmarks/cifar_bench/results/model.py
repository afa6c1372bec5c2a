"""What a benchmark measured of one model in one runtime, as data with its JSON pair."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cifar_bench.results.cost import Cost, Delegation, OperatorTime, profile_to_json
from cifar_bench.results.latency import Latency
from cifar_bench.results.timings import ColdStart, Energy, Preprocessing, Startup, Throughput
from cifar_eval.detailed_accuracy import DetailedAccuracy
from cifar_eval.flips import Flip
from cifar_eval.models.protocols import ModelFile
from cifar_eval.parity.counts import Parity
from cifar_runtime.documents import INLINED, to_document


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """What was measured of one model in one runtime.

    Attributes:
        name: what tables call it, different for every entry of a report.
        model_file: the file measured.
        runtime: what executed it: litert, onnxruntime, or keras/<backend>.
        options: how that runtime was set up, such as ``{"xnnpack": False}``.
        cost: parameters, multiply-accumulates, weight bytes, operators.
        accuracy: on the report's images.
        reference: name of the model that it is compared with; None without one, and for a reference.
        parity: against that model.
        flips: images on which it decides differently from it, up to 24.
        latency: of single-image inference, with the first of the thread counts asked for.
        threads: the same with every further thread count.
        throughput: of batches.
        startup: of a fresh process.
        cold_start: of cifar-classify as a whole; None for what it does not run.
        preprocessing: of one picture, apart from inference; None for a checkpoint, which states none.
        energy: of single-image inference; None where the machine does not report it.
        delegation: what XNNPACK runs; None in other runtimes, and where LiteRT does not report it.
        profile: time per operator; None when not asked for, and for a checkpoint in Keras.
    """

    name: str
    model_file: ModelFile = field(metadata=INLINED)
    runtime: str
    options: Mapping[str, str | bool]
    cost: Cost
    accuracy: DetailedAccuracy
    reference: str | None
    parity: Parity | None
    flips: tuple[Flip, ...]
    latency: Latency
    threads: tuple[Latency, ...]
    throughput: tuple[Throughput, ...]
    startup: Startup
    cold_start: ColdStart | None
    preprocessing: Preprocessing | None
    energy: Energy | None
    delegation: Delegation | None
    profile: tuple[OperatorTime, ...] | None

    @property
    def latencies(self) -> tuple[Latency, ...]:
        """Single-image latency with every thread count, the first one first."""
        return (self.latency, *self.threads)

    @property
    def macs_per_s(self) -> float | None:
        """Multiply-accumulates achieved in one second of single-image inference; None where unknown."""
        if self.cost.macs is None:
            return None
        return self.cost.macs / max(1, self.latency.median_ns) * 1e9

    def to_json(self) -> dict[str, Any]:
        """The measurement as JSON-ready data."""
        document = to_document(self, "macs_per_s", before="accuracy")
        profile = None if self.profile is None else profile_to_json(self.profile)
        return document | {"profile": profile}


def runtime_in_words(model: ModelReport) -> str:
    """The runtime with its options."""
    options = ", ".join(
        f"{'' if value else 'no '}{name}" if isinstance(value, bool) else f"{name} {value}"
        for name, value in model.options.items()
    )
    return f"{model.runtime}, {options}" if options else model.runtime
