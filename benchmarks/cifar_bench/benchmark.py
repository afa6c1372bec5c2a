"""The whole benchmark as one function: a recipe in, a report out. It never prints.

Every model is opened in a worker process of its own, and all take turns; here no model is opened.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from cifar_bench.measure.cold_start import measure_cold_starts
from cifar_bench.measure.jobs import (
    Sources,
    cold_models,
    jobs_from_sources,
    open_sources,
    write_picture,
)
from cifar_bench.measure.measured_model import Job, MeasuredModel
from cifar_bench.measure.phases import (
    Answers,
    Extras,
    Times,
    ask_answers,
    measure_extras,
    measure_further_threads,
    measure_times,
)
from cifar_bench.measure.worker_process import WorkerProcess
from cifar_bench.recipe import BenchRecipe
from cifar_bench.results.conditions import pinning, read_conditions
from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_bench.results.roofline import Roofline
from cifar_bench.results.timings import ColdStart
from cifar_data.split import Split
from cifar_eval.detailed_accuracy import measure_detailed_accuracy
from cifar_eval.flips import flips_from_probabilities
from cifar_eval.models.exported import check_fits, distinct_names
from cifar_eval.parity.counts import parity_from_scores
from cifar_runtime.artefact import Artefact
from cifar_runtime.documents import from_document
from cifar_runtime.environment import read_environment
from cifar_runtime.progress import Progress, counter_of

_clock = time.perf_counter_ns


def bench(
    recipe: BenchRecipe,
    *,
    command: Sequence[str] = ("cifar_bench.benchmark",),
    progress: Progress | None = None,
) -> Report:
    """Accuracy, parity, latency and everything else the recipe asks for.

    Args:
        recipe: what to measure.
        command: the command line, for the report.
        progress: takes a sentence whenever something long begins.

    Raises:
        InputError: the images are missing.
        ArtefactError: a model cannot be used, or its process dies.
        MissingDependencyError: keras or an interpreter is not installed.
        UsageError: what the recipe names does not go together.

    Example:
        >>> from cifar_bench import BenchRecipe, Effort, bench
        >>> from cifar_runtime.classifier import default_model
        >>> effort = Effort(runs=50, max_seconds=0, batch_sizes=(), cold_starts=0, roofline=False)
        >>> report = bench(BenchRecipe(models=(default_model("tflite"),), limit=20, effort=effort))
        >>> [(model.name, model.accuracy.seen) for model in report.models]
        [('edge-s-int8', 20)]
    """
    progress = progress or _ignore
    environment, date = read_environment(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = read_conditions(pinned_cpus=pinning(recipe.threads[0]))
    sources = open_sources(recipe)
    with tempfile.TemporaryDirectory(prefix="cifar-bench-") as folder:
        models = _measure(sources, recipe, folder=Path(folder), progress=progress)
    return Report(
        command=tuple(command),
        date=date,
        environment=environment,
        conditions=conditions,
        reference=models[0].name if recipe.against else None,
        roofline=_roofline(models, progress) if recipe.effort.roofline else None,
        models=models,
    )


def _measure(
    sources: Sources, recipe: BenchRecipe, *, folder: Path, progress: Progress
) -> tuple[ModelReport, ...]:
    jobs, evaluation = jobs_from_sources(sources, recipe, folder=folder), sources.evaluation
    picture = folder / "picture.png"
    write_picture(evaluation, picture)
    with ExitStack() as stack:
        models = [
            stack.enter_context(MeasuredModel(job, threads=recipe.threads[0])) for job in jobs
        ]
        for model in models:
            check_fits(model, labels=evaluation.label_names, images=evaluation.images)
        progress(f"timing {recipe.effort.runs:,} inferences or more of each of {_counted(models)}")
        times = measure_times(models, recipe, clock=_clock, count=counter_of(progress))
        extras = [
            measure_extras(
                model, one.latency, picture=picture, with_profile=recipe.profile, clock=_clock
            )
            for model, one in zip(models, times, strict=True)
        ]
        answers, names = [], _names(models)
        for name, model in zip(names, models, strict=True):
            progress(f"scoring {len(evaluation.labels):,} images with {name}")
            count = counter_of(progress)
            answers.append(ask_answers(model, len(evaluation.labels), count=count))
    references = _references(models, sources, recipe)
    further = _further_threads(jobs, recipe, progress)
    cold = _cold_starts(jobs, sources, recipe, picture, progress)
    return tuple(
        _model_report(
            model,
            names[place],
            measured=(times[place], *further[place]),
            extras=extras[place],
            cold_start=cold.get(place),
            accuracy=(
                answers[place],
                evaluation,
                None if against is None else (names[against], answers[against]),
            ),
        )
        for (place, model), against in zip(enumerate(models), references, strict=True)
    )


def _model_report(
    model: MeasuredModel,
    name: str,
    *,
    measured: Sequence[Times],
    extras: Extras,
    cold_start: ColdStart | None,
    accuracy: tuple[Answers, Split, tuple[str, Answers] | None],
) -> ModelReport:
    answers, evaluation, reference = accuracy
    return ModelReport(
        name=name,
        model_file=model.model_file,
        runtime=model.runtime,
        options=model.job.variant.options,
        cost=extras.cost,
        accuracy=measure_detailed_accuracy(answers.scores, answers.probabilities, evaluation),
        reference=None if reference is None else reference[0],
        parity=None
        if reference is None
        else parity_from_scores(reference[1].scores, answers.scores, evaluation.labels),
        flips=()
        if reference is None
        else flips_from_probabilities(
            reference[1].probabilities, answers.probabilities, evaluation
        ),
        latency=measured[0].latency,
        threads=tuple(times.latency for times in measured[1:]),
        throughput=tuple(one for times in measured for one in times.throughput),
        startup=model.startup,
        cold_start=cold_start,
        preprocessing=extras.preprocessing,
        energy=extras.energy,
        delegation=extras.delegation,
        profile=extras.profile,
    )


def _references(
    models: Sequence[MeasuredModel], sources: Sources, recipe: BenchRecipe
) -> tuple[int | None, ...]:
    """The place of what each model is compared with: its checkpoint where that is a reference, else the first."""
    if not recipe.against:
        return (None,) * len(models)
    first = {
        model.model_file.sha256: place
        for place, model in reversed(list(enumerate(models)))
        if model.job.path in recipe.against
    }
    made_from = [
        model.model_file.sha256
        if model.job.path in recipe.against
        else _checkpoint(sources.artefacts.get(model.job.path))
        for model in models
    ]
    places = [first.get(digest, 0) for digest in made_from]
    return tuple(None if own == place else own for place, own in enumerate(places))


def _checkpoint(artefact: Artefact | None) -> str:
    """The digest of the checkpoint that an artefact says it was made from; empty where it does not say."""
    card = {} if artefact is None else artefact.card
    return str(((card.get("provenance") or {}).get("checkpoint") or {}).get("sha256", ""))


def _further_threads(
    jobs: Sequence[Job], recipe: BenchRecipe, progress: Progress
) -> tuple[tuple[Times, ...], ...]:
    if recipe.threads[1:]:
        progress(f"timing with {', '.join(map(str, recipe.threads[1:]))} threads")
    return measure_further_threads(jobs, recipe, clock=_clock, count=counter_of(progress))


def _cold_starts(
    jobs: Sequence[Job], sources: Sources, recipe: BenchRecipe, picture: Path, progress: Progress
) -> Mapping[int, ColdStart]:
    models, starts = cold_models(jobs, sources), recipe.effort.cold_starts
    if not starts or not models:
        return {}
    progress(f"starting cifar-classify {starts} times with each of {_counted(models)}")
    pinned_cpus = pinning(recipe.threads[0])
    taken = measure_cold_starts(
        list(models.values()),
        picture,
        starts=starts,
        pinned_cpus=pinned_cpus,
        clock=_clock,
        count=counter_of(progress),
    )
    return dict(zip(models, taken, strict=True))


def _roofline(models: Sequence[ModelReport], progress: Progress) -> Roofline:
    progress("measuring what this machine can do at most")
    runtimes = sorted({model.runtime for model in models})
    with WorkerProcess("the roofline", pinned_cpus=pinning(1)) as worker:
        found = worker.ask("roofline", runtimes=runtimes, count=counter_of(progress))
    return from_document(Roofline, found)


def _names(models: Sequence[MeasuredModel]) -> tuple[str, ...]:
    """A name for every model, with the variant where it is measured in several."""
    paths = [model.job.path for model in models]
    first = {path: models[paths.index(path)] for path in paths}
    own = dict(zip(first, distinct_names(list(first.values())), strict=True))
    return tuple(
        own[path] if paths.count(path) == 1 else f"{own[path]} ({model.job.variant.name})"
        for path, model in zip(paths, models, strict=True)
    )


def _counted(models: Sequence[object] | Mapping[int, object]) -> str:
    return "one model" if len(models) == 1 else f"{len(models)} models"


def _ignore(sentence: str) -> None:
    del sentence
