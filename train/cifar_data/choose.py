"""Which of many images are chosen: equal shares of the classes, in order or at random, or those of another set."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def stratified_positions(labels: NDArray[np.integer[Any]], count: int) -> NDArray[np.int64]:
    """Positions, int64, shape (count,), ascending, of each class's first images in equal shares.

    Every class gives its first image before any gives its second, so no order of the split biases
    the choice.

    Args:
        labels: integer, shape (n,).
        count: how many positions, at most n.
    """
    rank_in_class = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        rank_in_class[of_class] = np.arange(len(of_class))
    in_turns = np.lexsort((labels, rank_in_class))
    chosen: NDArray[np.int64] = np.sort(in_turns[:count]).astype(np.int64)
    return chosen


def positions_among(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> list[int]:
    """Positions of those of ``images`` that are among ``others``, pixel for pixel; both uint8, shape (n, h, w, 3)."""
    known = {image.tobytes() for image in others}
    return [position for position, image in enumerate(images) if image.tobytes() in known]


def stratified_sample(classes: NDArray[np.int64], count: int, *, seed: int) -> NDArray[np.int64]:
    """Positions, int64, shape (count,), ascending: equal shares of each class, chosen at random by ``seed``.

    Args:
        classes: int64, shape (n,), n not below ``count``.
        count: how many.
        seed: of the choice.
    """
    shuffled = np.random.default_rng(seed).permutation(len(classes))
    turn = np.empty(len(classes), dtype=np.int64)
    for name in np.unique(classes):
        members = shuffled[classes[shuffled] == name]
        turn[members] = np.arange(len(members))
    chosen = shuffled[np.argsort(turn[shuffled], kind="stable")[:count]]
    return np.sort(chosen).astype(np.int64)
