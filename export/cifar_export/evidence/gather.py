"""What a card says beyond the gate's verdict, where the recipe asks for it: confidence and robustness."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cifar_data.split import Split
from cifar_data.split_names import ValidationRule
from cifar_eval.accuracy import Accuracy
from cifar_eval.robustness.counts import Score
from cifar_export.evidence.confidence_card import (
    ConfidenceImages,
    confidence_of,
    load_confidence_images,
)
from cifar_export.evidence.robustness_card import (
    RobustnessImages,
    load_robustness_images,
    robustness_of,
)
from cifar_export.recipe import ExportRecipe
from cifar_runtime.classifier import Classifier
from cifar_runtime.contract import Contract, InputContract

FAMILIAR = 0.02
"""By how much a model may do better on the images that fit its confidence than on the gate's, beyond chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceImages:
    """The images of both measurements; None where the recipe asks for none."""

    confidence: ConfidenceImages | None
    robustness: RobustnessImages | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was measured of one artefact.

    Attributes:
        contract: with the temperature and threshold, where they were fitted.
        documents: for the card's provenance, by name; None where nothing was measured.
        remarks: for the user, one sentence each.
    """

    contract: Contract
    documents: dict[str, dict[str, Any] | None]
    remarks: tuple[str, ...]


def load_evidence_images(
    recipe: ExportRecipe,
    *,
    labels: tuple[str, ...],
    contract: InputContract,
    gate: Split,
    reference: Score,
    held_out: Split | ValidationRule,
) -> EvidenceImages:
    """The images that the recipe's measurements need.

    Args:
        recipe: asks for the measurements.
        labels: class names in the order of the scores.
        contract: how pictures are brought to the model's size.
        gate: the images that the gate measures.
        reference: the checkpoint's scores of images.
        held_out: what the checkpoint's training did not learn from: pictures of a run, or which of CIFAR-10's.

    Raises:
        InputError: images are missing, or do not fit.
        MissingDependencyError: scikit-learn is not installed.
    """
    confidence, robustness = recipe.confidence, recipe.robustness
    return EvidenceImages(
        confidence=None
        if confidence is None
        else load_confidence_images(
            confidence, labels=labels, contract=contract, gate=gate, held_out=held_out
        ),
        robustness=None
        if robustness is None
        else load_robustness_images(
            robustness,
            gate=gate,
            held_out=gate if recipe.evaluation.data is not None else held_out,
            reference=reference,
        ),
    )


def gather_evidence(
    path: Path, contract: Contract, images: EvidenceImages, recipe: ExportRecipe, *, gate: Accuracy
) -> Evidence:
    """What the recipe asks for, measured with the artefact itself.

    Args:
        path: the artefact, its card beside it.
        contract: of the artefact.
        images: that the measurements need.
        recipe: asks for them.
        gate: what the gate found of the artefact.

    Raises:
        ArtefactError: the model fails, or its scores are not numbers.
    """
    documents: dict[str, dict[str, Any] | None] = {"confidence": None, "robustness": None}
    remarks: list[str] = []
    if images.confidence is None and images.robustness is None:
        return Evidence(contract=contract, documents=documents, remarks=())
    classifier = Classifier(path)
    try:
        if images.confidence is not None and recipe.confidence is not None:
            found = confidence_of(classifier, images.confidence, recipe.confidence)
            contract = replace(contract, output=found.fit.applied_to(contract.output))
            documents["confidence"] = found.document
            remarks.append(found.remark)
            if found.accuracy.interval[0] > gate.interval[1] + FAMILIAR:
                remarks.append(_familiar(found.accuracy, gate))
        if images.robustness is not None:
            held = robustness_of(classifier.scores, images.robustness)
            documents["robustness"] = held.document
            remarks.append(held.remark)
    finally:
        classifier.session.close()
    return Evidence(contract=contract, documents=documents, remarks=tuple(remarks))


def _familiar(fitted: Accuracy, gate: Accuracy) -> str:
    return (
        f"warning: it is right on {fitted.value:.2%} of the images that set its temperature and threshold "
        f"({fitted.split}), on {gate.value:.2%} of those that the gate measures ({gate.split}): if it was trained on "
        "the former, it is too sure of itself; give --confidence-data DIR with images that it has not seen"
    )
