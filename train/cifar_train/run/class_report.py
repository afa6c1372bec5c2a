"""How evenly a model does over classes, and what so many test pictures can say: figures and one plain sentence."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cifar_eval.intervals import wilson_interval
from cifar_train.run.evaluate import Evaluation


def class_report(evaluation: Evaluation) -> dict[str, Any]:
    """Balanced accuracy, macro F1 and each class, as JSON-ready data; classes without a picture count nowhere.

    Source: scikit-learn's user guide, "Balanced accuracy score" (the mean recall of the classes), "Multiclass and
    multilabel classification" (macro averages).
    """
    seen = evaluation.confusion.sum(axis=1)
    classes = {
        name: {
            "images": int(count),
            "recall": evaluation.per_class[name]["recall"],
            "precision": evaluation.per_class[name]["precision"],
            "f1": evaluation.per_class[name]["f1-score"],
        }
        for name, count in zip(evaluation.label_names, seen, strict=True)
        if count
    }
    return {
        "balanced_accuracy": float(np.mean([one["recall"] for one in classes.values()])),
        "macro_f1": float(np.mean([one["f1"] for one in classes.values()])),
        "accuracy_interval_95": list(wilson_interval(evaluation.correct, evaluation.seen)),
        "weakest_class": min(classes, key=lambda name: classes[name]["recall"]),
        "classes": classes,
    }


def plain_sentence(card: Mapping[str, Any], split: str) -> str:
    """What a run's figures mean: how many pictures, the interval that they leave, and the weakest class.

    Args:
        card: of a run on pictures, which holds a report on each class.
        split: the split's name.
    """
    counts, report = card["accuracy"][split], card["report"][split]
    low, high = report["accuracy_interval_95"]
    return (
        f"Of {counts['seen']:,} {split} pictures {counts['correct']:,} are right, so on pictures like "
        f"these expect {low:.0%} to {high:.0%} (95 % interval); {4 * counts['seen']:,} would halve that range."
        f"{_weakest_sentence(report)}"
    )


def _weakest_sentence(report: Mapping[str, Any]) -> str:
    """Which class is the weakest; empty where all are right."""
    weakest = report["weakest_class"]
    one = report["classes"][weakest]
    right = round(one["recall"] * one["images"])
    if right == one["images"]:
        return ""
    return f" Weakest is {weakest}: {right} of {one['images']} right."
