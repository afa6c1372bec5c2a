"""Accuracy of models under corruptions, the reference first. It imports nothing slow until it measures."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_eval.parity.recipe import ParityRecipe, images_by_name

if TYPE_CHECKING:
    from cifar_eval.robustness.report import RobustnessReport


def measure_robustness(
    reference: str | Path,
    *candidates: str | Path,
    images: str | Path = "test-sample",
    limit: int | None = None,
    threads: int = 1,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> "RobustnessReport":
    """The accuracy of models on the same damaged images.

    Args:
        reference: the model that the others are compared with: a .keras, .tflite or .onnx file.
        candidates: the others, one or more.
        images: the name of a split, such as ``test``, or a folder of images, one folder a class.
        limit: use at most this many images, evenly over the classes; None for all.
        threads: threads one inference may use.
        seed: of the damage.
        progress: takes a sentence whenever a corruption begins.

    Raises:
        ArtefactError: a model cannot be used, or is made for other labels or sizes than the first.
        InputError: the images are missing, or do not decode.
        MissingDependencyError: keras or an interpreter is not installed.
        UsageError: there is no candidate, or ``images`` names none.

    Example:
        >>> from cifar_eval import measure_robustness
        >>> from cifar_runtime.classifier import default_model
        >>> report = measure_robustness(default_model("tflite"), default_model("onnx"), limit=20)
        >>> [len(model.robustness.corruptions) for model in report.models]
        [6, 6]
    """
    from cifar_eval.models.exported import distinct_names
    from cifar_eval.parity.score import open_models
    from cifar_eval.robustness.counts import decisions_of, robustness_from_decisions
    from cifar_eval.robustness.report import ModelRobustness, RobustnessReport
    from cifar_runtime.environment import read_environment

    split, folder = images_by_name(images)
    opened = open_models(
        ParityRecipe(
            reference=Path(reference),
            candidates=tuple(map(Path, candidates)),
            split=split,
            eval_data=folder,
            limit=limit,
            threads=threads,
        )
    )
    labels = opened.evaluation.labels
    decided = decisions_of(
        [model.scores for model in opened.models],
        opened.evaluation.images,
        labels,
        seed=seed,
        progress=progress,
    )
    names = distinct_names(opened.models)
    return RobustnessReport(
        environment=read_environment(),
        split=opened.evaluation.name,
        images_sha256=opened.evaluation.sha256(),
        seed=seed,
        models=tuple(
            ModelRobustness(
                name=name,
                model_file=model.model_file,
                runtime=model.runtime,
                robustness=robustness_from_decisions(
                    own, labels, reference=None if own is decided[0] else decided[0]
                ),
            )
            for name, model, own in zip(names, opened.models, decided, strict=True)
        ),
    )
