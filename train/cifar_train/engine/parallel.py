"""Data-parallel training on the engines that exist: all devices of a process (JAX), or processes (TensorFlow).

A step's batch is the recipe's, whole, and each device or worker takes its share, so the mathematics is that of one.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cifar_runtime.errors import UsageError
from cifar_train.input.batches import Batch
from cifar_train.recipe import TrainRecipe

Measured = dict[str, float]

# While one batch is trained on, the next are made.
PREFETCHED_BATCHES = 2


class Parallel(Protocol):
    """Where steps run."""

    @property
    def count(self) -> int:
        """How many share a batch."""

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Models and optimizers are built within it."""

    def train(
        self, model: Any, batches: Iterator[Batch], steps: int, on_step: Callable[[int], None]
    ) -> Measured:
        """Mean loss and accuracy of ``steps`` steps; ``on_step`` takes the number of each, from 0, when it is done."""

    def evaluate(self, model: Any, batches: Iterator[Batch], steps: int) -> Measured:
        """Mean loss and accuracy of the model as it is."""


class _KerasLoop:
    """Trains and evaluates in this process, as Keras does."""

    __slots__ = ()

    def train(
        self, model: Any, batches: Iterator[Batch], steps: int, on_step: Callable[[int], None]
    ) -> Measured:
        """One epoch of Keras' own loop."""
        return _keras_epoch(model, batches, steps, on_step)

    def evaluate(self, model: Any, batches: Iterator[Batch], steps: int) -> Measured:
        """Keras' own evaluation."""
        return _keras_evaluation(model, batches, steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDevice(_KerasLoop):
    """Every step on whatever Keras uses."""

    count: int = 1

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Nothing special."""
        return contextlib.nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class AllDevices(_KerasLoop):
    """All devices that JAX sees in this process; Keras splits each batch over them."""

    count: int

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Variables made within it are replicated, batches fed to them are split."""
        from keras import distribution

        before = distribution.distribution()
        distribution.set_distribution(distribution.DataParallel())
        try:
            yield
        finally:
            distribution.set_distribution(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Processes that TF_CONFIG names, each with its share of every batch; gradients are summed over all.

    Attributes:
        strategy: TensorFlow's.
        index: this worker's number, from 0.
        count: how many there are.
    """

    strategy: Any
    index: int
    count: int

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Variables made within it are mirrored on all workers."""
        scope: contextlib.AbstractContextManager[Any] = self.strategy.scope()
        return scope

    # Keras 3.15's fit cannot build a model from a distributed data set; its single steps need none.
    def train(
        self, model: Any, batches: Iterator[Batch], steps: int, on_step: Callable[[int], None]
    ) -> Measured:
        """Steps on this worker's share of each batch; the measures are means over all workers."""
        measured = []
        for step, (pixels, targets) in zip(range(steps), batches, strict=True):
            mine = self._share(len(pixels))
            one = model.train_on_batch(pixels[mine], targets[mine], return_dict=True)
            measured.append((len(pixels), one))
            on_step(step)
        return _mean(measured)

    def evaluate(self, model: Any, batches: Iterator[Batch], steps: int) -> Measured:
        """This worker's share of each batch; the measures are means over all workers."""
        measured = []
        for _, (pixels, targets) in zip(range(steps), batches, strict=True):
            mine = self._share(len(pixels))
            one = model.test_on_batch(pixels[mine], targets[mine], return_dict=True)
            measured.append((len(pixels), one))
        return _mean(measured)

    def _share(self, num_images: int) -> slice:
        size = num_images // self.count
        return slice(self.index * size, (self.index + 1) * size)


def prepare_for_workers(model: Any) -> None:
    """Makes a model's BatchNorm look at whole batches, and its steps return what Keras can average over workers."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
    # Keras 3.15 averages a step's measures along their first axis, which a scalar has not.
    model.train_step = _with_first_axis(model.train_step)
    model.test_step = _with_first_axis(model.test_step)


def _with_first_axis(step: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    def with_first_axis(data: Any) -> dict[str, Any]:
        return {name: value[None] for name, value in step(data).items()}

    return with_first_axis


def _mean(measured: list[tuple[int, Measured]]) -> Measured:
    """The mean of batches' measures, each weighted with its number of images."""
    total = sum(count for count, _ in measured)
    return {
        name: sum(count * float(one[name]) for count, one in measured) / total
        for name in measured[0][1]
    }


def _keras_epoch(
    model: Any, batches: Iterator[Batch], steps: int, on_step: Callable[[int], None]
) -> Measured:
    import keras

    def on_train_batch_end(batch: int, logs: object) -> None:
        del logs  # Keras passes it by name
        on_step(batch)

    history = model.fit(
        _keras_data(batches),
        epochs=1,
        steps_per_epoch=steps,
        shuffle=False,  # the generator has shuffled
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=on_train_batch_end)],
    ).history
    return {name: values[0] for name, values in history.items()}


