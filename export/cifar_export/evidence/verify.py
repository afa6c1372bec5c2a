"""Opens a written artefact with the runtime and compares it with Keras on real images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_eval.accuracy import Accuracy
from cifar_eval.label_sets import LabelCounts, label_counts, parity_from_sets
from cifar_eval.parity.counts import Parity, parity_from_scores
from cifar_eval.parity.gate import Gate, judge
from cifar_eval.parity.limits import Limits
from cifar_export.evidence.golden import GoldenRequest, golden_of
from cifar_runtime.classifier import Classifier
from cifar_runtime.contract import OutputContract
from cifar_runtime.documents import to_document
from cifar_runtime.golden import GoldenVectors
from cifar_runtime.progress import Progress, scored_in_parts

NUM_NAMED = 20
"""Labels that a remark names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How an artefact decides beside its Keras model.

    Attributes:
        parity: the paired counts.
        gates: the limits, applied.
        split: the name of the images' split.
        golden: some of its images, perhaps coarser, with both models' scores.
        labels: what both say of each label, where any number of them may hold; empty where one does.
    """

    parity: Parity
    gates: tuple[Gate, ...]
    split: str
    golden: GoldenVectors
    labels: tuple[LabelCounts, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every gate did."""
        return all(gate.passed for gate in self.gates)

    @property
    def accuracy(self) -> Accuracy:
        """The artefact's top-1 accuracy, or the share of images whose labels are all right."""
        parity = self.parity
        return Accuracy(correct=parity.candidate_correct, seen=parity.seen, split=self.split)

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON-ready data."""
        gates = [to_document(gate) for gate in self.gates]
        document = {"split": self.split, **self.parity.to_json(), "gates": gates}
        return document | ({"labels": to_document(self.labels)} if self.labels else {})


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
    parity, labels = _compared(classifier.artefact.contract.output, (reference, scores), split)
    return Verification(
        parity=parity,
        gates=judge(parity, limits),
        split=split.name,
        golden=vectors,
        labels=labels,
    )


def labels_remark(verification: Verification) -> str | None:
    """What the artefact says of each label, most frequent first, beside Keras; None where one label holds."""
    if not verification.labels:
        return None
    ranked = sorted(verification.labels, key=lambda one: -one.holds)
    more = f"; and {len(ranked) - NUM_NAMED} more in its card" if ranked[NUM_NAMED:] else ""
    return "; ".join(one.sentence for one in ranked[:NUM_NAMED]) + more


def _compared(
    output: OutputContract, scores: tuple[NDArray[np.float32], NDArray[np.float32]], split: Split
) -> tuple[Parity, tuple[LabelCounts, ...]]:
    """The comparison by best labels, or by the sets of labels that hold and label by label."""
    if split.targets is None or output.label_threshold is None:
        return parity_from_scores(*scores, split.labels), ()
    threshold, names = output.label_threshold, split.label_names
    return (
        parity_from_sets(*scores, split.targets, threshold=threshold),
        label_counts(*scores, split.targets, threshold=threshold, labels=names),
    )
