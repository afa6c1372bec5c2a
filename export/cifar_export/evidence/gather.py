"""What a card says beyond the gate's verdict, where the recipe asks for it: confidence and robustness."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cifar_data.split import Split
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
    own: Split | None = None,
) -> EvidenceImages:
    """The images that the recipe's measurements need.

    Args:
        recipe: asks for the measurements.
        labels: class names in the order of the scores.
        contract: how pictures are brought to the model's size.
        gate: the images that the gate measures.
        reference: the checkpoint's scores of images.
        own: validation images of the user's own, where the checkpoint was trained on such; None for CIFAR-10's.

    Raises:
        InputError: images are missing, or do not fit.
        MissingDependencyError: scikit-learn is not installed.
    """
    confidence, robustness = recipe.confidence, recipe.robustness
    return EvidenceImages(
        confidence=None
        if confidence is None
        else load_confidence_images(
            confidence, labels=labels, contract=contract, gate=gate, own=own
        ),
        robustness=None
        if robustness is None
        else load_robustness_images(
            robustness,
            gate=gate,
            is_folder=own is not None or recipe.evaluation.data is not None,
            reference=reference,
        ),
    )


def gather_evidence(
    path: Path, contract: Contract, images: EvidenceImages, recipe: ExportRecipe
) -> Evidence:
    """What the recipe asks for, measured with the artefact itself.

    Args:
        path: the artefact, its card beside it.
        contract: of the artefact.
        images: that the measurements need.
        recipe: asks for them.

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
        if images.robustness is not None:
            held = robustness_of(classifier.scores, images.robustness)
            documents["robustness"] = held.document
            remarks.append(held.remark)
    finally:
        classifier.session.close()
    return Evidence(contract=contract, documents=documents, remarks=tuple(remarks))
