"""Accuracy is correct / seen, ties go to the lowest index, and broken scores are refused."""

import numpy as np
import pytest

from cifar_eval.accuracy import Accuracy, measure_accuracy
from cifar_runtime.documents import from_document
from cifar_runtime.errors import ArtefactError


def test_counts_right_decisions_and_breaks_ties_to_the_lowest_index() -> None:
    scores = np.array([[0.1, 0.9], [0.5, 0.5], [0.5, 0.5], [0.7, 0.3]], dtype=np.float32)
    labels = np.array([1, 0, 1, 1], dtype=np.uint8)
    assert measure_accuracy(scores, labels, split="test") == Accuracy(
        correct=2, seen=4, split="test"
    )


def test_json_holds_counts_and_share_and_only_counts_are_read_back() -> None:
    document = Accuracy(correct=81, seen=263, split="test").to_json()
    low, high = document.pop("accuracy_interval_95")
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert document == {"correct": 81, "seen": 263, "split": "test", "accuracy": 81 / 263}
    assert from_document(Accuracy, {**document, "accuracy": 0.99}).value == 81 / 263


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_scores_that_are_not_numbers_are_refused(broken: float) -> None:
    scores = np.array([[0.1, broken]], dtype=np.float32)
    with pytest.raises(ArtefactError) as caught:
        measure_accuracy(scores, np.zeros(1, dtype=np.uint8), split="test")
    assert str(caught.value) == (
        "the model's scores are not all finite numbers (NaN or infinity). "
        "Its weights are missing or damaged: export it again."
    )


def test_labels_without_a_score_are_refused() -> None:
    with pytest.raises(ArtefactError, match=r"gives 2 scores, the labels go up to 9\."):
        measure_accuracy(
            np.zeros((1, 2), dtype=np.float32), np.array([9], dtype=np.uint8), split="test"
        )


@pytest.mark.parametrize(("correct", "seen"), [(1, 0), (5, 4), (-1, 4)])
def test_impossible_counts_are_refused(correct: int, seen: int) -> None:
    with pytest.raises(ValueError, match="is not an accuracy"):
        Accuracy(correct=correct, seen=seen, split="test")
