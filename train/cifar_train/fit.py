"""Fits a recipe: Keras does the steps, one epoch a call, and after each the run is safe on disk.

Everything random in an epoch follows from (seed, epoch), so a resumed run sees what an unbroken one would have seen.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cifar_data.split import Split
from cifar_eval.models.batch_size import evaluation_batch_size
from cifar_runtime.documents import to_document
from cifar_runtime.errors import CifarEdgeError, InputError, UsageError
from cifar_runtime.progress import Counter, silent
from cifar_runtime.system.interruption import check_interrupted
from cifar_train.engine.backend import make_deterministic, resolve_precision, select_backend
from cifar_train.engine.optimizers import optimizer_from_recipe, take_average
from cifar_train.engine.parallel import Parallel, check_shares, open_parallel, prepare_for_workers
from cifar_train.engine.whole_epochs import WholeEpochs, open_whole_epochs
from cifar_train.input.batches import Batch, batches, one_hot
from cifar_train.networks import build, set_initial_weights
from cifar_train.recipe import Fold, TrainRecipe
from cifar_train.run.state import (
    Epoch,
    RunState,
    Variables,
    forget_run,
    load_state,
    load_variables,
    save_state,
)
from cifar_train.teacher.distillation import Teacher, accuracy, distillation_loss
from cifar_train.transfer import load_initial

EVALUATION_BATCH_SIZE = 500
STATISTICS_IMAGES = 5000


class Watcher(Protocol):
    """Sees how a run goes; the command line's prints it."""

    def on_batch(self, epoch: int, seen: int, total: int) -> None:
        """``seen`` of ``total`` images of this epoch are done."""

    def on_epoch(self, epoch: Epoch, state: RunState) -> None:
        """An epoch is done and safe on disk."""


class SilentWatcher:
    """Sees a run and does nothing with it."""

    def on_batch(self, epoch: int, seen: int, total: int) -> None:
        """Does nothing."""

    def on_epoch(self, epoch: Epoch, state: RunState) -> None:
        """Does nothing."""


def without_fold(train: Split, fold: Fold | None) -> Split:
    """The images of ``train`` that are not in ``fold``; all of them where there is none."""
    if fold is None:
        return train
    rest = np.flatnonzero(~fold.holds(train.ids))
    return train.take(rest, name=f"{train.name} without part {fold.number} of {fold.of}")


def fit(
    recipe: TrainRecipe,
    data: tuple[Split, Split],
    folder: Path,
    watcher: Watcher,
    *,
    resume: bool,
    teacher: Teacher | None = None,
) -> tuple[Any, RunState]:
    """The fitted model, float32 and without optimizer state, and what the run measured.

    Args:
        recipe: what to do.
        data: the images to train on and those to validate on; their size and classes are the network's.
        folder: the run folder; checkpoints are written there.
        watcher: sees batches and epochs.
        resume: continue from the last finished epoch in ``folder``; otherwise a run there is taken away first.
        teacher: what the recipe distils from; None for a recipe that does not.

    Raises:
        CifarEdgeError: the loss is no longer a finite number.
        InputError: the run to resume cannot be read, or the two splits differ in size or classes.
        MissingDependencyError: Keras or its backend is not installed.
        UsageError: the run to resume was made by another recipe, or the batches do not divide among the workers.
    """
    train, validation = data
    check_alike(train, validation)
    select_backend(recipe.backend, recipe.device)
    if recipe.deterministic:
        make_deterministic(recipe.backend)
    parallel = open_parallel(recipe)
    check_shares(recipe, len(train.labels), parallel)
    state = _resumed(recipe, folder) if resume else RunState(recipe=recipe)
    if not resume:
        forget_run(folder)
    with parallel.scope():
        model = _compiled_model(recipe, train, folder)
        set_initial_weights(recipe.architecture, model, train.images)
        run = _Run(
            recipe=recipe,
            model=model,
            train=train,
            validation=validation,
            teacher=teacher,
            parallel=parallel,
            whole_epochs=open_whole_epochs(recipe, model, train, teacher),
            watcher=watcher,
        )
        state = _fit_epochs(run, state, folder)
        _assign(model, load_variables(folder, state.kept))
        if recipe.ema is not None:
            take_average(model, _statistics_pixels(run))
    return _inference_model(model, recipe, train), state


def check_alike(train: Split, other: Split) -> None:
    """Checks that a split has images of the shape and the classes of those that are trained on.

    Raises:
        InputError: it has others.
    """
    for name, ours, theirs in (
        ("image shape", train.image_shape, other.image_shape),
        ("classes", train.label_names, other.label_names),
    ):
        if ours != theirs:
            raise InputError(
                f"{other.name}: has {name} {theirs}, expected {ours} as in {train.name}.",
                hint="Validate and test on images like those that are trained on.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    recipe: TrainRecipe
    model: Any
    train: Split
    validation: Split
    teacher: Teacher | None
    parallel: Parallel
    whole_epochs: WholeEpochs | None
    watcher: Watcher


def _fit_epochs(run: _Run, state: RunState, folder: Path) -> RunState:
    if state.epochs:
        _assign(run.model, load_variables(folder, state.epochs[-1]))
    while not state.is_finished:
        number = len(state.epochs) + 1
        fitted, seconds = _fit_epoch(run, number)
        variables = _variables(run.model)
        validated = _validate(run, variables)
        check_interrupted()  # what a library swallowed must not finish an epoch
        epoch = Epoch(
            number=number,
            loss=fitted["loss"],
            accuracy=fitted["accuracy"],
            validation_loss=validated["loss"],
            validation_accuracy=validated["accuracy"],
            images_per_second=len(run.train.labels) / seconds,
            seconds=seconds,
        )
        state = state.with_epoch(epoch)
        save_state(folder, state, variables)
        run.watcher.on_epoch(epoch, state)
    return state


def _resumed(recipe: TrainRecipe, folder: Path) -> RunState:
    state = load_state(folder)
    if state.recipe != recipe:
        stored, asked = to_document(state.recipe), to_document(recipe)
        name = next(name for name in stored if stored[name] != asked[name])
        raise UsageError(
            f"{folder} was started with {name} {stored[name]}, not {asked[name]}.",
            hint="Resume with the options it was started with, or choose another folder.",
        )
    return state


def _compiled_model(recipe: TrainRecipe, train: Split, folder: Path) -> Any:
    import keras

    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(resolve_precision(recipe))
    model = build(
        recipe.architecture,
        input_shape=train.image_shape,
        num_classes=train.num_classes,
        output="logits" if recipe.distillation else "probabilities",
    )
    if recipe.initial_sha256 is not None:
        load_initial(model, recipe, folder)
    elif recipe.backend == "tensorflow" and recipe.distribute == "none":
        from cifar_train.engine.fused_batch_norm import with_fused_batch_norm

        model = with_fused_batch_norm(model)
    if recipe.distribute == "workers":
        prepare_for_workers(model)
    steps = math.ceil(len(train.labels) / recipe.batch_size)
    optimizer = optimizer_from_recipe(recipe, steps=steps)
    distilled = recipe.distillation and distillation_loss(recipe.distillation)
    model.compile(
        optimizer=optimizer,
        loss=distilled or "categorical_crossentropy",
        metrics=[accuracy if distilled else "accuracy"],
        jit_compile=recipe.compile or "auto",
    )
    optimizer.build(model.trainable_variables)
    return model


def _fit_epoch(run: _Run, number: int) -> tuple[dict[str, float], float]:
    """Mean loss and accuracy of one epoch of steps, and the seconds that they took."""
    total, size = len(run.train.labels), run.recipe.batch_size

    def on_step(step: int) -> None:
        check_interrupted()
        run.watcher.on_batch(number, min((step + 1) * size, total), total)

    start = time.perf_counter()
    if run.whole_epochs is not None:
        measured = run.whole_epochs.train_epoch(number)
        run.watcher.on_batch(number, total, total)
    else:
        epoch = batches(run.recipe, run.train, number, teacher=run.teacher)
        measured = run.parallel.train(run.model, epoch, math.ceil(total / size), on_step)
    seconds = time.perf_counter() - start
    if not math.isfinite(measured["loss"]):
        raise CifarEdgeError(
            f"the training loss is {measured['loss']} in epoch {number}.",
            hint="Lower the learning rate; the last good epoch is kept.",
        )
    return measured, seconds


def _validate(run: _Run, variables: Variables) -> dict[str, float]:
    """Loss and accuracy on the validation images, of the averaged weights where the recipe averages."""
    if run.recipe.ema is not None:
        take_average(run.model, _statistics_pixels(run))
    size = _evaluation_batch_size(run.validation.image_shape)
    steps = math.ceil(len(run.validation.labels) / size)
    measured = run.parallel.evaluate(run.model, _in_order(run.validation), steps)
    if run.recipe.ema is not None:
        _assign(run.model, variables)
    return measured


def _evaluation_batch_size(image_shape: tuple[int, ...]) -> int:
    return evaluation_batch_size(image_shape, at_most=EVALUATION_BATCH_SIZE)


def _in_order(split: Split) -> Iterator[Batch]:
    targets, size = one_hot(split), _evaluation_batch_size(split.image_shape)
    for start in range(0, len(split.labels), size):
        part = slice(start, start + size)
        yield split.images[part].astype(np.float32), targets[part]


def _statistics_pixels(run: _Run) -> Iterator[NDArray[np.float32]]:
    """Batches of the training images that BatchNorm's statistics are estimated from, unvaried."""
    order = np.random.default_rng([run.recipe.seed, 0]).permutation(len(run.train.labels))
    chosen, size = np.sort(order[:STATISTICS_IMAGES]), _evaluation_batch_size(run.train.image_shape)
    for start in range(0, len(chosen), size):
        yield run.train.images[chosen[start : start + size]].astype(np.float32)


def _variables(model: Any) -> Variables:
    """Every variable that the next step depends on: weights, BatchNorm statistics, dropout seeds, optimizer state."""
    return {key: np.asarray(variable) for key, variable in _named_variables(model)}


def _assign(model: Any, stored: Variables) -> None:
    for key, variable in _named_variables(model):
        variable.assign(stored[key])


def _named_variables(model: Any) -> Iterator[tuple[str, Any]]:
    groups = {
        "trainable": model.trainable_variables,
        "non_trainable": model.non_trainable_variables,
        "optimizer": model.optimizer.variables,
    }
    for group, variables in groups.items():
        for position, variable in enumerate(variables):
            yield f"{group}_{position:04d}", variable


def _inference_model(model: Any, recipe: TrainRecipe, train: Split) -> Any:
    import keras

    keras.config.set_dtype_policy("float32")
    plain = build(recipe.architecture, input_shape=train.image_shape, num_classes=train.num_classes)
    plain.set_weights(model.get_weights())
    return plain


def predict(
    model: Any, images: NDArray[np.uint8], *, count: Counter = silent
) -> NDArray[np.float32]:
    """The model's scores, float32, shape (n, num_classes), for uint8 images, shape (n, height, width, 3)."""
    # Not model.predict, which would go through the data set that parallel.py's _keras_data explains.
    parts, size = [], _evaluation_batch_size(images.shape[1:])
    for start in range(0, len(images), size):
        part = images[start : start + size].astype(np.float32)
        parts.append(np.asarray(model.predict_on_batch(part)))
        count(start + len(part), len(images))
    return np.concatenate(parts)