def _keras_evaluation(model: Any, batches: Iterator[Batch], steps: int) -> Measured:
    measured: Measured = model.evaluate(
        _keras_data(batches), steps=steps, verbose=0, return_dict=True
    )
    return measured


def _keras_data(batches: Iterator[Batch]) -> Any:
    """The batches as Keras' loop takes them; on TensorFlow without the autotuning that Keras would ask for.

    TensorFlow 2.21's autotuner, asked to end while it sleeps, may sleep on for its whole period, which doubles from
    10 ms to a minute: the epochs of a long run then took up to twice as long as their steps.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    first = next(batches)
    # TensorFlow keeps the function for as long as the process lives, so it must not keep a batch.
    waiting = itertools.chain([first], batches)
    data = tf.data.Dataset.from_generator(
        lambda: waiting,
        output_signature=tuple(
            tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in first
        ),
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.prefetch(PREFETCHED_BATCHES).with_options(options)


def open_parallel(recipe: TrainRecipe) -> Parallel:
    """What the recipe distributes over; workers find each other here, so no TensorFlow operation may have run.

    Raises:
        UsageError: TF_CONFIG names no workers.
    """
    if recipe.distribute == "none":
        return OneDevice()
    if recipe.distribute == "devices":
        import jax

        return AllDevices(count=jax.device_count())
    import tensorflow as tf

    index, count = worker_place()
    return Workers(strategy=tf.distribute.MultiWorkerMirroredStrategy(), index=index, count=count)


def worker_place() -> tuple[int, int]:
    """This worker's number, from 0, and how many there are, as TF_CONFIG says.

    Raises:
        UsageError: it is missing or says something else.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        return int(config["task"]["index"]), len(config["cluster"]["worker"])
    except (ValueError, KeyError, TypeError) as cause:
        raise UsageError(
            f"TF_CONFIG is {text!r}, expected a cluster of workers and this one's task.",
            hint='Set it in each worker, such as {"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
            '"task": {"type": "worker", "index": 0}}.',
        ) from cause


def worker_folder(folder: Path, recipe: TrainRecipe) -> Path:
    """The run folder of this process: ``folder``, or a folder in it for workers after the first."""
    if recipe.distribute != "workers" or worker_place()[0] == 0:
        return folder
    return folder / f"worker-{worker_place()[0]}"


def check_shares(recipe: TrainRecipe, num_images: int, parallel: Parallel) -> None:
    """Checks that each batch of an epoch divides evenly, the last one too.

    Raises:
        UsageError: one does not; unequal shares would weigh their images unequally.
    """
    last = num_images % recipe.batch_size
    if recipe.batch_size % parallel.count or last % parallel.count:
        raise UsageError(
            f"batches of {recipe.batch_size} images and a last one of {last or recipe.batch_size} do not divide "
            f"among {parallel.count}.",
            hint="Choose another --batch-size.",
        )
