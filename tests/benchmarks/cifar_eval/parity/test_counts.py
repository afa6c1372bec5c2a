"""Parity counts on hand-made scores."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_eval.parity.counts import (
    ClassParity,
    Parity,
    class_parities,
    parity_from_scores,
)
from cifar_runtime.documents import from_document

LABELS = np.array([0, 0, 1, 1, 1], dtype=np.uint8)


def one_hot(decided: list[int]) -> NDArray[np.float32]:
    return np.eye(3, dtype=np.float32)[decided]


def test_counts_every_kind_of_agreement_and_flip() -> None:
    reference = one_hot([0, 0, 1, 2, 2])  # right right right wrong wrong
    candidate = one_hot([0, 1, 1, 1, 0])  # same, turned wrong, same, turned right, wrong otherwise
    parity = parity_from_scores(reference, candidate, LABELS)
    assert parity == Parity(
        reference_correct=3,
        candidate_correct=3,
        agreeing=2,
        flips_to_wrong=1,
        flips_to_right=1,
        seen=5,
        max_score_error=1.0,
        mean_score_error=6 / 15,
        sqnr_db=pytest.approx(10 * math.log10(5 / 6)),
    )
    assert (parity.agreement, parity.accuracy_drop) == (0.4, 0.0)


def test_ties_decide_for_the_lowest_index_in_both_models() -> None:
    tied = np.array([[0.25, 0.25, 0.0]], dtype=np.float32)
    swapped = np.array([[0.0, 0.5, 0.5]], dtype=np.float32)
    label = np.array([1], dtype=np.uint8)
    parity = parity_from_scores(tied, swapped, label)
    assert (parity.reference_correct, parity.candidate_correct, parity.agreeing) == (0, 1, 0)
    assert (parity.flips_to_right, parity.max_score_error) == (1, 0.5)


def test_equal_scores_have_no_noise() -> None:
    scores = one_hot([0, 0, 1, 1, 2])
    parity = parity_from_scores(scores, scores.copy(), LABELS)
    assert (parity.sqnr_db, parity.max_score_error, parity.agreement) == (None, 0.0, 1.0)


def test_sqnr_of_noise_a_tenth_as_large_is_20_db() -> None:
    scores = one_hot([0, 0, 1, 1, 1])
    assert parity_from_scores(scores, scores * np.float32(0.9), LABELS).sqnr_db == pytest.approx(
        20.0, abs=1e-5
    )


def test_scores_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="not of the same images"):
        parity_from_scores(one_hot([0]), one_hot([0, 1]), LABELS[:1])


def test_counts_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match=r"90 - 1 \+ 0 is not 90"):
        parity(flips_to_wrong=1, candidate_correct=90)


def test_json_round_trip_recomputes_what_follows_from_the_counts() -> None:
    original = parity(candidate_correct=88, flips_to_wrong=3, flips_to_right=1, agreeing=95)
    document = original.to_json()
    assert (document["accuracy_drop"], document["agreement"]) == (0.02, 0.95)
    assert document["mcnemar_p"] == 2 * (1 + 4) / 16
    assert from_document(Parity, {**document, "accuracy_drop": 0.0}) == original


def parity(**changes: int) -> Parity:
    same = Parity(
        reference_correct=90,
        candidate_correct=90,
        agreeing=100,
        flips_to_wrong=0,
        flips_to_right=0,
        seen=100,
        max_score_error=0.0,
        mean_score_error=0.0,
        sqnr_db=None,
    )
    return replace(same, **changes)


def test_classes_are_counted_apart_and_an_absent_one_has_no_drop() -> None:
    reference, candidate = one_hot([0, 1, 1, 1, 1]), one_hot([0, 0, 1, 1, 2])
    classes = class_parities(reference, candidate, LABELS, label_names=("ape", "bee", "cow"))
    assert classes == (
        ClassParity(label="ape", seen=2, reference_correct=1, candidate_correct=2),
        ClassParity(label="bee", seen=3, reference_correct=3, candidate_correct=2),
        ClassParity(label="cow", seen=0, reference_correct=0, candidate_correct=0),
    )
    assert [one.accuracy_drop for one in classes] == [-0.5, 1 / 3, None]
