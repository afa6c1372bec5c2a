"""The whole benchmark as one function: a recipe in, a report out. It never prints."""

import time
from collections.abc import Callable, Sequence

from cifar_bench.accuracy import measure_accuracy
from cifar_bench.environment import read_environment
from cifar_bench.latency import ROUNDS, Clock, Latency, sample_inference
from cifar_bench.parity import Parity, parity_from_scores
from cifar_bench.recipe import BenchRecipe
from cifar_bench.report import ModelReport, Report
from cifar_bench.scorer import Subject
from cifar_bench.split_choice import choose_split, stratified_positions
from cifar_bench.subject import check_fits, distinct_names, open_subjects
from cifar_train.dataset import LABELS, Split

Progress = Callable[[str], None]

NUM_LATENCY_IMAGES = 50


def bench(recipe: BenchRecipe, *, progress: Progress | None = None) -> Report:
    """Accuracy, parity and latency of everything the recipe names.

    Args:
        recipe: what to measure.
        progress: takes a sentence whenever something long begins.

    Raises:
        InputError: the split was not fetched.
        ArtefactError: a model cannot be used.
        MissingDependencyError: keras or an interpreter is not installed.
    """
    environment = read_environment()
    split = choose_split(recipe.split, limit=recipe.limit)
    subjects = open_subjects(recipe, labels=LABELS)
    for subject in subjects:
        check_fits(subject, labels=LABELS, images=split.images)
    models = measure(subjects, split, recipe, clock=time.perf_counter_ns, progress=progress)
    return Report(
        environment=environment,
        reference=models[0].name if recipe.against else None,
        models=models,
    )


def measure(
    subjects: Sequence[Subject],
    split: Split,
    recipe: BenchRecipe,
    *,
    clock: Clock,
    progress: Progress | None = None,
) -> tuple[ModelReport, ...]:
    """One report per subject, in their order; with checkpoints, the first subject is the reference.

    Args:
        subjects: opened models, all for the split's images.
        split: the images to score.
        recipe: warm-up, runs, and whether there is a reference.
        clock: nanoseconds, monotonic.
        progress: takes a sentence whenever something long begins.
    """
    tell = progress or _say_nothing
    names = distinct_names(subjects)
    scores = []
    for name, subject in zip(names, subjects, strict=True):
        tell(f"scoring {len(split.labels):,} images with {name}")
        scores.append(subject.scores(split.images))
    parities: list[Parity | None] = [None] * len(subjects)
    if recipe.against:
        parities[1:] = [parity_from_scores(scores[0], other, split.labels) for other in scores[1:]]
    tell(f"timing {recipe.runs:,} inferences of each model")
    latencies = _latencies(subjects, split, recipe, clock=clock)
    return tuple(
        ModelReport(
            name=names[index],
            model_file=subject.model_file,
            runtime=subject.runtime,
            accuracy=measure_accuracy(scores[index], split.labels, split=split.name),
            parity=parities[index],
            latency=latencies[index],
        )
        for index, subject in enumerate(subjects)
    )


def _latencies(
    subjects: Sequence[Subject], split: Split, recipe: BenchRecipe, *, clock: Clock
) -> tuple[Latency, ...]:
    positions = stratified_positions(split.labels, NUM_LATENCY_IMAGES)
    tensors = [subject.prepare(split.images[positions]) for subject in subjects]
    samples = sample_inference(
        subjects, tensors, runs=recipe.runs, warmup=recipe.warmup, clock=clock
    )
    return tuple(
        Latency(
            threads=subject.threads,
            warmup=recipe.warmup,
            rounds=min(ROUNDS, recipe.runs),
            num_images=len(positions),
            samples_ns=taken,
        )
        for subject, taken in zip(subjects, samples, strict=True)
    )


def _say_nothing(sentence: str) -> None:
    del sentence
