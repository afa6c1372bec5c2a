"""Opens a reference and its candidates, and runs them on the same labelled images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar_data.image_folder import class_names, read_image_folder
from cifar_data.load import load_split
from cifar_data.split import Split
from cifar_eval.environment import read_environment
from cifar_eval.models.exported import ArtefactSubject, check_fits, distinct_names
from cifar_eval.models.keras import KerasScorer
from cifar_eval.models.protocols import Subject, is_checkpoint
from cifar_eval.parity.outputs import Outputs, ScoredModel
from cifar_eval.parity.recipe import ParityRecipe
from cifar_runtime.contract import InputContract, ScoreKind

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenModels:
    """What a recipe names, opened.

    Attributes:
        subjects: the models, the reference first.
        evaluation: the images, which fit them all.
    """

    subjects: tuple[Subject, ...]
    evaluation: Split


def open_models(recipe: ParityRecipe) -> OpenModels:
    """The models and the images, checked against each other.

    Raises:
        ArtefactError: a model cannot be used, or is made for other labels or sizes than the first.
        InputError: the images are missing, or do not decode.
        MissingDependencyError: keras or an interpreter is not installed.
    """
    exported = {
        path: ArtefactSubject(path, contract=recipe.contract, threads=recipe.threads)
        for path in dict.fromkeys(recipe.models)
        if not is_checkpoint(path)
    }
    if recipe.eval_data is None:
        evaluation = load_split(recipe.split, limit=recipe.limit)
        subjects = _subjects(recipe, exported, labels=evaluation.label_names)
    else:
        models = list(exported.values())
        # A checkpoint holds no class names, so folders are in Keras' own, sorted, order then.
        labels = models[0].labels if models else class_names(recipe.eval_data)
        subjects = _subjects(recipe, exported, labels=labels)
        contract = _contract(subjects[0], models)
        evaluation = read_image_folder(
            recipe.eval_data, labels=labels, contract=contract, limit=recipe.limit
        )
    for subject in subjects:
        check_fits(subject, labels=evaluation.label_names, images=evaluation.images)
    return OpenModels(subjects=subjects, evaluation=evaluation)


def score_models(opened: OpenModels, *, progress: Progress | None = None) -> Outputs:
    """The scores that all the models give the images.

    Args:
        opened: the models and the images.
        progress: takes a sentence whenever something long begins.

    Raises:
        ArtefactError: a model fails, or its scores are not numbers.
    """
    evaluation, names = opened.evaluation, distinct_names(opened.subjects)
    scores = []
    for name, subject in zip(names, opened.subjects, strict=True):
        if progress is not None:
            progress(f"scoring {len(evaluation.labels):,} images with {name}")
        scores.append(subject.scores(evaluation.images))
    return Outputs(
        split=evaluation.name,
        images_sha256=evaluation.sha256(),
        label_names=evaluation.label_names,
        labels=evaluation.labels,
        models=tuple(
            ScoredModel(
                name=name,
                model_file=subject.model_file,
                runtime=subject.runtime,
                score_kind=_score_kind(subject, answers),
            )
            for name, subject, answers in zip(names, opened.subjects, scores, strict=True)
        ),
        scores=np.stack(scores),
        environment=read_environment(),
    )


def _subjects(
    recipe: ParityRecipe, exported: Mapping[Path, ArtefactSubject], *, labels: tuple[str, ...]
) -> tuple[Subject, ...]:
    """The recipe's models in its order."""
    return tuple(
        exported[path]
        if path in exported
        else KerasScorer(path, labels=labels, threads=recipe.threads)
        for path in recipe.models
    )


def _contract(reference: Subject, exported: Sequence[ArtefactSubject]) -> InputContract:
    """How a folder's pictures are brought to size: as the first exported model says, else bicubic."""
    if exported:
        return exported[0].contract.input
    return InputContract(
        shape=reference.image_shape,
        dtype="float32",
        multiplier=1.0,
        offset=0.0,
        scale=None,
        zero_point=None,
        resize_filter="bicubic",
    )


def _score_kind(subject: Subject, scores: NDArray[np.float32]) -> ScoreKind:
    """The contract's word; for a checkpoint, probabilities where every row is a distribution."""
    if isinstance(subject, ArtefactSubject):
        return subject.contract.output.kind
    is_distribution = scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3)
    return "probabilities" if is_distribution else "logits"
