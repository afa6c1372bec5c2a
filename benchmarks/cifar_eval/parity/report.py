"""The verdicts on a set of saved outputs, as data and as versioned JSON. Pure: it runs no model."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_eval.accuracy import Accuracy, measure_accuracy
from cifar_eval.layers.explanation import Explanation
from cifar_eval.parity.counts import ClassParity, Parity, class_parities, parity_from_scores
from cifar_eval.parity.gate import Gate, judge
from cifar_eval.parity.limits import Limits
from cifar_eval.parity.outputs import Outputs, ScoredModel
from cifar_runtime.contract import OutputContract
from cifar_runtime.documents import to_document
from cifar_runtime.environment import Environment
from cifar_runtime.scores import probabilities_from_scores

PARITY_SCHEMA = "cifar-edge/parity/1"
STATISTICS = {
    "interval": "paired score interval of the accuracy drop, 95 % (Tango 1998)",
    "p_value": "exact McNemar test, two-sided",
    "ties": "the lowest index decides",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateVerdict:
    """One candidate, compared and judged.

    Attributes:
        model: what was run.
        accuracy: on the report's split.
        parity: against the report's reference.
        classes: the same counts class by class, in the order of the labels.
        gates: the limits, applied.
    """

    model: ScoredModel
    accuracy: Accuracy
    parity: Parity
    classes: tuple[ClassParity, ...]
    gates: tuple[Gate, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate did."""
        return all(gate.passed for gate in self.gates)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """One comparison.

    Attributes:
        environment: where the models were run.
        split: the name of the images.
        images_sha256: digest of their pixels and labels.
        limits: what the candidates had to hold.
        reference: what decides as it should.
        reference_accuracy: on the split.
        candidates: in their order.
    """

    environment: Environment
    split: str
    images_sha256: str
    limits: Limits
    reference: ScoredModel
    reference_accuracy: Accuracy
    candidates: tuple[CandidateVerdict, ...]

    @property
    def passed(self) -> bool:
        """Whether every candidate did."""
        return all(candidate.passed for candidate in self.candidates)


def report_from_outputs(outputs: Outputs, limits: Limits) -> ParityReport:
    """The comparison of every candidate with the reference, the first model.

    Raises:
        ArtefactError: a score is not a finite number.
    """
    reference = outputs.models[0]
    return ParityReport(
        environment=outputs.environment,
        split=outputs.split,
        images_sha256=outputs.images_sha256,
        limits=limits,
        reference=reference,
        reference_accuracy=measure_accuracy(outputs.scores[0], outputs.labels, split=outputs.split),
        candidates=tuple(
            _verdict(outputs, index, limits) for index in range(1, len(outputs.models))
        ),
    )


def report_document(report: ParityReport, explanations: dict[str, Explanation]) -> dict[str, Any]:
    """The report as JSON-ready data, schema ``cifar-edge/parity/1``.

    Args:
        report: the verdicts.
        explanations: of some candidates, by name.
    """
    return {
        "schema": PARITY_SCHEMA,
        "environment": to_document(report.environment),
        "split": {
            "name": report.split,
            "num_images": report.reference_accuracy.seen,
            "sha256": report.images_sha256,
        },
        "statistics": STATISTICS,
        "limits": to_document(report.limits),
        "reference": {
            **to_document(report.reference),
            "accuracy": report.reference_accuracy.to_json(),
        },
        "candidates": [
            _candidate_document(candidate, explanations.get(candidate.model.name))
            for candidate in report.candidates
        ],
        "passed": report.passed,
    }


def report_text(report: ParityReport, explanations: dict[str, Explanation]) -> str:
    """The document as indented JSON text."""
    document = report_document(report, explanations)
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def comparable_scores(
    model: ScoredModel, scores: NDArray[np.float32], *, other: ScoredModel
) -> NDArray[np.float64]:
    """Scores in a unit that both models share, float64, shape (n, num_classes).

    Logits become probabilities where the other model returns those; float64 keeps their order.
    """
    if model.score_kind in (other.score_kind, "probabilities"):
        return scores.astype(np.float64)
    logits = OutputContract(kind="logits", dtype="float32", scale=None, zero_point=None)
    return probabilities_from_scores(scores, logits)


def _verdict(outputs: Outputs, index: int, limits: Limits) -> CandidateVerdict:
    reference, model = outputs.models[0], outputs.models[index]
    expected = comparable_scores(reference, outputs.scores[0], other=model)
    found = comparable_scores(model, outputs.scores[index], other=reference)
    parity = parity_from_scores(expected, found, outputs.labels)
    return CandidateVerdict(
        model=model,
        accuracy=measure_accuracy(found, outputs.labels, split=outputs.split),
        parity=parity,
        classes=class_parities(expected, found, outputs.labels, label_names=outputs.label_names),
        gates=judge(parity, limits),
    )


def _candidate_document(
    candidate: CandidateVerdict, explanation: Explanation | None
) -> dict[str, Any]:
    return {
        **to_document(candidate.model),
        "accuracy": candidate.accuracy.to_json(),
        "parity": candidate.parity.to_json(),
        "classes": to_document(candidate.classes),
        "gates": to_document(candidate.gates),
        "passed": candidate.passed,
        "layers": None if explanation is None else explanation.to_json(),
    }
