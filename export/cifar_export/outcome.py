"""How an export ends that did not publish everything: what was, what was not, and the error that says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cifar_export.recipe import ExportResult, Quantize
from cifar_runtime.errors import ArtefactError, CifarEdgeError, GateError


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFailure:
    """One artefact that was not published.

    Attributes:
        name: its file's name.
        quantize: its precision.
        reason: it failed its gate, or a different artefact of that name was kept.
        sentence: what happened, without a full stop.
        split: the split it was measured on.
        num_images: how many.
        gates: as :meth:`cifar_bench.gate.Gate.to_json` gives them.
    """

    name: str
    quantize: Quantize
    reason: Literal["gate", "different artefact"]
    sentence: str
    split: str
    num_images: int
    gates: tuple[Mapping[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """The failure as JSON-ready data."""
        return {
            "name": self.name,
            "reason": self.reason,
            "message": self.sentence,
            "split": self.split,
            "num_images": self.num_images,
            "gates": [dict(gate) for gate in self.gates],
        }


class PartialExportError(CifarEdgeError):
    """An export that did not publish everything.

    Attributes:
        results: the artefacts that were published.
        failures: those that were not, for whatever reason.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        results: tuple[ExportResult, ...],
        failures: tuple[ExportFailure, ...],
    ) -> None:
        super().__init__(message, hint=hint)
        self.results = results
        self.failures = failures


class ExportGateError(PartialExportError, GateError):
    """One or more artefacts failed their gate and were not published."""


class ExportConflictError(PartialExportError, ArtefactError):
    """Every artefact passed its gate, but different ones were in the way of some and were kept."""
