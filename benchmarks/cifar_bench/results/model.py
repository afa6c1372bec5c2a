"""What a benchmark measured of one model in one runtime, as data with its JSON pair."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from cifar_bench.results.cost import (
    Cost,
    Delegation,
    OperatorTime,
    cost_from_json,
    delegation_from_json,
    profile_from_json,
    profile_to_json,
)
from cifar_bench.results.latency import Latency, latency_from_json
from cifar_bench.results.timings import (
    ColdStart,
    Energy,
    Preprocessing,
    Startup,
    Throughput,
    cold_start_from_json,
    energy_from_json,
    preprocessing_from_json,
    startup_from_json,
    throughput_from_json,
)
from cifar_eval.detailed_accuracy import DetailedAccuracy, detailed_accuracy_from_json
from cifar_eval.flips import Flip, flip_from_json
from cifar_eval.models.protocols import ModelFile
from cifar_eval.parity.counts import Parity, parity_from_json

Read = TypeVar("Read")


class _Writable(Protocol):
    def to_json(self) -> dict[str, Any]: ...


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
        energy: of single-image inference; None where the machine does not tell.
        delegation: what XNNPACK runs; None in other runtimes, and where LiteRT does not tell.
        profile: time per operator; None when not asked for, or where the runtime offers none.
    """

    name: str
    model_file: ModelFile
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
        return {
            "name": self.name,
            **asdict(self.model_file),
            "runtime": self.runtime,
            "options": dict(self.options),
            "cost": self.cost.to_json(),
            "macs_per_s": self.macs_per_s,
            "accuracy": self.accuracy.to_json(),
            "reference": self.reference,
            "parity": _json_or_none(self.parity),
            "flips": [flip.to_json() for flip in self.flips],
            "latency": self.latency.to_json(),
            "threads": [latency.to_json() for latency in self.threads],
            "throughput": [one.to_json() for one in self.throughput],
            "startup": self.startup.to_json(),
            "cold_start": _json_or_none(self.cold_start),
            "preprocessing": _json_or_none(self.preprocessing),
            "energy": _json_or_none(self.energy),
            "delegation": _json_or_none(self.delegation),
            "profile": None if self.profile is None else profile_to_json(self.profile),
        }


def model_report_from_json(document: Mapping[str, Any]) -> ModelReport:
    """The measurement that ``to_json`` wrote; only raw numbers are read.

    Raises:
        KeyError: a field is missing.
        TypeError: a field has another type.
        ValueError: a value is impossible, or values contradict each other.
    """
    return ModelReport(
        name=str(document["name"]),
        model_file=ModelFile(
            file=document["file"],
            format=document["format"],
            size_bytes=int(document["size_bytes"]),
            sha256=document["sha256"],
        ),
        runtime=str(document["runtime"]),
        options=dict(document["options"]),
        cost=cost_from_json(document["cost"]),
        accuracy=detailed_accuracy_from_json(document["accuracy"]),
        reference=document["reference"],
        parity=_read(parity_from_json, document["parity"]),
        flips=tuple(flip_from_json(flip) for flip in document["flips"]),
        latency=latency_from_json(document["latency"]),
        threads=tuple(latency_from_json(latency) for latency in document["threads"]),
        throughput=tuple(throughput_from_json(one) for one in document["throughput"]),
        startup=startup_from_json(document["startup"]),
        cold_start=_read(cold_start_from_json, document["cold_start"]),
        preprocessing=_read(preprocessing_from_json, document["preprocessing"]),
        energy=_read(energy_from_json, document["energy"]),
        delegation=_read(delegation_from_json, document["delegation"]),
        profile=_read(profile_from_json, document["profile"]),
    )


def _json_or_none(part: _Writable | None) -> dict[str, Any] | None:
    return None if part is None else part.to_json()


def _read(read: Callable[[Any], Read], document: Any) -> Read | None:
    return None if document is None else read(document)


def runtime_in_words(model: ModelReport) -> str:
    """The runtime with its options."""
    options = ", ".join(
        f"{'' if value else 'no '}{name}" if isinstance(value, bool) else f"{name} {value}"
        for name, value in model.options.items()
    )
    return f"{model.runtime}, {options}" if options else model.runtime
