"""Counts by class, top-k, confusion and confidence agree with a computation by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cifar_data.split import Split
from cifar_eval.detailed_accuracy import (
    DetailedAccuracy,
    measure_detailed_accuracy,
)
from cifar_runtime.documents import from_document


@pytest.fixture
def measured() -> DetailedAccuracy:
    """Four images of three classes: right, right (a tie), wrong but second, wrong and last."""
    probabilities = np.array(
        [[0.6, 0.3, 0.1], [0.5, 0.5, 0.0], [0.7, 0.2, 0.1], [0.9, 0.06, 0.04]], dtype=np.float32
    )
    evaluation = Split(
        name="four[:4]",
        images=np.zeros((4, 2, 2, 3), dtype=np.uint8),
        labels=np.array([0, 0, 1, 2], dtype=np.int64),
        label_names=("a", "b", "c"),
        ids=np.arange(4),
    )
    return measure_detailed_accuracy(probabilities, probabilities.astype(np.float64), evaluation)


def test_counts_by_hand(measured: DetailedAccuracy) -> None:
    assert (measured.correct, measured.seen, measured.value) == (2, 4, 0.5)
    assert measured.confusion == ((2, 0, 0), (1, 0, 0), (1, 0, 0))
    assert measured.wrong == (2, 3)
    assert [(one.label, one.correct, one.seen) for one in measured.per_class] == [
        ("a", 2, 2),
        ("b", 0, 1),
        ("c", 0, 1),
    ]
    assert measured.top_k == {2: 3}
    assert measured.is_limited


def test_the_calibration_error_is_the_mean_gap_of_confidence_bins(
    measured: DetailedAccuracy,
) -> None:
    """Confidences 0.6, 0.5, 0.7, 0.9 lie in different fifteenths: the gaps are 0.4, 0.5, 0.7, 0.9."""
    assert measured.ece == pytest.approx((0.4 + 0.5 + 0.7 + 0.9) / 4, abs=1e-6)
    assert [bin_.seen for bin_ in measured.confidence_bins if bin_.seen] == [1, 1, 1, 1]


def test_the_calibration_error_agrees_with_a_loop_over_the_bins() -> None:
    generator = np.random.default_rng(4)
    scores = generator.dirichlet([0.3] * 10, 500).astype(np.float32)
    labels = generator.integers(0, 10, 500)
    evaluation = Split(
        name="random",
        images=np.zeros((500, 1, 1, 3), dtype=np.uint8),
        labels=labels,
        label_names=tuple("abcdefghij"),
        ids=np.arange(500),
    )
    measured = measure_detailed_accuracy(scores, scores.astype(np.float64), evaluation)
    confidence, right = scores.max(axis=1).astype(float), scores.argmax(axis=1) == labels
    expected = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += gap * inside.mean()
    assert measured.ece == pytest.approx(expected, abs=1e-9)


def test_json_keeps_counts_and_reads_nothing_derived(measured: DetailedAccuracy) -> None:
    document = measured.to_json()
    assert (document["correct"], document["limited"]) == (2, True)
    edited = {**document, "correct": 4, "ece": 0.0, "per_class": []}
    assert from_document(DetailedAccuracy, edited) == measured


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confusion": ((2, 0), (1, 0))}, "the confusion matrix is not 3 x 3"),
        ({"wrong": (2,)}, "1 wrong images are not 4 - 2"),
        ({"wrong": (3, 2)}, "not ascending positions below 4"),
        ({"wrong": (2, 4)}, "not ascending positions below 4"),
        ({"confidence_bins": ()}, "the confidence bins do not hold 4 images"),
    ],
)
def test_counts_that_contradict_each_other_are_refused(
    measured: DetailedAccuracy, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(measured, **changes)
