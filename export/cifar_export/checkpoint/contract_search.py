"""Whether labelled images bear out what a checkpoint is taken to expect: its input mapping, and its classes' order.

An artefact is compared with its own checkpoint, fed alike: where the mapping is wrong, both are wrong in the same way
and agree. So the checkpoint, as it was loaded, scores some labelled images under every mapping in use, read in every
likely order of the classes. A guess that another one beats beyond chance is refused, and so is an order of the classes
that these images, lying in folders of their names, speak against. A mapping that the user gave explicitly is kept, with
a warning: pictures of another camera or light may favour another mapping, and nothing else could say so. So is a guess
that another mapping betters by little: a network that was hardly trained may do so.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.choose import stratified_positions
from cifar_data.split import Split
from cifar_eval.formatting import counted
from cifar_eval.models.input_mapping import INPUT_MAPPINGS, RAW_PIXELS, InputMapping
from cifar_export.checkpoint.attempt import (
    MAX_IMAGES,
    Attempt,
    Decisions,
    decider,
    is_right,
    likeliest,
    truth_of,
)
from cifar_export.checkpoint.declared import takes
from cifar_export.checkpoint.likelihood import losses_at_best_temperature
from cifar_export.checkpoint.open import Checkpoint
from cifar_export.checkpoint.reference import Reference
from cifar_export.recipe import ExportRecipe
from cifar_runtime.errors import ArtefactError
from cifar_runtime.progress import Progress, counter_of

# What takes pixels of 0..255 to the few units that networks work in: of a Normalization, a deviation of 12 levels.
_LARGEST_PIXEL_STEP = 1 / 12
_LEAST_MEAN = 16  # levels of 0..255; a mean of 0..1 or -1..1 is below 1
# Operations that leave a picture's values what they are, or do so at inference.
_KEEPING = (
    *("InputLayer", "Cast", "Identity", "Dropout", "SpatialDropout2D"),
    *("GetItem", "Flip", "Stack", "Concatenate"),
)
_MAX_NAMED = 20
# Of the mean negative log-likelihood. Of 48 small networks, 8 kinds trained for 1 and 6 epochs on each of three ranges,
# the right range took 0.17 and more from a wrong one (but where less than half of the images were right), a wrong one
# 0.12 at most from the right.
_LEAST_GAIN = 0.15

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Attempt):
    """The checkpoint's decisions under one contract.

    Attributes:
        mapping: the name of the input mapping.
        order: the classes in the order of the scores.
    """

    mapping: str
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried, and what was stated.

    Attributes:
        judge: the checkpoint as it was loaded, and what the user declared of it.
        stated: the name of the mapping among that.
        split: the images to try it on.
        reference: its scores of them, float32, shape (n, num_classes).
    """

    judge: Reference
    stated: str
    split: Split
    reference: NDArray[np.float32]

    def reading(self, scores: Scores, mapping: str, order: tuple[str, ...]) -> Reading:
        """The scores read in an order of the classes."""
        places = [order.index(name) for name in self.split.label_names]
        read, truth, threshold = scores[:, places], truth_of(self.split), self.judge.threshold
        return Reading(
            mapping=mapping,
            order=order,
            correct=is_right(decider(threshold)(read), truth),
            losses=losses_at_best_temperature(read, truth, is_independent=threshold is not None),
        )

    def decided(self) -> Decisions:
        """The decisions under the declared mapping."""
        return decider(self.judge.threshold)(self.reference)


def trial_of(
    recipe: ExportRecipe, judge: Reference, split: Split, reference: NDArray[np.float32]
) -> Trial:
    """What is tried of labelled images, some hundred of them.

    Args:
        recipe: names what the user gave.
        judge: the checkpoint, and the mapping that was declared.
        split: the images.
        reference: the checkpoint's scores of them, float32, shape (n, num_classes).
    """
    positions = stratified_positions(split.labels, min(MAX_IMAGES, len(split.labels)))
    return Trial(
        judge=judge,
        stated=_name_of(recipe, judge.mapping),
        split=split.take(positions, name=split.name),
        reference=reference[positions],
    )


def check_contract(
    recipe: ExportRecipe,
    checkpoint: Checkpoint,
    trial: Trial,
    *,
    copy: Any,
    progress: Progress,
) -> None:
    """Checks that no other contract fits labelled images better, beyond chance.

    Args:
        recipe: says what the user gave explicitly.
        checkpoint: the model, for messages.
        trial: what is tried.
        copy: the model of raw pixels that is converted, which shows how it begins.
        progress: sees the mappings that are tried, and a warning where an explicit one is worse than another, or the
            guess is by little.

    Raises:
        ArtefactError: another mapping or order of the classes is better; the message names it and both accuracies.
    """
    names = trial.split.label_names
    stated = trial.reading(trial.reference, trial.stated, names)
    is_explicit = recipe.source.contract is not None or recipe.source.input_range is not None
    scores = {trial.stated: trial.reference}
    orders = _orders(names)
    tries = (len(INPUT_MAPPINGS) + 1) * len(orders)
    if not stated.can_be_beaten(tries=tries):
        return
    if not _takes_raw_pixels(copy, trial.judge.mapping):
        scores |= _scores_of_others(trial, checkpoint, progress)
    if is_explicit:
        others = [trial.reading(found, name, names) for name, found in scores.items()]
        best = likeliest(others)
        if best.beats(stated, tries=tries):
            progress(
                f"warning: {checkpoint.path}: {stated.percent} with {stated.mapping}, as was stated, "
                f"{best.percent} with {best.mapping}; it is exported as was stated"
            )
        scores = {trial.stated: trial.reference}
    readings = [
        trial.reading(found, name, order) for name, found in scores.items() for order in orders
    ]
    best = likeliest(readings)
    if best.beats(stated, tries=tries):
        if best.order != names or not _gains_little(best, stated):
            raise _refusal(recipe, checkpoint, stated, best)
        progress(
            f"warning: {checkpoint.path}: {stated.percent} with {stated.mapping}, {best.percent} with {best.mapping}, "
            f"which is little for a wrong range; it is exported with {stated.mapping}, or else give "
            f"--input-range {best.mapping}"
        )
    _check_learned_order(recipe, checkpoint, trial, stated)


