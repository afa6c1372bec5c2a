"""How an export ends that did not publish everything: what was, what was not, and the error that says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cifar_export.recipe import Quantize
from cifar_runtime.documents import to_document
from cifar_runtime.errors import (
    ArtefactError,
    CifarEdgeError,
    GateError,
    InputError,
    MissingDependencyError,
)

if TYPE_CHECKING:
    from cifar_eval.layers.explanation import Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """One artefact that was published.

    Attributes:
        path: the model file; its card lies beside it.
        name: as the card says.
        size_bytes: of the model file.
        sha256: of the model file.
        accuracy: on ``split``, 0..1, of what ``measure`` says.
        accuracy_drop: Keras' accuracy minus this, -1..1.
        agreement: share of images decided as Keras decides them, 0..1.
        split: the split they were measured on.
        num_images: how many.
        remarks: what a user should know before using it, one sentence each.
        reproducible: whether a second export gave the same bytes; None where nobody looked.
        measure: what is right: the best label, or where any number may hold, all labels of an image.
    """

    path: Path
    name: str
    size_bytes: int
    sha256: str
    accuracy: float
    accuracy_drop: float
    agreement: float
    split: str
    num_images: int
    remarks: tuple[str, ...] = ()
    reproducible: bool | None = None
    measure: Literal["top-1", "exact label sets"] = "top-1"

    def to_json(self) -> dict[str, Any]:
        """The result as JSON-ready data; the measure only where it is another than top-1."""
        document = {field: getattr(self, field) for field in self.__slots__} | {
            "path": str(self.path),
            "remarks": list(self.remarks),
        }
        if self.measure == "top-1":
            del document["measure"]
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFailure:
    """One artefact that was not published, or a folder that was not written of a published one.

    Attributes:
        name: its file's or folder's name.
        quantize: its precision.
        reason: it failed its gate, its interpreter refuses it, a different artefact of that name was kept, a
            converter refuses the model, or a delivery cannot be made of it.
        sentence: what happened, without a full stop.
        split: the split it was measured on.
        num_images: how many; 0 where it does not run.
        gates: as :meth:`cifar_eval.parity.gate.Gate.to_json` gives them.
        layers: how its layers differ from float32; None where nobody looked.
        error: what a delivery ended in; None for artefacts.
        cause: what kept int8 from being prepared where the error starts, as a sentence; empty where nothing did.
    """

    name: str
    quantize: Quantize
    reason: Literal[
        "gate", "does not run", "different artefact", "cannot be converted", "cannot be delivered"
    ]
    sentence: str
    split: str
    num_images: int
    gates: tuple[Mapping[str, Any], ...]
    layers: "Explanation | None"
    error: CifarEdgeError | None = None
    cause: str = ""

    def to_json(self) -> dict[str, Any]:
        """The failure as JSON-ready data."""
        return {
            "name": self.name,
            "reason": self.reason,
            "message": self.sentence,
            "split": self.split,
            "num_images": self.num_images,
            "gates": [dict(gate) for gate in self.gates],
            "layers": to_document(self.layers),
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


class ExportRefusedError(PartialExportError, ArtefactError):
    """One or more artefacts could not be made at all; the others were tried, and those that pass are published."""


class ExportConflictError(PartialExportError, ArtefactError):
    """Every artefact passed its gate, but different ones were in the way of some and were kept."""


class ExportInputError(PartialExportError, InputError):
    """Every artefact was published, but a file or an engine for what is made of one is missing."""


class ExportDependencyError(PartialExportError, MissingDependencyError):
    """Every artefact was published, but a package for what is made of one is not installed."""
