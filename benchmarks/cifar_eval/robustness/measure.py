"""Accuracy of models under corruptions, the reference first."""

from typing import TYPE_CHECKING

from cifar_eval.parity.recipe import ParityRecipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from cifar_eval.robustness.report import RobustnessReport


def measure_robustness(
    recipe: ParityRecipe, *, seed: int, progress: "Callable[[str], None] | None" = None
) -> "RobustnessReport":
    """The accuracy of the recipe's models on the same damaged images.

    Args:
        recipe: names the models, the reference first, and the images.
        seed: of the damage.
        progress: takes a sentence whenever a corruption begins.

    Raises:
        ArtefactError: a model cannot be used, or is made for other labels or sizes than the first.
        InputError: the images are missing, or do not decode.
        MissingDependencyError: keras or an interpreter is not installed.
    """
    from cifar_eval.environment import read_environment
    from cifar_eval.models.exported import distinct_names
    from cifar_eval.parity.score import open_models
    from cifar_eval.robustness.counts import decisions_of, robustness_from_decisions
    from cifar_eval.robustness.report import ModelRobustness, RobustnessReport

    opened = open_models(recipe)
    subjects, evaluation = opened.subjects, opened.evaluation
    decided = decisions_of(
        [subject.scores for subject in subjects],
        evaluation.images,
        evaluation.labels,
        seed=seed,
        progress=progress,
    )
    models = tuple(
        ModelRobustness(
            name=name,
            model_file=subject.model_file,
            runtime=subject.runtime,
            robustness=robustness_from_decisions(
                decided[index], evaluation.labels, reference=decided[0] if index else None
            ),
        )
        for index, (name, subject) in enumerate(
            zip(distinct_names(subjects), subjects, strict=True)
        )
    )
    return RobustnessReport(
        environment=read_environment(),
        split=evaluation.name,
        images_sha256=evaluation.sha256(),
        seed=seed,
        models=models,
    )
