"""Opens a written artefact with the runtime and compares it with Keras on real images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_eval.parity.counts import Parity, parity_from_scores
from cifar_eval.parity.gate import Gate, judge
from cifar_eval.parity.limits import Limits
from cifar_export.evidence.golden import GoldenRequest, golden_of
from cifar_runtime.classifier import Classifier
from cifar_runtime.documents import to_document
from cifar_runtime.golden import GoldenVectors
from cifar_runtime.progress import Progress, scored_in_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How an artefact decides beside its Keras model.

    Attributes:
        parity: the paired counts.
        gates: the limits, applied.
        split: the name of the images' split.
        golden: some of its images, perhaps coarser, with both models' scores.
    """

    parity: Parity
    gates: tuple[Gate, ...]
    split: str
    golden: GoldenVectors

    @property
    def passed(self) -> bool:
        """Whether every gate did."""
        return all(gate.passed for gate in self.gates)

    @property
    def accuracy(self) -> float:
        """The artefact's top-1 accuracy, 0..1."""
        return self.parity.candidate_correct / self.parity.seen

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON-ready data."""
        gates = [to_document(gate) for gate in self.gates]
        return {"split": self.split, **self.parity.to_json(), "gates": gates}


def verify(
    path: Path,
    reference: NDArray[np.float32],
    split: Split,
    limits: Limits,
    golden: GoldenRequest,
    *,
    progress: Progress | None = None,
) -> Verification:
    """The comparison of the artefact at ``path`` with its Keras model.

    Args:
        path: model file, its card beside it.
        reference: the Keras model's scores of the split's images, float32, shape (n, num_classes).
        split: real images that calibration never saw.
        limits: what must hold.
        golden: which golden vectors are wanted.
        progress: sees how many images are scored.

    Raises:
        ArtefactError: the runtime refuses the artefact, or its scores are not numbers.
    """
    classifier = Classifier(path)
    try:
        scores = scored_in_parts(classifier.scores, np.asarray(split.images), progress)
        vectors = golden_of(classifier, split, (reference, scores), golden)
    finally:
        classifier.session.close()
    parity = parity_from_scores(reference, scores, split.labels)
    return Verification(
        parity=parity, gates=judge(parity, limits), split=split.name, golden=vectors
    )
