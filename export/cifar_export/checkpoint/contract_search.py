"""Whether labelled images bear out what a checkpoint is taken to expect: its input mapping, and its classes' order.

An artefact is compared with its own checkpoint, fed alike: where the mapping is wrong, both are wrong in the same way
and agree. So the checkpoint, as it was loaded, scores some labelled images under every mapping in use, read in every
likely order of the classes. A guess that another one beats beyond chance is refused, and so is an order of the classes
that these images, lying in folders of their names, speak against. A mapping that the user gave explicitly is kept, with
a warning: pictures of another camera or light may favour another mapping, and nothing else could say so.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_data.choose import stratified_positions
from cifar_data.split import Split
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
from cifar_export.checkpoint.open import Checkpoint
from cifar_export.checkpoint.reference import Reference
from cifar_export.recipe import ExportRecipe
from cifar_runtime.errors import ArtefactError

# A Rescaling by less than this takes pixels of 0..255 to the range of a few units that networks work in.
_LARGEST_PIXEL_STEP = 1 / 64
_MAX_NAMED = 20


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

    def reading(self, decided: Decisions, mapping: str, order: tuple[str, ...]) -> Reading:
        """The decisions read in an order of the classes."""
        names = self.split.label_names
        meant = np.array([names.index(name) for name in order], np.int64)
        read = meant[decided] if decided.ndim == 1 else decided[:, meant.argsort()]
        return Reading(mapping=mapping, order=order, correct=is_right(read, truth_of(self.split)))

    def decided(self) -> Decisions:
        """The decisions under the declared mapping."""
        return decider(self.judge.threshold)(self.reference)


def check_contract(
    recipe: ExportRecipe,
    checkpoint: Checkpoint,
    judge: Reference,
    split: Split,
    reference: NDArray[np.float32],
    *,
    progress: Callable[[str], None],
) -> None:
    """Checks that no other contract fits labelled images better, beyond chance.

    Args:
        recipe: says what the user gave explicitly.
        checkpoint: the model, for messages.
        judge: it, and the mapping that was declared.
        split: labelled images; some hundred of them are tried.
        reference: the checkpoint's scores of them, float32, shape (n, num_classes).
        progress: told when an explicit mapping is clearly worse than another.

    Raises:
        ArtefactError: another mapping or order of the classes is better; the message names it and both accuracies.
    """
    positions = stratified_positions(split.labels, min(MAX_IMAGES, len(split.labels)))
    trial = Trial(
        judge=judge,
        stated=_name_of(recipe, judge.mapping),
        split=split.take(positions, name=split.name),
        reference=reference[positions],
    )
    names, stated = (
        split.label_names,
        trial.reading(trial.decided(), trial.stated, split.label_names),
    )
    is_explicit = recipe.source.contract is not None or recipe.source.input_range is not None
    decisions = {trial.stated: trial.decided()}
    orders = _orders(names)
    tries = (len(INPUT_MAPPINGS) + 1) * len(orders)
    if not stated.can_be_beaten(tries=tries):
        return
    if not _takes_raw_pixels(checkpoint.model, judge.mapping):
        decisions |= _decisions_of_others(trial, checkpoint)
    if is_explicit:
        others = [trial.reading(found, name, names) for name, found in decisions.items()]
        best = likeliest(others)
        if best.beats(stated, tries=tries):
            progress(
                f"warning: {checkpoint.path}: {stated.percent} with {stated.mapping}, as was stated, "
                f"{best.percent} with {best.mapping}; it is exported as was stated"
            )
        decisions = {trial.stated: trial.decided()}
    readings = [
        trial.reading(found, name, order) for name, found in decisions.items() for order in orders
    ]
    best = likeliest(readings)
    if best.beats(stated, tries=tries):
        raise _refusal(recipe, checkpoint, stated, best)
    _check_learned_order(recipe, checkpoint, trial, stated)


def _check_learned_order(
    recipe: ExportRecipe, checkpoint: Checkpoint, trial: Trial, stated: Reading
) -> None:
    """Checks that half of the images do not teach an order of the classes that the other half bears out."""
    decided, names = trial.decided(), trial.split.label_names
    learned = _learned_order(decided[::2], truth_of(trial.split)[::2], names)
    if learned is None:
        return
    found = trial.reading(decided, trial.stated, learned)
    unseen = [
        Reading(mapping=one.mapping, order=one.order, correct=one.correct[1::2])
        for one in (found, stated)
    ]
    if unseen[0].beats(unseen[1], tries=1):
        raise _refusal(recipe, checkpoint, stated, found)


def _name_of(recipe: ExportRecipe, mapping: InputMapping) -> str:
    named = (name for name, known in INPUT_MAPPINGS.items() if known == mapping)
    return recipe.source.input_range or next(named, f"the mapping of {recipe.source.contract}")


def _decisions_of_others(trial: Trial, checkpoint: Checkpoint) -> Mapping[str, Decisions]:
    """The decisions under every mapping in use but the declared one."""
    return {
        name: decider(trial.judge.threshold)(
            replace(trial.judge, mapping=mapping).scores(trial.split.images)
        )
        for name, mapping in INPUT_MAPPINGS.items()
        if mapping != trial.judge.mapping and takes(checkpoint, mapping)
    }


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


def _takes_raw_pixels(model: Any, mapping: InputMapping) -> bool:
    """Whether the model begins with a Rescaling of pixels 0..255, and is fed these."""
    first: Any = next(_working_layers(model), None)
    if mapping != RAW_PIXELS or type(first).__name__ != "Rescaling":
        return False
    return bool(np.max(np.abs(first.scale)) < _LARGEST_PIXEL_STEP)


def _working_layers(model: Any) -> Iterator[Any]:
    """The layers of a model, also of those in it, but those that do nothing at inference to a picture's values."""
    for layer in model.layers:
        kind = type(layer).__name__
        if getattr(layer, "inputs", None):
            yield from _working_layers(layer)
        elif kind != "InputLayer" and not kind.startswith(("Random", "Dropout", "GaussianNoise")):
            yield layer


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
        meant = "no --labels, which is the sorted order of the folders"
    else:
        where = "--labels" if recipe.source.contract is None else "the contract's labels"
        meant = f"{where} in the order {listed}"
    return ArtefactError(
        f"{checkpoint.path}: {stated.percent} with {stated.mapping} and the classes in the order that was stated, "
        f"{best.percent} with {best.mapping} and the order {listed}.",
        hint=f"Did you mean {option}{meant}?",
    )
