"""Whether a folder's labelled pictures bear out how they are brought to the model's size: the rule and the filter.

Pictures of another aspect ratio lose their sides to a centre crop, and a network that was trained on stretched ones
decides worse of what is left; so does its export, which is fed alike. So some pictures are scored under every rule and
the filters in use that were not stated, and one that is better beyond chance is named.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from cifar_data.choose import stratified_positions
from cifar_data.labelled_images import labelled_paths
from cifar_data.split import Split
from cifar_eval.formatting import counted
from cifar_export.checkpoint.attempt import (
    MAX_IMAGES,
    Attempt,
    decider,
    is_right,
    likeliest,
    truth_of,
)
from cifar_export.checkpoint.reference import Reference
from cifar_export.recipe import ExportRecipe, SourceRecipe
from cifar_runtime.contract import InputContract, Resize, ResizeFilter, pixel_contract
from cifar_runtime.errors import ArtefactError
from cifar_runtime.imaging.image import read_image
from cifar_runtime.imaging.preprocess import fit_picture
from cifar_runtime.progress import Counter, Progress, counter_of

_AT_ONCE = 50  # pictures in memory under every way
_FILTERS: tuple[ResizeFilter, ...] = ("bilinear-no-antialias", "bilinear")


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry(Attempt):
    """One way to bring pictures to size, and what comes of it.

    Attributes:
        resize: the rule.
        resize_filter: the filter.
    """

    resize: Resize
    resize_filter: ResizeFilter


def check_geometry(
    recipe: ExportRecipe,
    judge: Reference,
    split: Split,
    contract: InputContract,
    reference: NDArray[np.float32],
    progress: Progress,
) -> None:
    """Checks that no other rule or filter than a default fits the evaluation folder's pictures better, beyond chance.

    Args:
        recipe: names the folder, and says what the user gave explicitly, which is not doubted.
        judge: what scores images as it does.
        split: the folder's pictures, or some of them.
        contract: how they were brought to size.
        reference: their scores, float32, shape (n, num_classes).
        progress: sees the pictures that are tried.

    Raises:
        ArtefactError: another one is better; the message names it and both accuracies.
    """
    folder, source = recipe.evaluation.data, recipe.source
    if folder is None or source.contract is not None:
        return
    others = _others(contract, source)
    positions = stratified_positions(split.labels, min(MAX_IMAGES, len(split.labels)))
    chosen, tries = split.take(positions, name=split.name), len(others)
    decides = decider(judge.threshold)
    right = is_right(decides(reference[positions]), truth_of(chosen))
    stated = Geometry(resize=contract.resize, resize_filter=contract.resize_filter, correct=right)
    if not stated.can_be_beaten(tries=tries):
        return
    paths = labelled_paths(folder, split.label_names)
    progress(f"trying other ways to resize on {counted(len(chosen.ids), 'picture')}")
    trial = [paths[index] for index in chosen.ids]
    scores = _scores(judge, trial, others, contract.shape, counter_of(progress))
    found = [
        Geometry(
            resize=rule,
            resize_filter=name,
            correct=is_right(decides(np.concatenate(parts)), truth_of(chosen)),
        )
        for (rule, name), parts in zip(others, scores, strict=True)
    ]
    better = [one for one in found if one.beats(stated, tries=tries)]
    if better:
        raise _refusal(source.checkpoint, stated, _simplest(better, stated))


def _others(contract: InputContract, source: SourceRecipe) -> list[tuple[Resize, ResizeFilter]]:
    """The ways in use but the stated one; what the user gave is in all of them."""
    rules: tuple[Resize, ...] = (contract.resize,)
    filters: tuple[ResizeFilter, ...] = (contract.resize_filter,)
    if source.resize is None:
        rules = get_args(Resize)
    if source.resize_filter is None:
        filters = (*filters, *_FILTERS)
    stated = contract.resize, contract.resize_filter
    return [(rule, name) for rule in rules for name in filters if (rule, name) != stated]


def _scores(
    judge: Reference,
    paths: list[Path],
    ways: list[tuple[Resize, ResizeFilter]],
    shape: tuple[int, int, int],
    count: Counter,
) -> list[list[NDArray[np.float32]]]:
    """The scores of pictures under each way, in parts; each picture is decoded once."""
    contracts = [pixel_contract(shape, name, rule) for rule, name in ways]
    scores: list[list[NDArray[np.float32]]] = [[] for _ in ways]
    for start in range(0, len(paths), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        pictures = [read_image(path, keep_alpha=shape[2] == 4) for path in paths[part]]
        for way, contract in enumerate(contracts):
            images = np.stack([fit_picture(picture, contract) for picture in pictures])
            scores[way].append(judge.scores(images))
        count(start + len(pictures), len(paths))
    return scores


def _simplest(better: list[Geometry], stated: Geometry) -> Geometry:
    """The one that changes least among those that the best does not beat beyond chance."""
    return likeliest(
        sorted(better, key=lambda one: (len(_changes(one, stated)), -one.correct.sum()))
    )


def _changes(one: Geometry, stated: Geometry) -> dict[str, str]:
    """The options that differ, by the words that name them."""
    rule = {} if one.resize == stated.resize else {"--resize": one.resize}
    if one.resize_filter == stated.resize_filter:
        return {**rule}
    return {**rule, "--resize-filter": one.resize_filter}


def _refusal(checkpoint: Path, stated: Geometry, found: Geometry) -> ArtefactError:
    changes = _changes(found, stated)
    before = {"--resize": stated.resize, "--resize-filter": stated.resize_filter}
    return ArtefactError(
        f"{checkpoint}: {stated.percent} with {' and '.join(before[option] for option in changes)}, "
        f"{found.percent} with {' and '.join(changes.values())}.",
        hint=f"Did you mean {' '.join(f'{option} {value}' for option, value in changes.items())}?",
    )
