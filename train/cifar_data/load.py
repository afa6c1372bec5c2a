"""How a split's name becomes labelled images: the one table of what is known by name. Never downloads."""

from collections.abc import Callable
from functools import partial

from cifar_data import packaged
from cifar_data.choose import stratified_positions
from cifar_data.cifar10.splits import open_split
from cifar_data.split import Split
from cifar_data.split_names import BenchSplit, ValidationRule
from cifar_runtime.errors import UsageError, not_one_of

OPENERS: dict[BenchSplit, Callable[[], Split]] = {
    "test-sample": packaged.test_sample,
    "test": partial(open_split, "test"),
    "validation": partial(open_split, "validation"),
    "train": partial(open_split, "train"),
    "official-train": partial(open_split, "official-train"),
}


def load_split(name: BenchSplit, *, limit: int | None = None) -> Split:
    """The named split, or ``limit`` of its images under a name that says so (``test[:200]``).

    ``test-sample`` ships with the package; all others must have been fetched. Validation is a fixed stratified part
    of CIFAR-10's official training set, and train is the rest.

    Args:
        name: the split.
        limit: at most this many images, evenly over the classes; None for all.

    Raises:
        InputError: the split's data set was not fetched, or is damaged.
        UsageError: there is no split of that name.

    Example:
        >>> from cifar_data import load_split
        >>> split = load_split("test-sample", limit=200)
        >>> split.name, split.images.shape
        ('test-sample[:200]', (200, 32, 32, 3))
    """
    if name not in OPENERS:
        raise UsageError(f"split {not_one_of(name, OPENERS)}.", hint="Give one of these.")
    return limited(OPENERS[name](), limit)


def training_splits(rule: ValidationRule) -> tuple[Split, Split]:
    """CIFAR-10's images to train on and those to validate on, as the rule divides the official training set.

    Raises:
        InputError: CIFAR-10 was not fetched, or a file of it is damaged.
    """
    if rule == "validation split":
        return load_split("train"), held_out_split(rule)
    official = load_split("official-train")
    learned = official.ids[: _first_of_last_fifth(official)]
    name = "first four fifths of official-train"
    return official.take(learned, name=name), held_out_split(rule)


def held_out_split(rule: ValidationRule) -> Split:
    """CIFAR-10's images that a training by this rule validates on; the others are not read.

    Raises:
        InputError: CIFAR-10 was not fetched, or a file of it is damaged.
    """
    if rule == "validation split":
        return load_split("validation")
    official = load_split("official-train")
    return official.take(official.ids[_first_of_last_fifth(official) :], name=rule)


def _first_of_last_fifth(official: Split) -> int:
    return int(len(official.labels) * 0.8)


def limited(split: Split, limit: int | None) -> Split:
    """The split, or ``limit`` of its images, evenly over the classes, under a name that says so."""
    if limit is None or limit >= len(split.labels):
        return split
    return split.take(stratified_positions(split.labels, limit), name=f"{split.name}[:{limit}]")
