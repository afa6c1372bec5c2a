"""Fits an artefact's temperature and abstention threshold on its own scores, and measures what they are worth."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.choose import positions_among
from cifar_data.cifar10.splits import LABELS
from cifar_data.image_folder import read_image_folder
from cifar_data.load import held_out_split
from cifar_data.split import Split
from cifar_data.split_names import ValidationRule
from cifar_eval.accuracy import Accuracy
from cifar_eval.calibration_error import NUM_CONFIDENCE_BINS
from cifar_eval.confidence import (
    ConfidenceFit,
    fit_confidence,
    is_answered,
    measure_confidence,
)
from cifar_export.evidence.outliers import Outliers, made_outliers, photograph_outliers
from cifar_export.recipe import ConfidenceRecipe
from cifar_runtime.classifier import Classifier
from cifar_runtime.contract import InputContract, OutputContract
from cifar_runtime.errors import InputError

COVERAGES = (0.99, 0.95, 0.9, 0.8, 0.7)
"""What the card compares, so that another coverage can be chosen knowingly."""

METHOD = {
    "temperature": "smallest negative log-likelihood of the artefact's own scores (Guo et al. 2017)",
    "zeros": "a right class with score 0 counts as a quarter of the smallest positive score",
    "certainty": "one minus the generalized entropy as a share of its largest value (Liu et al. 2023)",
    "calibration_error": f"{NUM_CONFIDENCE_BINS} equally wide bins of the decision's probability",
    "fitting": "the contract's temperature and threshold, on all these images",
    "measuring": "each half of these images with the temperature and threshold fitted on the other half",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceImages:
    """What confidence is fitted and measured on.

    Attributes:
        split: labelled images that the gate does not measure.
        outliers: pictures that show none of the classes.
    """

    split: Split
    outliers: tuple[Outliers, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """What confidence came out as.

    Attributes:
        fit: for the contract.
        document: for the card.
        accuracy: of the artefact on the images that it was fitted on.
        remark: for the user, one sentence.
    """

    fit: ConfidenceFit
    document: dict[str, Any]
    accuracy: Accuracy
    remark: str


def load_confidence_images(
    recipe: ConfidenceRecipe,
    *,
    labels: tuple[str, ...],
    contract: InputContract,
    gate: Split,
    held_out: Split | ValidationRule,
) -> ConfidenceImages:
    """The images of the recipe, told apart from those of the gate.

    The photographs go with CIFAR-10's labels only: what other labels they show, nobody has looked at.

    Args:
        recipe: names a folder, or none for what training held out.
        labels: class names in the order of the scores.
        contract: how pictures are brought to the model's size.
        gate: the images that the gate measures.
        held_out: what training did not learn from: pictures of a run, or which of CIFAR-10's.

    Raises:
        InputError: the data set was not fetched, the folder does not fit, or shares images with the gate.
        MissingDependencyError: scikit-learn is not installed.
    """
    made = made_outliers(contract)
    outliers = (*made, photograph_outliers(contract)) if labels == LABELS else made
    if recipe.data is not None:
        split = _folder_split(recipe.data, labels, contract, gate)
    elif isinstance(held_out, Split):
        _check_halves(held_out.name, held_out.labels)
        split = held_out
    else:
        split = held_out_split(held_out)
    return ConfidenceImages(split=split, outliers=outliers)


def confidence_of(
    classifier: Classifier, images: ConfidenceImages, recipe: ConfidenceRecipe
) -> Confidence:
    """The temperature and threshold of an open artefact.

    Raises:
        ArtefactError: the model fails, or its scores are not numbers.
    """
    split, output = images.split, classifier.artefact.contract.output
    labels, coverage = split.labels.astype(np.int64), recipe.coverage
    scores = classifier.scores(np.asarray(split.images))
    fit = fit_confidence(scores, labels, output, coverage=coverage)
    worth = measure_confidence(scores, labels, output, coverage=coverage)
    outlier_scores = [classifier.scores(one.images) for one in images.outliers]
    document = {
        "temperature": fit.temperature,
        "abstention_threshold": fit.abstention_threshold,
        "coverage": coverage,
        "images": {
            "split": split.name,
            "num_images": len(labels),
            "sha256": _sha256(np.asarray(split.images)),
        },
        "method": METHOD,
        "measured": worth.to_json(),
        "false_acceptance": [
            {
                "source": one.source,
                "description": one.description,
                "seen": len(one.images),
                "accepted": _accepted(found, output, fit),
                "sha256": _sha256(one.images),
            }
            for one, found in zip(images.outliers, outlier_scores, strict=True)
        ],
        "other_coverages": [
            _at_coverage(scores, labels, output, other, outlier_scores) for other in COVERAGES
        ],
    }
    return Confidence(
        fit=fit,
        document=document,
        accuracy=Accuracy(correct=worth.correct, seen=worth.seen, split=split.name),
        remark=_remark(document),
    )


def _accepted(scores: NDArray[np.float32], output: OutputContract, fit: ConfidenceFit) -> int:
    """How many pictures with such scores get a sure answer."""
    return int(np.count_nonzero(is_answered(scores, output, fit)))


def _at_coverage(
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    output: OutputContract,
    coverage: float,
    outlier_scores: list[NDArray[np.float32]],
) -> dict[str, Any]:
    """What another coverage would have given; false acceptance in the order of the sources."""
    fit = fit_confidence(scores, labels, output, coverage=coverage)
    worth = measure_confidence(scores, labels, output, coverage=coverage)
    return {
        "coverage": coverage,
        "abstention_threshold": fit.abstention_threshold,
        "answered": worth.answered,
        "answered_correct": worth.answered_correct,
        "accepted": [_accepted(found, output, fit) for found in outlier_scores],
    }


def _remark(document: dict[str, Any]) -> str:
    worth, images = document["measured"], document["images"]
    outliers = ", ".join(
        f"{one['accepted']} of {one['seen']} {one['source']}"
        for one in document["false_acceptance"]
    )
    right = "none" if worth["answered"] == 0 else f"{worth['selective_accuracy']:.2%} of them right"
    return (
        f"temperature {document['temperature']:g}, unsure below a certainty of "
        f"{document['abstention_threshold']:.4g}: answers "
        f"{worth['coverage']:.2%} of {images['num_images']:,} images of {images['split']}, {right} "
        f"(of all {worth['accuracy']:.2%}); calibration error {worth['ece_before']:.2%}, now "
        f"{worth['ece_after']:.2%}; answers, wrongly, {outliers}"
    )


def _folder_split(
    folder: Path, labels: tuple[str, ...], contract: InputContract, gate: Split
) -> Split:
    split = read_image_folder(folder, labels=labels, contract=contract)
    shared = positions_among(np.asarray(split.images), np.asarray(gate.images))
    if shared:
        raise InputError(
            f"{folder}: {len(shared)} of its {len(split.images)} images are among those that the gate measures "
            f"({gate.name}), expected other ones.",
            hint="Give --confidence-data DIR images that --eval-data lacks.",
        )
    _check_halves(str(folder), np.asarray(split.labels))
    return split


def _check_halves(name: str, classes: NDArray[np.int64]) -> None:
    if np.bincount(classes).max() < 2:
        raise InputError(
            f"{name}: holds {len(classes)} images, none of them of the same class, expected two halves "
            "to fit on one and measure on the other.",
            hint="Give some hundred labelled images.",
        )


def _sha256(images: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()
