"""What this machine can do at most, measured, so that a model's time means something. Data; it runs nothing.

A model's share of the ceiling is its achieved multiply-accumulates per second over those of a big matrix
product, run by the same runtime in the same precision on one thread. Its share of the memory rate is what
its tensors would move per second, were nothing kept in a cache, over what copying memory moves. The larger
share names the bound; far below both, the runtime's own overhead takes the time.

Source: S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual performance model",
    Communications of the ACM 52 (2009) 65-76.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cifar_bench.results.model import ModelReport
from cifar_eval.intervals import percentile
from cifar_runtime.documents import to_document

CeilingPrecision = Literal["float32", "int8"]
Bound = Literal["compute", "memory", "neither"]

_FAR_BELOW = 0.1
"""A model whose shares are both smaller is bound by neither."""

_EXCEEDED_SHARE = 1.005
"""From here on a share is printed as 101 % or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """A big product of two square matrices, repeated on one thread.

    Attributes:
        runtime: what executed it: litert, onnxruntime or keras/tensorflow.
        precision: of its weights and activations.
        macs: multiply-accumulates of one product.
        samples_ns: the fastest product of every block of them, nanoseconds.
    """

    runtime: str
    precision: CeilingPrecision
    macs: int
    samples_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.precision not in get_args(CeilingPrecision) or not self.samples_ns:
            raise ValueError(f"a ceiling of {self.precision!r} with {len(self.samples_ns)} samples")

    @property
    def macs_per_s(self) -> float:
        """Multiply-accumulates in one second, from the fastest product: a ceiling is what can be had."""
        return self.macs / min(self.samples_ns) * 1e9

    @property
    def size(self) -> int:
        """Rows and columns of its matrices."""
        return round(math.pow(self.macs, 1 / 3))

    def to_json(self) -> dict[str, Any]:
        """The samples, and what follows from them, as JSON-ready data."""
        return to_document(self, "macs_per_s", before="samples_ns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """The ceilings of one machine.

    Attributes:
        ceilings: one for each runtime and precision that could be measured.
        copied_bytes: size of the buffer that was copied, beyond the last-level cache.
        copy_samples_ns: one duration per copy, nanoseconds.
    """

    ceilings: tuple[Ceiling, ...]
    copied_bytes: int
    copy_samples_ns: tuple[int, ...]

    def ceiling_of(self, runtime: str, precision: str) -> Ceiling | None:
        """The ceiling of a runtime in a precision; None where it was not measured."""
        for one in self.ceilings:
            if (one.runtime, one.precision) == (runtime, precision):
                return one
        return None

    @property
    def copy_bytes_per_s(self) -> float:
        """Bytes copied in one second (each is read once and written once), from the typical copy."""
        return self.copied_bytes / percentile(self.copy_samples_ns, 50) * 1e9

    @property
    def moved_bytes_per_s(self) -> float:
        """Bytes read or written in one second: a copied byte is both."""
        return 2 * self.copy_bytes_per_s

    def to_json(self) -> dict[str, Any]:
        """The samples, and what follows from them, as JSON-ready data."""
        return to_document(self, "copy_bytes_per_s", before="copy_samples_ns")


def roofline_share(roofline: Roofline | None, model: ModelReport) -> float | None:
    """A model's multiply-accumulates per second as a share of its runtime's ceiling.

    Above 1 where a model does more than was measured as the ceiling. None where either is unknown, or where
    the model ran with another number of threads than the ceiling's one.
    """
    if roofline is None or model.macs_per_s is None or model.latency.threads != 1:
        return None
    ceiling = roofline.ceiling_of(model.runtime, model.cost.precision)
    return None if ceiling is None else model.macs_per_s / ceiling.macs_per_s


def exceeds_ceiling(roofline: Roofline | None, model: ModelReport) -> bool:
    """Whether a model does more than the matrix product that was measured as its ceiling.

    Its layers may fit the caches better, or its runtime may compute a convolution in fewer operations
    than are counted; such a ceiling bounds nothing.
    """
    share = roofline_share(roofline, model)
    return share is not None and share >= _EXCEEDED_SHARE


def memory_share(roofline: Roofline | None, model: ModelReport) -> float | None:
    """A model's moved bytes per second as a share of the memory rate, 0..1; above 1 only thanks to caches.

    None where either is unknown, or where the model ran with another number of threads than one.
    """
    moved_bytes = model.cost.moved_bytes
    if roofline is None or moved_bytes is None or model.latency.threads != 1:
        return None
    moved_bytes_per_s = moved_bytes / max(1, model.latency.median_ns) * 1e9
    return moved_bytes_per_s / roofline.moved_bytes_per_s


def bound_of(roofline: Roofline | None, model: ModelReport) -> Bound | None:
    """What limits a model, were nothing kept in a cache.

    None where a share is unknown, or above its ceiling, which then bounds nothing.
    """
    compute, memory = roofline_share(roofline, model), memory_share(roofline, model)
    if compute is None or memory is None or exceeds_ceiling(roofline, model):
        return None
    if max(compute, memory) < _FAR_BELOW:
        return "neither"
    return "compute" if compute >= memory else "memory"


def bound_sentence(roofline: Roofline | None, models: Sequence[ModelReport]) -> str | None:
    """Which models computing bounds and which memory, with both shares; None where it is known of none."""
    bounds: dict[Bound, list[str]] = {}
    for model in models:
        bound, compute = bound_of(roofline, model), roofline_share(roofline, model)
        memory = memory_share(roofline, model)
        if bound is not None and compute is not None and memory is not None:
            shares = f"{100 * compute:.0f} and {100 * memory:.0f} %"
            bounds.setdefault(bound, []).append(f"{model.name} ({shares})")
    if not bounds:
        return None
    parts = [
        f"{bound} for {', '.join(bounds[bound])}" for bound in get_args(Bound) if bound in bounds
    ]
    return (
        f"Bound by {'; by '.join(parts)}: shares of the ceiling, and of the memory rate if no tensor "
        "stayed in a cache."
    )


def exceeded_sentence(roofline: Roofline | None, models: Sequence[ModelReport]) -> str | None:
    """Which models do more than was measured as their ceiling, with their shares; None where none does."""
    beyond = [
        f"{model.name} ({100 * (roofline_share(roofline, model) or 0):.0f} %)"
        for model in models
        if exceeds_ceiling(roofline, model)
    ]
    if not beyond:
        return None
    return f"More than was measured as the ceiling, which bounds nothing then: {', '.join(beyond)}."
