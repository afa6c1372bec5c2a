"""One training run from recipe to run folder: fit, evaluate, card; the command line only parses, calls and prints."""

import contextlib
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cifar_data import packaged
from cifar_data.load import load_split, training_splits
from cifar_data.split import Split
from cifar_runtime import __version__
from cifar_runtime.documents import to_document
from cifar_runtime.environment import read_environment
from cifar_runtime.errors import InputError, UsageError, not_one_of
from cifar_runtime.progress import counter_of
from cifar_runtime.system.files import replace_atomically, write_atomically
from cifar_runtime.system.interruption import check_interrupted
from cifar_train.engine.backend import check_backend, has_gpu, resolve_precision, select_backend
from cifar_train.engine.parallel import worker_folder
from cifar_train.fit import (
    SilentWatcher,
    Watcher,
    check_alike,
    fit,
    predict,
    without_fold,
)
from cifar_train.recipe import Distillation, RunOptions, TrainRecipe
from cifar_train.recipes import RECIPES
from cifar_train.run.class_report import class_report
from cifar_train.run.curves import Curves
from cifar_train.run.evaluate import (
    Evaluation,
    check_installed,
    evaluate,
    write_evaluation,
)
from cifar_train.run.events import EventFile
from cifar_train.run.state import Epoch, RunState
from cifar_train.teacher.distillation import Teacher, open_teacher

