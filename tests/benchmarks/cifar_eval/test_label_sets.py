"""Sets of labels on hand-made scores: an image is right where all its labels are."""

import numpy as np

from cifar_eval.label_sets import LabelCounts, label_counts, parity_from_sets

# Of three labels and four images.
TARGETS = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 1]], bool)
KERAS = np.array([[0.9, 0.6, 0.1], [0.1, 0.2, 0.3], [0.7, 0.5, 0.0], [0.0, 0.9, 0.8]], np.float32)
OWN = np.array([[0.9, 0.4, 0.1], [0.1, 0.2, 0.3], [0.7, 0.4, 0.0], [0.0, 0.9, 0.8]], np.float32)


def test_a_set_is_right_where_it_is_all_right() -> None:
    parity = parity_from_sets(KERAS, OWN, TARGETS, threshold=0.5)
    # Keras: right, right, one too many (0.5 reaches the threshold), right. Own: one too few, then right.
    assert (parity.reference_correct, parity.candidate_correct, parity.seen) == (3, 3, 4)
    assert (parity.agreeing, parity.flips_to_wrong, parity.flips_to_right) == (2, 1, 1)


def test_each_label_is_counted_beside_keras() -> None:
    counts = label_counts(KERAS, OWN, TARGETS, threshold=0.5, labels=("a", "b", "c"))
    assert counts[1] == LabelCounts(
        label="b",
        holds=2,
        reference_found=2,
        reference_wrong=1,
        candidate_found=1,
        candidate_wrong=0,
    )
    assert counts[1].sentence == "b found 1 of 2 and wrongly 0 (Keras 2, 1)"
    assert counts[0].sentence == "a found 2 of 2 and wrongly 0"
