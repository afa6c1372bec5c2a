"""Data-parallel training on the engines that exist: all devices of a process (JAX), or processes (TensorFlow).

A step's batch is the recipe's, whole, and each device or worker takes its share, so the mathematics is that of one.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cifar_runtime.errors import UsageError
from cifar_train.batches import Batch
from cifar_train.dataset import IMAGE_SHAPE
from cifar_train.recipe import TrainRecipe


class Parallel(Protocol):
    """Where steps run."""

    @property
    def count(self) -> int:
        """How many share a batch."""

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Models and optimizers are built within it."""

    def feed(self, batches: Iterator[Batch]) -> Any:
        """Whole batches as what ``model.fit`` and ``model.evaluate`` take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDevice:
    """Every step on whatever Keras uses."""

    count: int = 1

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Nothing special."""
        return contextlib.nullcontext()

    def feed(self, batches: Iterator[Batch]) -> Any:
        """The batches as they are."""
        return batches


@dataclass(frozen=True, slots=True, kw_only=True)
class AllDevices:
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

    def feed(self, batches: Iterator[Batch]) -> Any:
        """The batches as they are: Keras splits them."""
        return batches


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

    def feed(self, batches: Iterator[Batch]) -> Any:
        """This worker's share of each batch, as a distributed data set."""
        import tensorflow as tf

        first = next(batches)
        signature = (
            tf.TensorSpec((None, *IMAGE_SHAPE), tf.float32),
            tf.TensorSpec((None, first[1].shape[1]), tf.float32),
        )

        def shares() -> Iterator[Batch]:
            for batch in itertools.chain([first], batches):
                size = len(batch[0]) // self.count
                mine = slice(self.index * size, (self.index + 1) * size)
                yield batch[0][mine], batch[1][mine]

        def dataset(_context: Any) -> Any:
            return tf.data.Dataset.from_generator(shares, output_signature=signature)

        return self.strategy.distribute_datasets_from_function(dataset)


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


def synchronize_batch_norm(model: Any) -> None:
    """Makes BatchNorm take its statistics from the whole batch, not from one worker's share."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


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
    """The run folder of this process: ``folder``, or a folder in it for workers behind the first."""
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