def _check_learned_order(
    recipe: ExportRecipe, checkpoint: Checkpoint, trial: Trial, stated: Reading
) -> None:
    """Checks that half of the images do not teach an order of the classes that the other half bears out."""
    decided, names = trial.decided(), trial.split.label_names
    learned = _learned_order(decided[::2], truth_of(trial.split)[::2], names)
    if learned is None:
        return
    found = trial.reading(trial.reference, trial.stated, learned)
    unseen = [
        Reading(mapping=one.mapping, order=one.order, correct=one.correct[1::2])
        for one in (found, stated)
    ]
    if unseen[0].beats(unseen[1], tries=1):
        raise _refusal(recipe, checkpoint, stated, found)


def _gains_little(best: Reading, stated: Reading) -> bool:
    if best.losses is None or stated.losses is None:
        return False
    return bool(best.losses.mean() > (1 - _LEAST_GAIN) * stated.losses.mean())


def _name_of(recipe: ExportRecipe, mapping: InputMapping) -> str:
    named = (name for name, known in INPUT_MAPPINGS.items() if known == mapping)
    return recipe.source.input_range or next(named, f"the mapping of {recipe.source.contract}")


def _scores_of_others(
    trial: Trial, checkpoint: Checkpoint, progress: Progress
) -> Mapping[str, Scores]:
    """The scores under every mapping in use but the declared one."""
    others = {
        name: mapping
        for name, mapping in INPUT_MAPPINGS.items()
        if mapping != trial.judge.mapping and takes(checkpoint, mapping)
    }
    progress(f"trying other input ranges on {counted(len(trial.split.labels), 'image')}")
    count, scores = counter_of(progress), dict[str, Scores]()
    for name, mapping in others.items():
        scores[name] = replace(trial.judge, mapping=mapping).scores(trial.split.images)
        count(len(scores), len(others))
    return scores


def _orders(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The likely orders of the classes, the stated one first: as Keras sorts folders, by number, and all reversed."""
    by_number = sorted(names, key=lambda name: [_number(part) for part in re.split(r"(\d+)", name)])
    ascending = (names, tuple(sorted(names)), tuple(by_number))
    return tuple(dict.fromkeys([*ascending, *(order[::-1] for order in ascending)]))


def _number(part: str) -> tuple[int, str]:
    return (int(part), "") if part.isdecimal() else (-1, part)


def _learned_order(
    decided: Decisions, truth: Decisions, names: tuple[str, ...]
) -> tuple[str, ...] | None:
    """The class that each score mostly goes with; None where that is not one class for each, or the stated order."""
    chosen, right = (
        one if one.ndim == 2 else np.eye(len(names), dtype=bool)[one] for one in (decided, truth)
    )
    table = chosen.T.astype(np.int64) @ right
    if decided.ndim == 2:  # where a label does not hold counts too
        table += (~chosen).T.astype(np.int64) @ ~right
    order = tuple(names[index] for index in table.argmax(axis=1))
    return order if len(set(order)) == len(names) and order != names else None


def _takes_raw_pixels(copy: Any, mapping: InputMapping) -> bool:
    """Whether the model is fed pixels 0..255 and begins by scaling them, or by taking a mean of theirs away.

    Args:
        copy: the model without others in it, where a Normalization and arithmetic with constants are Rescalings.
        mapping: what it is fed.
    """
    if mapping != RAW_PIXELS:
        return False
    for layer in _leading_rescalings(copy):
        scale, offset = np.abs(layer.scale), np.abs(layer.offset)
        if np.max(scale) <= _LARGEST_PIXEL_STEP or np.min(offset / scale) >= _LEAST_MEAN:
            return True
    return False


def _leading_rescalings(copy: Any) -> Iterator[Any]:
    """The Rescalings before anything else is done to a picture's values; their order of channels may change."""
    for operation in copy.operations:
        kind = type(operation).__name__
        if kind == "Rescaling":
            yield operation
        elif kind not in _KEEPING and not kind.startswith(("Random", "Gaussian")):
            return


def _refusal(
    recipe: ExportRecipe, checkpoint: Checkpoint, stated: Reading, best: Reading
) -> ArtefactError:
    """The error that names what is better, and the option that says so."""
    if best.order == stated.order:
        return ArtefactError(
            f"{checkpoint.path}: {stated.percent} with {stated.mapping}, {best.percent} with {best.mapping}.",
            hint=f"Did you mean --input-range {best.mapping}?",
        )
    option = "" if best.mapping == stated.mapping else f"--input-range {best.mapping} and "
    listed = ", ".join(best.order[:_MAX_NAMED]) + (", ..." if best.order[_MAX_NAMED:] else "")
    is_sorted = best.order == tuple(sorted(best.order))
    if is_sorted and recipe.source.labels is not None:
        meant = "no --labels, which is the sorted order of their names"
    else:
        where = "--labels" if recipe.source.contract is None else "the contract's labels"
        meant = f"{where} in the order {listed}"
    return ArtefactError(
        f"{checkpoint.path}: {stated.percent} with {stated.mapping} and the classes in the order that was stated, "
        f"{best.percent} with {best.mapping} and the order {listed}.",
        hint=f"Did you mean {option}{meant}?",
    )
