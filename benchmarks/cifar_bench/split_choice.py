"""How a split's name becomes labelled images, and how a limited part of it is chosen."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_bench.recipe import BenchSplit
from cifar_train import shipped
from cifar_train.dataset import Split, load_split

_TRAINED_ON = ("train", "official-train")


def choose_split(name: BenchSplit, *, limit: int | None = None) -> Split:
    """The named split, or ``limit`` of its images under a name that says so (``test[:200]``).

    ``test-sample`` ships with the package; all others must have been fetched.

    Raises:
        InputError: the split's data set was not fetched, or is damaged.
    """
    split = shipped.test_sample() if name == "test-sample" else load_split(name)
    if limit is None or limit >= len(split.labels):
        return split
    return split.take(stratified_positions(split.labels, limit), name=f"{name}[:{limit}]")


def training_notes(split: str) -> tuple[str, ...]:
    """What has to be said of accuracy on images that models are trained on; nothing of other images.

    Args:
        split: the name in a report, such as ``train[:200]``.
    """
    name, _, _ = split.partition("[")
    if name not in _TRAINED_ON:
        return ()
    note = f"Split {name} is what models are trained on: accuracy on new images is mostly lower."
    return (note,)


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
