"""Quantization-aware training with fake quantization in the Keras 3 graph.

What int8 inference rounds is rounded here too: weights to 8 bits per output channel, symmetric; activations to 8 bits
between the minimum and the maximum that calibration images show, behind every layer that computes new values.
Gradients pass rounding straight through. Ranges are measured again at every look at validation, as the converters
will measure them again at the end.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
2018, section 3 (simulated quantization).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.checkpoint.io_layers import adapted
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.simulation import (
    SCALE_AXES,
    ranges_of,
    rounded_to_int8,
    rounding_probe,
)
from cifar_export.keras_graph.trace import LayerCall, functional_from, replay
from cifar_export.qat.scaled_adam import ScaledAdam, linear_layers, linear_units
from cifar_export.qat.schedule import (
    TEMPERATURE,
    as_input,
    best,
    is_validated,
    logits_of,
    rate_at,
    report,
    sentence,
    validation_point,
    verdict,
    views,
)
from cifar_export.qat.task import QatTask
from cifar_export.recipe import QatRecipe
from cifar_runtime.progress import Progress, counter_of


def train(
    model: Any, recipe: QatRecipe, task: QatTask, *, progress: Progress
) -> tuple[Any, dict[str, Any]]:
    """A copy of ``model`` with trained weights, and how it went, JSON-ready.

    Args:
        model: a folded model to start at.
        recipe: how to train.
        task: what to train on.
        progress: told how training goes.
    """
    teacher = adapted(functional_from(task.teacher), output_kind="logits")
    student = _Student(adapted(functional_from(model), output_kind="logits"), task.feed)
    watched = _as_input(task.data.validation, task.feed)
    wanted = logits_of(teacher, watched)
    points, losses = [validation_point(0, wanted, student.logits(watched))], list[float]()
    kept = student.weights()
    progress(sentence(points[0], num_steps=recipe.steps, num_images=len(watched), loss=None))
    step, count = _training_step(teacher, student), counter_of(progress)
    batches = views(
        task.data.train,
        batch_size=recipe.batch_size,
        num_batches=recipe.steps,
        seed=task.seed,
    )
    for number, images in enumerate(batches, start=1):
        rate = rate_at(number, recipe.steps, recipe.learning_rate)
        losses.append(step(_as_input(images, task.feed), rate))
        count(number, recipe.steps)
        if not is_validated(number, recipe.steps):
            continue
        points.append(validation_point(number, wanted, student.logits(watched)))
        if best(points) is points[-1]:
            kept = student.weights()
        loss = float(np.mean(losses))
        progress(sentence(points[-1], num_steps=recipe.steps, num_images=len(watched), loss=loss))
        losses.clear()
    progress(verdict(points))
    result = replay(model)
    result.set_weights(kept)
    return result, report(points, num_images=len(watched))


class _Student:
    """The model in training: float weights, and the graph that computes with their rounded copies."""

    def __init__(self, model: Any, feed: RepresentativeDataset) -> None:
        self.model = replay(model)
        self._probe = rounding_probe(self.model)
        self._feed = feed
        self.units = linear_units(self.model, feed)
        self._ranges = _range_variables(self._probe.indices)
        self.rounded = _with_rounded_activations(self.model, self._ranges)
        self._rounded_kernels = {
            id(layer.weights[0]): SCALE_AXES[type(layer).__name__]
            for layer in linear_layers(self.model)
        }

    def weights(self) -> list[NDArray[np.float32]]:
        """The float weights."""
        return [np.array(weight) for weight in self.model.get_weights()]

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """What it computes under int8, with the ranges of this moment."""
        found = ranges_of(self._probe, self._feed)
        for (lowest, highest), (low, high) in zip(self._ranges.values(), found, strict=True):
            lowest.assign(low)
            highest.assign(max(high, low + 1e-6))
        self.round_kernels()
        return logits_of(self.rounded, images)

    def round_kernels(self) -> None:
        """Copies all weights into the rounding graph, kernels rounded."""
        for source, target in zip(self.model.weights, self.rounded.weights, strict=True):
            axes = self._rounded_kernels.get(id(source))
            target.assign(source if axes is None else rounded_to_int8(source, axes))


def _range_variables(indices: tuple[int, ...]) -> dict[int, tuple[Any, Any]]:
    import tensorflow as tf

    return {index: (tf.Variable(0.0), tf.Variable(1.0)) for index in indices}


def _with_rounded_activations(model: Any, ranges: dict[int, tuple[Any, Any]]) -> Any:
    """A copy that rounds what the calls give that have a range; it follows these as they change."""
    import keras
    import tensorflow as tf

    def call(made: LayerCall) -> Any:
        output = made.replayed()
        if made.index not in ranges:
            return output
        rounding = partial(
            _rounded, tf.quantization.fake_quant_with_min_max_vars, ranges[made.index]
        )
        return keras.layers.Lambda(rounding)(output)

    return replay(model, call)


def _rounded(fake_quant: Callable[..., Any], ends: tuple[Any, Any], values: Any) -> Any:
    return fake_quant(values, *ends)


def _training_step(
    teacher: Any, student: _Student
) -> Callable[[NDArray[np.float32], float], float]:
    """One step: gradients at the rounded weights move the float ones (the straight-through estimator)."""
    import tensorflow as tf

    adam = ScaledAdam(_variables(student.model), student.units)
    at_rounded = [
        variable
        for pair in _variables(student.rounded)
        for variable in pair
        if variable is not None
    ]

    @tf.function  # type: ignore[untyped-decorator]
    def step(images: Any, rate: Any) -> Any:
        student.round_kernels()
        wanted = tf.nn.log_softmax(teacher(images, training=False) / TEMPERATURE)
        with tf.GradientTape() as tape:
            found = tf.nn.log_softmax(student.rounded(images, training=False) / TEMPERATURE)
            divergences = tf.reduce_sum(tf.exp(wanted) * (wanted - found), axis=1)
            loss = TEMPERATURE**2 * tf.reduce_mean(divergences)
        adam.apply(tape.gradient(loss, at_rounded), rate)
        return loss

    def run(images: NDArray[np.float32], rate: float) -> float:
        return float(step(tf.constant(images), tf.constant(rate, tf.float32)))

    return run


def _variables(model: Any) -> list[tuple[Any, Any]]:
    """Kernel and bias (or None) of each linear layer, as TensorFlow variables."""
    return [
        (layer.weights[0].value, layer.weights[1].value if len(layer.weights) > 1 else None)
        for layer in linear_layers(model)
    ]


def _as_input(images: NDArray[np.uint8], feed: RepresentativeDataset) -> NDArray[np.float32]:
    return as_input(images, multiplier=feed.multiplier, offset=feed.offset)
