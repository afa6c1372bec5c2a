"""What a model's file holds and computes, and what a runtime makes of it, as data. It measures nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cifar_runtime.documents import to_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the file says about one inference of one image.

    Attributes:
        precision: of the computing weights: float32, float16 or int8, or mixed.
        parameters: learned values.
        macs: multiply-accumulates of convolutions and dense layers; None where not known.
        weight_bytes: what the parameters take.
        operators: how often each operator (layer, for a checkpoint) occurs.
        moved_bytes: all weights once, and what convolutions and dense layers read and write besides;
            None where not known. What stands between them is taken as fused with them.
    """

    precision: str
    parameters: int
    macs: int | None
    weight_bytes: int
    operators: Mapping[str, int]
    moved_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """Which operators LiteRT hands to XNNPACK, and which stay with its own kernels.

    Attributes:
        delegated: how often each operator was handed over.
        fallback: how often each operator was not.
    """

    delegated: Mapping[str, int]
    fallback: Mapping[str, int]

    @property
    def sentence(self) -> str:
        """Both counts in words."""
        done, left = sum(self.delegated.values()), sum(self.fallback.values())
        if not left:
            return f"XNNPACK runs all {done} operators"
        names = ", ".join(
            name if count == 1 else f"{count} {name}" for name, count in self.fallback.items()
        )
        return f"XNNPACK runs {done} of {done + left} operators, LiteRT's own kernels {names}"

    def to_json(self) -> dict[str, Any]:
        """The operators as JSON-ready data."""
        return to_document(self, "sentence")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """The time that one operator of the network took in a profiled session.

    Attributes:
        operator: its name or type, as the runtime calls it.
        calls: how often it ran.
        total_ns: nanoseconds in all calls together; onnxruntime's profiling itself slows them down.
        macs: multiply-accumulates of one call; None where they are not known.
    """

    operator: str
    calls: int
    total_ns: int
    macs: int | None = None


def profile_to_json(profile: tuple[OperatorTime, ...]) -> list[dict[str, Any]]:
    """The operators, the slowest first, with their share of the whole time, as JSON-ready data."""
    whole = sum(one.total_ns for one in profile)
    return [
        {**to_document(one), "share": one.total_ns / whole if whole else 0.0}
        for one in sorted(profile, key=lambda one: -one.total_ns)
    ]
