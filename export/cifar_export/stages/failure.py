"""An artefact that is not published: how that is found, what is said of it, and the document that is left."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cifar_eval.layers.explanation import Explanation
from cifar_export.evidence.golden import golden_request
from cifar_export.evidence.verify import Verification, verify
from cifar_export.publish.publish import DifferentArtefactError
from cifar_export.recipe import CALIBRATED, Quantize
from cifar_export.result import ExportFailure
from cifar_export.stages.staged import Request, Staged
from cifar_export.targets.known_targets import Key
from cifar_runtime.documents import to_document
from cifar_runtime.errors import ArtefactError
from cifar_runtime.progress import Progress

FAILED_SCHEMA = "cifar-edge/failed-export/1"


def verified(request: Request, staged: Staged, progress: Progress) -> Verification | ArtefactError:
    """The comparison with Keras, or the interpreter's refusal where the user's own images set the ranges.

    Images unlike real ones can leave ranges so far apart that no interpreter takes the scales between them.

    Raises:
        ArtefactError: the interpreter refuses an artefact whose ranges are not of such images.
    """
    recipe, source, quantize = request.recipe, request.source, staged.key[1]
    try:
        return verify(
            staged.path,
            source.reference,
            source.split,
            recipe.gate.limits(quantize),
            golden_request(recipe, source.judge.scores),
            progress=progress,
        )
    except ArtefactError as error:
        if recipe.calibration.data is None or quantize not in CALIBRATED:
            raise
        return ArtefactError(error.message.replace(str(staged.path), staged.path.name))


def conversion_failure(
    target: Path, key: Key, error: ArtefactError, *, split: str
) -> ExportFailure:
    """The failure of an artefact that could not be made.

    Args:
        target: where it would have been published.
        key: its format and precision.
        error: what the converter says.
        split: what it was to be compared on.
    """
    return ExportFailure(
        name=target.name,
        quantize=key[1],
        reason="cannot be converted",
        sentence=f"{target.name}: {error.message.removesuffix('.')} ({error.hint.removesuffix('.')})",
        split=split,
        num_images=0,
        gates=(),
        layers=None,
    )


def failed_export_document(
    card: Mapping[str, Any],
    verification: Verification | ArtefactError,
    layers: Explanation | None,
) -> dict[str, Any]:
    """What is left of an artefact that failed its gate: everything but the model, and why it failed."""
    return {
        **card,
        "schema": FAILED_SCHEMA,
        "layers": to_document(layers),
        "refusal": verification.message if isinstance(verification, ArtefactError) else None,
    }


def failed_gate(
    target: Path,
    quantize: Quantize,
    verification: Verification | ArtefactError,
    layers: Explanation | None,
    *,
    split: str,
) -> ExportFailure:
    """The failure of an artefact that decides too differently, or that its interpreter refuses.

    Args:
        target: where it would have been published.
        quantize: its precision.
        verification: the comparison, or the refusal.
        layers: how its layers differ from float32.
        split: what it was to be compared on.
    """
    if isinstance(verification, ArtefactError):
        return ExportFailure(
            name=target.name,
            quantize=quantize,
            reason="does not run",
            sentence=verification.message.removesuffix("."),
            split=split,
            num_images=0,
            gates=(),
            layers=layers,
        )
    gates, seen = verification.gates, verification.parity.seen
    verdict = ", ".join(gate.sentence for gate in gates)
    return ExportFailure(
        name=target.name,
        quantize=quantize,
        reason="gate",
        sentence=f"{target.name} on {seen:,} images of {split}: {verdict}",
        split=split,
        num_images=seen,
        gates=tuple(to_document(gate) for gate in gates),
        layers=layers,
    )


def conflict_failure(
    target: Path, quantize: Quantize, verification: Verification, error: DifferentArtefactError
) -> ExportFailure:
    """The failure of an artefact that passed its gate where a different one is there already."""
    return ExportFailure(
        name=target.name,
        quantize=quantize,
        reason="different artefact",
        sentence=error.message.removesuffix("."),
        split=verification.split,
        num_images=verification.parity.seen,
        gates=tuple(to_document(gate) for gate in verification.gates),
        layers=None,
    )
