"""Opens a reference and its candidates, and runs them on the same labelled images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar_data.image_folder import class_names, read_image_folder
from cifar_data.load import load_split
from cifar_data.split import Split
from cifar_eval.models.checkpoint_mapping import checkpoint_mapping, refuse_unused_contract
from cifar_eval.models.exported import ExportedModel, check_fits, distinct_names
from cifar_eval.models.keras import BATCH_SIZE, CheckpointModel
from cifar_eval.models.protocols import BenchmarkModel, is_checkpoint
from cifar_eval.parity.outputs import Outputs, ScoredModel
from cifar_eval.parity.recipe import ParityRecipe
from cifar_runtime.contract import InputContract, ScoreKind, pixel_contract
from cifar_runtime.environment import read_environment
from cifar_runtime.progress import PART, Progress, scored_in_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenModels:
    """What a recipe names, opened.

    Attributes:
        models: the models, the reference first.
        evaluation: the images, which fit them all.
    """

    models: tuple[BenchmarkModel, ...]
    evaluation: Split


def open_models(recipe: ParityRecipe) -> OpenModels:
    """The models and the images, checked against each other.

    Raises:
        ArtefactError: a model cannot be used, or is made for other labels or sizes than the first.
        InputError: the images are missing, or do not decode.
        MissingDependencyError: keras or an interpreter is not installed.
        UsageError: a contract was given that no model needs.
    """
    exported = {
        path: ExportedModel(path, contract=recipe.contract, threads=recipe.threads)
        for path in dict.fromkeys(recipe.models)
        if not is_checkpoint(path)
    }
    refuse_unused_contract(recipe.contract, (model.artefact for model in exported.values()))
    if recipe.eval_data is None:
        evaluation = load_split(recipe.split, limit=recipe.limit)
        models = _models(recipe, exported, labels=evaluation.label_names)
    else:
        converted = list(exported.values())
        # A checkpoint holds no class names, so folders are in Keras' own, sorted, order then.
        labels = converted[0].labels if converted else class_names(recipe.eval_data)
        models = _models(recipe, exported, labels=labels)
        contract = _contract(models[0], converted)
        evaluation = read_image_folder(
            recipe.eval_data, labels=labels, contract=contract, limit=recipe.limit
        )
    for model in models:
        check_fits(model, labels=evaluation.label_names, images=evaluation.images)
    return OpenModels(models=models, evaluation=evaluation)


def score_models(opened: OpenModels, *, progress: Progress | None = None) -> Outputs:
    """The scores that all the models give the images.

    Args:
        opened: the models and the images.
        progress: takes a sentence whenever something long begins.

    Raises:
        ArtefactError: a model fails, or its scores are not numbers.
    """
    evaluation, names = opened.evaluation, distinct_names(opened.models)
    scores = []
    for name, model in zip(names, opened.models, strict=True):
        if progress is not None:
            progress(f"scoring {len(evaluation.labels):,} images with {name}")
        size = BATCH_SIZE if isinstance(model, CheckpointModel) else PART
        scores.append(scored_in_parts(model.scores, evaluation.images, progress, size=size))
    return Outputs(
        split=evaluation.name,
        images_sha256=evaluation.sha256(),
        label_names=evaluation.label_names,
        labels=evaluation.labels,
        models=tuple(
            ScoredModel(
                name=name,
                model_file=model.model_file,
                runtime=model.runtime,
                score_kind=_score_kind(model, answers),
            )
            for name, model, answers in zip(names, opened.models, scores, strict=True)
        ),
        scores=np.stack(scores),
        environment=read_environment(),
    )


def _models(
    recipe: ParityRecipe, exported: Mapping[Path, ExportedModel], *, labels: tuple[str, ...]
) -> tuple[BenchmarkModel, ...]:
    """The recipe's models in its order; checkpoints take what the cards of their exports say."""
    artefacts = [model.artefact for model in exported.values()]
    return tuple(
        exported[path]
        if path in exported
        else CheckpointModel(
            path, labels=labels, threads=recipe.threads, mapping=checkpoint_mapping(path, artefacts)
        )
        for path in recipe.models
    )


def _contract(reference: BenchmarkModel, exported: Sequence[ExportedModel]) -> InputContract:
    """How a folder's pictures are brought to size: as the first exported model says, else bicubic."""
    if exported:
        return exported[0].contract.input
    return pixel_contract(reference.image_shape, "bicubic")


def _score_kind(model: BenchmarkModel, scores: NDArray[np.float32]) -> ScoreKind:
    """The contract's word; for a checkpoint, probabilities where every row is a distribution."""
    if isinstance(model, ExportedModel):
        return model.contract.output.kind
    is_distribution = scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3)
    return "probabilities" if is_distribution else "logits"
