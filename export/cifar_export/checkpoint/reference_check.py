"""Whether the checkpoint itself decides as it should: a wrong input mapping misleads it and its exports alike.

An artefact is compared with its own checkpoint, fed as the user states it. Where that statement is wrong both are
wrong in the same way and agree, so that the checkpoint's accuracy is looked at before anything is converted.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_eval.accuracy import decisions
from cifar_export.checkpoint.open import Checkpoint
from cifar_export.recipe import ExportRecipe
from cifar_runtime.errors import ArtefactError

MAX_SHORTFALL = 0.10  # augmented or chosen images explain a point or two, never ten
CHANCE_LEVEL = 0.01
_SPLITS = ("test", "validation")


def check_reference(
    recipe: ExportRecipe,
    checkpoint: Checkpoint,
    reference: NDArray[np.float32],
    split: Split,
    *,
    progress: Callable[[str], None],
) -> None:
    """Checks the checkpoint's accuracy against what its training card states, or else against chance.

    Args:
        recipe: says how the checkpoint is fed, and on whose images it is measured.
        checkpoint: its card may state an accuracy.
        reference: its scores, float32, shape (n, num_classes).
        split: the labelled images.
        progress: told when it decides no better than chance: random weights are a fair trial.

    Raises:
        ArtefactError: on CIFAR-10's images it is far less accurate than its card states.
    """
    seen = len(split.labels)
    _warn_of_few(recipe, split, progress)
    if split.targets is not None:  # no rate of chance is known, and no card of ours states one
        return
    correct = int(np.count_nonzero(decisions(reference, split.labels) == split.labels))
    stated = stated_accuracy(checkpoint.training_card)
    if stated is None or recipe.evaluation.data is not None:
        if chance_p(correct, seen, checkpoint.num_classes) > CHANCE_LEVEL:
            progress(
                f"warning: {checkpoint.path.name} decides {correct:,} of {seen:,} images of {split.name} rightly, no "
                f"better than chance; if it was trained, check {_flag(recipe)}"
            )
        return
    name, accuracy = stated
    is_beyond_chance = _upper_tail(seen - correct, seen, rate=1 - accuracy) <= CHANCE_LEVEL
    if correct / seen < accuracy - MAX_SHORTFALL and is_beyond_chance:
        raise ArtefactError(
            f"{checkpoint.path}: has a top-1 accuracy of {correct / seen:.2%} on {seen:,} images of {split.name}, "
            f"expected about {accuracy:.2%}, which its training card states of {name}: it is fed wrongly, or is "
            "not the model of that card.",
            hint=f"Check {_flag(recipe)}, and leave it out for a model of raw pixels 0..255.",
        )


def _warn_of_few(recipe: ExportRecipe, split: Split, progress: Callable[[str], None]) -> None:
    """Says what so few images cannot prove, however alike the decisions are.

    Source: with no loss among n, losses are rarer than 1 - 0.05 ** (1 / n) with 95 % confidence (exact binomial).
    """
    seen, limit = len(split.labels), recipe.gate.max_accuracy_drop
    shown = 1 - 0.05 ** (1 / seen)
    if shown <= limit or limit == 0:
        return
    needed = math.ceil(math.log(0.05) / math.log1p(-limit))
    progress(
        f"warning: {seen:,} images of {split.name} cannot prove a drop of {100 * limit:g} points or less: without one "
        f"loss among them it may be {100 * shown:.2g} points; {needed:,} images could"
    )


def stated_accuracy(card: Mapping[str, Any] | None) -> tuple[str, float] | None:
    """The split and the accuracy, 0..1, that a training card states; test before validation, None without one."""
    accuracies = (card or {}).get("accuracy")
    for name in _SPLITS:
        entry = accuracies.get(name) if isinstance(accuracies, Mapping) else None
        counts = entry if isinstance(entry, Mapping) else {}
        correct, seen = counts.get("correct"), counts.get("seen")
        if isinstance(correct, int) and isinstance(seen, int) and 0 <= correct <= seen > 0:
            return name, correct / seen
    return None


def chance_p(correct: int, seen: int, num_classes: int) -> float:
    """The probability that guessing is at least as often right: the upper tail of the binomial distribution.

    Args:
        correct: images decided rightly.
        seen: images shown.
        num_classes: equally likely answers, two or more.
    """
    return _upper_tail(correct, seen, rate=1 / num_classes)


def _upper_tail(successes: int, trials: int, *, rate: float) -> float:
    """The probability of at least so many successes, each of this rate: the binomial distribution's."""
    if rate <= 0:
        return float(successes == 0)
    logs = (
        math.lgamma(trials + 1)
        - math.lgamma(count + 1)
        - math.lgamma(trials - count + 1)
        + count * math.log(rate)
        + (trials - count) * math.log1p(-rate)
        for count in range(successes, trials + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def _flag(recipe: ExportRecipe) -> str:
    """The option that states the input mapping."""
    return (
        "--input-range"
        if recipe.source.contract is None
        else f"--contract {recipe.source.contract}"
    )
