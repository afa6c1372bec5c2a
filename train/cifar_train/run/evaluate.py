"""What a trained model gets right and wrong on a named split: numbers as JSON, and pictures."""

import importlib.util
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_runtime.errors import MissingDependencyError
from cifar_runtime.files import write_atomically
from cifar_runtime.install_hints import install_hint
from cifar_train.run.state import Epoch


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
    write_atomically(folder / f"confusion-{name}.png", _confusion_png(evaluation))
    write_atomically(folder / f"report-{name}.png", _report_png(evaluation))


def write_curves(folder: Path, epochs: tuple[Epoch, ...]) -> None:
    """Writes ``curves.csv`` and ``curves.svg``: loss and accuracy, epoch by epoch."""
    columns = (
        "number",
        "loss",
        "accuracy",
        "validation_loss",
        "validation_accuracy",
        "images_per_second",
        "seconds",
    )
    rows = [",".join(columns)]
    rows += [",".join(f"{getattr(epoch, column):.6g}" for column in columns) for epoch in epochs]
    write_atomically(folder / "curves.csv", ("\n".join(rows) + "\n").encode())
    write_atomically(folder / "curves.svg", _curves_svg(epochs))


def _confusion_png(evaluation: Evaluation) -> bytes:
    figure = _figure(width=7, height=6.2)
    axes = figure.add_subplot()
    counts = evaluation.confusion
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=counts.sum(axis=1).max())
    names = evaluation.label_names
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    axes.set_title(
        f"{evaluation.split}: {evaluation.correct} of {evaluation.seen} right ({evaluation.accuracy:.2%})"
    )
    for row, column in np.ndindex(counts.shape):
        dark = counts[row, column] > counts.max() / 2
        axes.text(
            column,
            row,
            counts[row, column],
            ha="center",
            va="center",
            color="white" if dark else "black",
            fontsize=8,
        )
    return _rendered(figure, image_format="png")


def _report_png(evaluation: Evaluation) -> bytes:
    """The classification report as bars: precision, recall and F1 of each class, 0..1."""
    figure = _figure(width=9, height=3.6)
    axes = figure.add_subplot()
    names = evaluation.label_names
    positions = np.arange(len(names))
    for turn, measure in enumerate(("precision", "recall", "f1-score")):
        heights = [evaluation.per_class[label][measure] for label in names]
        axes.bar(positions + (turn - 1) * 0.27, heights, width=0.25, label=measure)
    axes.set_xticks(positions, names, rotation=45, ha="right")
    axes.set_ylim(0, 1)
    axes.set_title(f"{evaluation.split}: each class, {evaluation.seen} images in all")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="lower right")
    return _rendered(figure, image_format="png")


def _curves_svg(epochs: tuple[Epoch, ...]) -> bytes:
    figure = _figure(width=9, height=3.6)
    numbers = [epoch.number for epoch in epochs]
    for position, (title, ours, held_out) in enumerate(
        [
            ("loss", "loss", "validation_loss"),
            ("top-1 accuracy", "accuracy", "validation_accuracy"),
        ],
        start=1,
    ):
        axes = figure.add_subplot(1, 2, position)
        axes.plot(numbers, [getattr(epoch, ours) for epoch in epochs], marker=".", label="training")
        axes.plot(
            numbers, [getattr(epoch, held_out) for epoch in epochs], marker=".", label="validation"
        )
        axes.set_xlabel("epoch")
        axes.set_title(title)
        axes.grid(alpha=0.3)
        axes.legend()
    return _rendered(figure, image_format="svg")


def _figure(*, width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _rendered(figure: Any, *, image_format: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format=image_format,
        dpi=120,
        metadata={"Date": None} if image_format == "svg" else None,
    )
    return buffer.getvalue()