SCHEMA = "cifar-edge/train/1"
_PACKAGES = ("keras", "tensorflow", "jax", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a finished run left.

    Attributes:
        model_path: the Keras model, float32, without optimizer state.
        card: what ``card.json`` beside it says.
        evaluations: one for the validation images, and one for the test split of a final run.
    """

    model_path: Path
    card: dict[str, Any]
    evaluations: tuple[Evaluation, ...]


def train(
    recipe: TrainRecipe | str,
    options: RunOptions,
    watcher: Watcher | None = None,
    *,
    data: tuple[Split, Split] | None = None,
    test: Split | None = None,
    facts: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Trains, evaluates and describes one model; the run folder then holds all of it. Prints nothing.

    Args:
        recipe: what to do, or the name of one of ``RECIPES``.
        options: where the run goes and how it starts.
        watcher: sees batches and epochs; None for nobody.
        data: the images to train on and those to validate on, of any size and classes; None for CIFAR-10's.
        test: what a final run is judged on; None for CIFAR-10's test split. Other runs do not read it.
        facts: what the card says of the images beside, its ``contract`` and ``pictures``, and then a report on each
            class too; None for nothing.

    Raises:
        CifarEdgeError: see :func:`cifar_train.fit.fit`.
        ArtefactError, InputError: the teacher cannot be opened, or the splits differ in size or classes.
        MissingDependencyError: what the evaluation at the end needs is not installed.
        UsageError: there is no recipe of that name, the folder holds a run and neither resume nor force says what to do
            with it, or none to resume, or a final run on other images has no test split.

    Example:
        ``train("edge-s", RunOptions(folder="runs/edge-s"))`` is what ``cifar-train --recipe edge-s`` does. On images of
        your own, without a teacher, since the packaged soft labels are those of CIFAR-10:

        >>> from dataclasses import replace
        >>> import numpy as np
        >>> from cifar_data import test_sample
        >>> from cifar_train import RECIPES, RunOptions, train
        >>> images = test_sample()
        >>> data = (
        ...     images.take(np.arange(0, 1000, 2), name="mine"),
        ...     images.take(np.arange(1, 1000, 10), name="held out"),
        ... )
        >>> recipe = replace(RECIPES["quick"], epochs=1, distillation=None)
        >>> result = train(recipe, RunOptions(folder="runs/mine"), data=data)
        >>> result.model_path.as_posix()
        'runs/mine/model.keras'
        >>> result.evaluations[0].split, result.evaluations[0].seen
        ('held out', 100)
    """
    recipe = _named_recipe(recipe)
    folder = worker_folder(Path(options.folder), recipe)
    _check_folder(folder, options)
    if options.final and data is not None and test is None:
        raise UsageError(
            "a final run on images of your own has no test split to be judged on.",
            hint="Give test=SPLIT, or leave final out.",
        )
    check_backend(recipe.backend)
    check_installed()
    teacher_path = _teacher_path(recipe, options)
    recipe = _recipe_with_teacher(recipe, teacher_path)
    given, validation = data or training_splits(recipe.validation)
    if options.final and test is not None:
        check_alike(given, test)
    data = without_fold(given, recipe.fold), validation
    with _recorded(watcher or SilentWatcher(), folder, options) as recorder:
        teacher = _opened_teacher(recipe, teacher_path, data[0])
        model, state = fit(recipe, data, folder, recorder, resume=options.resume, teacher=teacher)
    judged = [validation, test or load_split("test")] if options.final else [validation]
    count = counter_of(watcher)
    evaluations = tuple(
        evaluate(predict(model, split.images, count=count), split) for split in judged
    )
    further: dict[str, Any] = {"licence": options.licence}
    if facts is not None:
        further |= {**facts, "report": {one.split: class_report(one) for one in evaluations}}
    return _write_run(folder, model, state, data, evaluations, further)


def _write_run(
    folder: Path,
    model: Any,
    state: RunState,
    data: tuple[Split, Split],
    evaluations: tuple[Evaluation, ...],
    further: Mapping[str, Any],
) -> TrainResult:
    """Writes what a finished run leaves in its folder, the card last."""
    check_interrupted()
    for evaluation in evaluations:
        write_evaluation(folder, evaluation)
    Curves(folder).update(state)
    model_path = folder / "model.keras"
    replace_atomically(model_path, model.save)
    card = {**_card(state, data, evaluations, model_path), **further}
    write_atomically(folder / "card.json", (json.dumps(card, indent=1) + "\n").encode())
    return TrainResult(model_path=model_path, card=card, evaluations=evaluations)


def _named_recipe(recipe: TrainRecipe | str) -> TrainRecipe:
    if isinstance(recipe, TrainRecipe):
        return recipe
    if recipe not in RECIPES:
        raise UsageError(f"recipe {not_one_of(recipe, RECIPES)}.", hint="Give one of these.")
    return RECIPES[recipe]


def _teacher_path(recipe: TrainRecipe, options: RunOptions) -> Path | None:
    if options.teacher is not None:
        return Path(options.teacher)
    return packaged.soft_labels() if recipe.distillation is not None else None


def _recipe_with_teacher(recipe: TrainRecipe, path: Path | None) -> TrainRecipe:
    """The recipe with the teacher's digest in it, so that a run resumes with the same teacher only."""
    if path is None:
        return recipe
    if recipe.distribute == "workers" and path.suffix == ".keras":
        raise UsageError(
            f"{path}: a checkpoint cannot teach several workers.",
            hint="Store its answers with cifar-soft-labels, and give those.",
        )
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as cause:
        raise InputError(
            f"{path}: cannot be read: {cause.strerror}.", hint="Check the path of the teacher."
        ) from cause
    distillation = replace(recipe.distillation or Distillation(), source_sha256=sha256)
    return replace(recipe, distillation=distillation)


def _opened_teacher(recipe: TrainRecipe, path: Path | None, train: Split) -> Teacher | None:
    if path is None or recipe.distillation is None:
        return None
    select_backend(recipe.backend, recipe.device)
    return open_teacher(path, recipe, train)


@contextlib.contextmanager
def _recorded(watcher: Watcher, folder: Path, options: RunOptions) -> Iterator[Watcher]:
    """The watcher, and beside it the run's curves, and an event file where one is asked for."""
    with contextlib.ExitStack() as stack:
        events = (
            stack.enter_context(contextlib.closing(EventFile(folder)))
            if options.tensorboard
            else None
        )
        yield _Recorder(watcher, Curves(folder), events)


class _Recorder:
    """Passes everything on, and writes epochs to the curves and to an event file."""

    def __init__(self, watcher: Watcher, curves: Curves, events: EventFile | None) -> None:
        self._curves, self._events = curves, events
        self._watcher = watcher

    def on_batch(self, epoch: int, seen: int, total: int) -> None:
        self._watcher.on_batch(epoch, seen, total)

    def on_epoch(self, epoch: Epoch, state: RunState) -> None:
        self._curves.update(state)
        if self._events is not None:
            self._events.add(epoch)
        self._watcher.on_epoch(epoch, state)


def _check_folder(folder: Path, options: RunOptions) -> None:
    started = (folder / "state.json").exists()
    if started and not (options.resume or options.force):
        raise UsageError(
            f"{folder} holds a run already.",
            hint="Continue it with --resume, start over with --force, or choose another folder.",
        )
    if options.resume and not started:
        raise UsageError(f"{folder} holds no run to resume.", hint="Start it without --resume.")


def _card(
    state: RunState,
    data: tuple[Split, Split],
    evaluations: tuple[Evaluation, ...],
    model_path: Path,
) -> dict[str, Any]:
    recipe = state.recipe
    return {
        "schema": SCHEMA,
        "recipe": to_document(recipe),
        "labels": list(data[0].label_names),
        "model": {
            "file": model_path.name,
            "sha256": hashlib.sha256(model_path.read_bytes()).hexdigest(),
        },
        "data": {
            split.name: {"images": len(split.ids), "ids_sha256": split.ids_sha256()}
            for split in data
        },
        "kept_epoch": state.kept.number,
        "accuracy": {
            evaluation.split: {"correct": evaluation.correct, "seen": evaluation.seen}
            for evaluation in evaluations
        },
        "epochs": to_document(state.epochs),
        "environment": {
            "cifar-edge": __version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "device": "gpu" if has_gpu(recipe.backend) else "cpu",
            **_processor(),
            "precision": resolve_precision(recipe),
            **_versions(),
        },
    }


def _processor() -> dict[str, str]:
    here = read_environment()
    flags = {"isa_flags": " ".join(here.isa_flags)} if here.isa_flags else {}
    return {"cpu_model": here.cpu_model, **flags, "cores": str(here.cores)}


def _versions() -> dict[str, str]:
    installed = {}
    for package in _PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed
