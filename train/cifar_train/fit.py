"""Fits a recipe: Keras does the steps, one epoch a call, and after each the run is safe on disk.

Everything random in an epoch follows from (seed, epoch), so a resumed run sees what an unbroken one would have seen.
"""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cifar_runtime.errors import CifarEdgeError, UsageError
from cifar_train.architectures import build
from cifar_train.augment import augment
from cifar_train.backend import has_gpu, resolve_precision, select_backend
from cifar_train.dataset import LABELS, Split, load_split
from cifar_train.recipes import TrainRecipe
from cifar_train.run_state import Epoch, RunState, Variables, load_state, load_variables, save_state

EVALUATION_BATCH_SIZE = 500


class Watcher(Protocol):
    """Is told how a run goes; the command line prints it."""

    def on_batch(self, epoch: int, seen: int, total: int) -> None:
        """``seen`` of ``total`` images of this epoch are done."""

    def on_epoch(self, epoch: Epoch, state: RunState) -> None:
        """An epoch is done and safe on disk."""


def training_data(recipe: TrainRecipe) -> tuple[Split, Split]:
    """The images to train on and those to validate on.

    Raises:
        InputError: CIFAR-10 was not fetched.
    """
    if recipe.validation == "validation split":
        return load_split("train"), load_split("validation")
    official = load_split("official-train")
    first_held_out = int(len(official.labels) * 0.8)
    return (
        official.take(official.ids[:first_held_out], name="first four fifths of official-train"),
        official.take(official.ids[first_held_out:], name=recipe.validation),
    )


def fit(
    recipe: TrainRecipe, data: tuple[Split, Split], folder: Path, watcher: Watcher, *, resume: bool
) -> tuple[Any, RunState]:
    """The fitted model, float32 and without optimizer state, and what the run measured.

    Args:
        recipe: what to do.
        data: the images to train on and those to validate on.
        folder: the run folder; checkpoints are written there.
        watcher: is told of batches and epochs.
        resume: continue from the last finished epoch in ``folder``.

    Raises:
        CifarEdgeError: the loss is no longer a finite number.
        InputError: the run to resume cannot be read.
        MissingDependencyError: Keras or its backend is not installed.
        UsageError: the run to resume was made by another recipe.
    """
    select_backend(recipe.backend, recipe.device)
    train, validation = data
    state = _resumed(recipe, folder) if resume else RunState(recipe=recipe)
    model = _compiled_model(recipe, steps=math.ceil(len(train.labels) / recipe.batch_size))
    if state.epochs:
        _assign(model, load_variables(folder, state.epochs[-1]))
    validation_pixels = validation.images.astype(np.float32)
    while not state.is_finished:
        epoch = _fit_epoch(model, state, train, validation_pixels, validation.labels, watcher)
        state = state.with_epoch(epoch)
        save_state(folder, state, _variables(model))
        watcher.on_epoch(epoch, state)
    _assign(model, load_variables(folder, state.kept))
    return _inference_model(model, recipe), state


def _resumed(recipe: TrainRecipe, folder: Path) -> RunState:
    state = load_state(folder)
    if state.recipe != recipe:
        stored, asked = state.recipe.to_json(), recipe.to_json()
        name = next(name for name in stored if stored[name] != asked[name])
        raise UsageError(
            f"{folder} was started with {name} {stored[name]}, not {asked[name]}.",
            hint="Resume with the options it was started with, or choose another folder.",
        )
    return state


def _compiled_model(recipe: TrainRecipe, *, steps: int) -> Any:
    import keras

    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(resolve_precision(recipe.precision, gpu=has_gpu(recipe.backend)))
    model = build(recipe.architecture)
    optimizer = _optimizer(recipe, steps=steps)
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    optimizer.build(model.trainable_variables)
    return model


def _optimizer(recipe: TrainRecipe, *, steps: int) -> Any:
    import keras

    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        warmup_steps = max(1, round(recipe.warmup_fraction * recipe.epochs * steps))
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            warmup_target=recipe.learning_rate,
            warmup_steps=warmup_steps,
            decay_steps=recipe.epochs * steps - warmup_steps,
        )
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def _fit_epoch(
    model: Any,
    state: RunState,
    train: Split,
    validation_pixels: NDArray[np.float32],
    validation_labels: NDArray[np.uint8],
    watcher: Watcher,
) -> Epoch:
    import keras

    number = len(state.epochs) + 1
    total = len(train.labels)
    size = state.recipe.batch_size

    def on_train_batch_end(batch: int, logs: object) -> None:
        del logs  # Keras passes it by name
        watcher.on_batch(number, min((batch + 1) * size, total), total)

    start = time.perf_counter()
    history = model.fit(
        batches(state.recipe, train, number),
        epochs=1,
        steps_per_epoch=math.ceil(total / size),
        shuffle=False,  # the generator has shuffled
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=on_train_batch_end)],
    ).history
    seconds = time.perf_counter() - start
    loss = history["loss"][0]
    if not math.isfinite(loss):
        raise CifarEdgeError(
            f"the training loss is {loss} in epoch {number}.",
            hint="Lower the learning rate; the last good epoch is kept.",
        )
    measured = model.evaluate(
        validation_pixels,
        one_hot(validation_labels),
        batch_size=EVALUATION_BATCH_SIZE,
        verbose=0,
        return_dict=True,
    )
    return Epoch(
        number=number,
        loss=loss,
        accuracy=history["accuracy"][0],
        validation_loss=measured["loss"],
        validation_accuracy=measured["accuracy"],
        images_per_second=total / seconds,
        seconds=seconds,
    )


def batches(
    recipe: TrainRecipe, train: Split, epoch: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """One epoch of (pixels, one-hot labels), float32, shapes (n, 32, 32, 3) in 0..255 and (n, 10); every image once."""
    generator = np.random.default_rng([recipe.seed, epoch])
    order = generator.permutation(len(train.labels))
    for start in range(0, len(order), recipe.batch_size):
        chosen = order[start : start + recipe.batch_size]
        images = train.images[chosen]
        if recipe.augmentation is not None:
            images = augment(images, recipe.augmentation, generator)
        yield images.astype(np.float32), one_hot(train.labels[chosen])


def one_hot(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Labels, uint8, shape (n,), as float32 rows of zeros and a one, shape (n, 10)."""
    return np.eye(len(LABELS), dtype=np.float32)[labels]


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


def _inference_model(model: Any, recipe: TrainRecipe) -> Any:
    import keras

    keras.config.set_dtype_policy("float32")
    plain = build(recipe.architecture)
    plain.set_weights(model.get_weights())
    return plain


def predict(model: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The model's scores, float32, shape (n, num_classes), for uint8 images, shape (n, height, width, 3)."""
    scores: NDArray[np.float32] = model.predict(
        images.astype(np.float32), batch_size=EVALUATION_BATCH_SIZE, verbose=0
    )
    return scores
