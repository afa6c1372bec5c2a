"""What a trained model gets right and wrong on a named split: numbers as JSON, and pictures."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_runtime.errors import MissingDependencyError
from cifar_runtime.install_hints import install_hint
from cifar_runtime.system.files import write_atomically
from cifar_train.run.drawings import confusion_png, report_png


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Top-1 decisions on one split.

    Attributes:
        split: the split's name.
        correct: images whose highest score is their label's; ties go to the lowest index.
        seen: images in all.
        label_names: the classes, in the order of the scores.
        confusion: int64, shape (num_classes, num_classes), rows are labels and columns predictions.
        per_class: scikit-learn's classification report.
    """

    split: str
    correct: int
    seen: int
    label_names: tuple[str, ...]
    confusion: NDArray[np.int64]
    per_class: dict[str, Any]

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy, 0..1."""
        return self.correct / self.seen

    def to_json(self) -> dict[str, Any]:
        """The evaluation as JSON-ready data."""
        return {
            "schema": "cifar-edge/evaluation/1",
            "split": self.split,
            "correct": self.correct,
            "seen": self.seen,
            "accuracy": self.accuracy,
            "labels": list(self.label_names),
            "confusion_matrix": self.confusion.tolist(),
            "classification_report": self.per_class,
        }


def check_installed() -> None:
    """Checks for what only the end of a run needs, before it begins.

    Raises:
        MissingDependencyError: scikit-learn or matplotlib is not installed.
    """
    for package, name in (("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(
                f"the evaluation at the end of a run needs {name}, which is not installed.",
                hint=install_hint("train"),
            )


def evaluate(scores: NDArray[np.float32], split: Split) -> Evaluation:
    """Judges ``scores``, float32, shape (n, num_classes), against the split's labels."""
    from sklearn.metrics import classification_report, confusion_matrix

    predicted = scores.argmax(axis=1)
    classes = list(range(split.num_classes))
    return Evaluation(
        split=split.name,
        correct=int(np.count_nonzero(predicted == split.labels)),
        seen=len(split.labels),
        label_names=split.label_names,
        confusion=confusion_matrix(split.labels, predicted, labels=classes),
        per_class=classification_report(
            split.labels,
            predicted,
            labels=classes,
            target_names=split.label_names,
            output_dict=True,
            zero_division=0.0,
        ),
    )


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Writes ``evaluation-SPLIT.json``, ``confusion-SPLIT.png`` and ``report-SPLIT.png``."""
    name = evaluation.split.replace(" ", "-")
    write_atomically(
        folder / f"evaluation-{name}.json", json.dumps(evaluation.to_json(), indent=1).encode()
    )
    write_atomically(folder / f"confusion-{name}.png", confusion_png(evaluation))
    write_atomically(folder / f"report-{name}.png", report_png(evaluation))
