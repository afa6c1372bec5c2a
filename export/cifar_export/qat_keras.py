"""Quantization-aware training with fake quantization in the Keras 3 graph.

What int8 inference rounds is rounded here too: weights to 8 bits per output channel, symmetric; activations to 8 bits
between the minimum and the maximum that calibration images show, behind every layer that computes new values.
Gradients pass rounding straight through. Ranges are measured again at every look at validation, as the converters
will measure them again at the end.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
2018, section 3 (simulated quantization); Hinton et al., "Distilling the Knowledge in a Neural Network", 2015.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_export.adapt import adapted
from cifar_export.calibration import Feed
from cifar_export.qat import QatData
from cifar_export.recipe import QatRecipe
from cifar_export.trace import call_copy, replay, trace

_LOOKS_PER_EPOCH = 4
_BATCH = 250
_PROBE_BATCH = 64
_LINEAR = ("Conv2D", "DepthwiseConv2D", "Dense")
_SAME_VALUES = ("MaxPooling2D", "GlobalMaxPooling2D", "Flatten", "Reshape", "Dropout")

Range = tuple[float, float]


def train(
    model: Any,
    recipe: QatRecipe,
    *,
    feed: Feed,
    data: QatData,
    seed: int,
    say: Callable[[str], None],
) -> tuple[Any, dict[str, Any]]:
    """A copy of the folded model with trained weights, and how it went, JSON-ready.

    The arguments are those of :func:`cifar_export.qat.trained`.
    """
    import keras

    keras.utils.set_random_seed(seed)
    student = _Student(replay(adapted(model, output_kind="logits"), call_copy), feed)
    teacher = adapted(model, output_kind="logits")
    watched = _as_input(data.validation, feed)
    wanted = teacher.predict(watched, batch_size=_BATCH, verbose=0)
    steps = recipe.epochs * (len(data.train) // recipe.batch_size)
    step = _training_step(teacher, student, _optimizer(recipe, steps))
    best, best_weights = student.look(watched, wanted), student.weights()
    looks = [{"step": 0, **best}]
    say(f"QAT: {steps} steps; agreement {best['agreement']:.2%} on validation before")
    interval = max(1, steps // (recipe.epochs * _LOOKS_PER_EPOCH))
    for number, images in enumerate(_batches(data.train, recipe, seed), start=1):
        step(_as_input(images, feed))
        if number % interval and number != steps:
            continue
        found = student.look(watched, wanted)
        looks.append({"step": number, **found})
        say(f"QAT: step {number} of {steps}: agreement {found['agreement']:.2%} on validation")
        if found["divergence"] < best["divergence"]:
            best, best_weights = found, student.weights()
    result = replay(model, call_copy)
    result.set_weights(best_weights)
    return result, {"steps": steps, "validation_images": len(watched), "looks": looks}


def _optimizer(recipe: QatRecipe, steps: int) -> Any:
    """Moves each weight tensor by a share of its own norm: folded tensors differ by factors of a thousand.

    Adam's steps of one size for all undid the first layer at once (seed-cnn: agreement 98.8 % to 93 % in 5 steps).

    Source: You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", 2020 (LAMB).
    """
    import keras

    warmup = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, steps - warmup),
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    return keras.optimizers.Lamb(schedule)


class _Student:
    """The model in training: float weights, and the graph that computes with their rounded copies."""

    def __init__(self, model: Any, feed: Feed) -> None:
        self.model = model
        self._feed = feed
        self.kernels = _kernels(model)
        self.rounded = self._with_rounding()

    def weights(self) -> list[NDArray[np.float32]]:
        """The float weights."""
        return [np.array(weight) for weight in self.model.get_weights()]

    def look(self, images: NDArray[np.float32], wanted: NDArray[np.float32]) -> dict[str, float]:
        """Agreement with the teacher and divergence from it under int8, with the ranges of this moment."""
        self.rounded = self._with_rounding()
        self.round_kernels()
        found = self.rounded.predict(images, batch_size=_BATCH, verbose=0)
        agreement = float((found.argmax(axis=1) == wanted.argmax(axis=1)).mean())
        return {"agreement": agreement, "divergence": _divergence(wanted, found)}

    def round_kernels(self) -> None:
        """Copies all weights into the rounding graph, kernels rounded."""
        rounded_kernels = {id(variable): axes for variable, axes in self.kernels}
        for source, target in zip(self.model.weights, self.rounded.weights, strict=True):
            axes = rounded_kernels.get(id(source))
            target.assign(source if axes is None else rounded_to_int8(source, axes))

    def _with_rounding(self) -> Any:
        ranges = observed_ranges(self.model, self._feed)
        return _with_rounded_activations(self.model, ranges)


def rounded_to_int8(kernel: Any, axes: tuple[int, ...]) -> Any:
    """The kernel on the grid of int8, symmetric, with one scale for each slice across ``axes``."""
    from keras import ops

    scale = ops.maximum(ops.max(ops.abs(kernel), axis=axes, keepdims=True) / 127, 1e-12)
    return ops.round(kernel / scale) * scale


def observed_ranges(model: Any, feed: Feed) -> dict[int, Range]:
    """Minimum and maximum, zero included, of what each call that computes new values gives, by its index."""
    import keras

    indices = _rounded_calls(model)
    tensors: list[Any] = []
    position = -1

    def call(original: Any, clone: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal position
        position += 1
        output = call_copy(original, clone, args, kwargs)
        if position in indices:
            tensors.append(output)
        return output

    copy = replay(model, call)
    probe = keras.Model(copy.inputs[0], tensors)
    lowest, highest = np.zeros(len(tensors)), np.zeros(len(tensors))
    for batch in feed.batches(_PROBE_BATCH):
        for place, values in enumerate(probe(batch, training=False)):
            lowest[place] = min(lowest[place], np.min(values))
            highest[place] = max(highest[place], np.max(values))
    return {
        index: (float(lowest[place]), float(highest[place]))
        for place, index in enumerate(sorted(indices))
    }


def _with_rounded_activations(model: Any, ranges: dict[int, Range]) -> Any:
    from keras import quantizers

    position = -1

    def call(original: Any, clone: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal position
        position += 1
        output = call_copy(original, clone, args, kwargs)
        if position not in ranges:
            return output
        lowest, highest = ranges[position]
        return quantizers.fake_quant_with_min_max_vars(output, lowest, max(highest, lowest + 1e-6))

    return replay(model, call)


def _rounded_calls(model: Any) -> frozenset[int]:
    """The calls behind which int8 inference rounds: not where values only move, nor before a fused ReLU."""
    calls = trace(model).calls
    before_relu = {
        number
        for call in calls
        if type(call.layer).__name__ in ("ReLU", "Activation")
        for number in call.inputs
    }
    return frozenset(
        call.index
        for call in calls
        if type(call.layer).__name__ not in _SAME_VALUES
        and not (type(call.layer).__name__ in _LINEAR and before_relu & set(call.outputs))
    )


def _kernels(model: Any) -> list[tuple[Any, tuple[int, ...]]]:
    """Each kernel with the axes that share a scale."""
    axes = {"Conv2D": (0, 1, 2), "DepthwiseConv2D": (0, 1), "Dense": (0, 1)}
    return [
        (layer.weights[0], axes[type(layer).__name__])
        for layer in model.layers
        if type(layer).__name__ in _LINEAR
    ]


def _training_step(teacher: Any, student: _Student, optimizer: Any) -> Callable[[Any], None]:
    """One step: gradients at the rounded weights move the float ones (the straight-through estimator)."""
    import tensorflow as tf

    optimizer.build(student.model.trainable_variables)

    def gradients_of(images: Any) -> Any:
        wanted = tf.nn.softmax(teacher(images, training=False))
        with tf.GradientTape() as tape:
            found = student.rounded(images, training=False)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, found))
        return tape.gradient(loss, student.rounded.trainable_variables)

    compiled: dict[int, Any] = {}

    def step(images: NDArray[np.float32]) -> None:
        graph = student.rounded  # a new one after every look
        if id(graph) not in compiled:
            compiled.clear()
            compiled[id(graph)] = tf.function(gradients_of)
        student.round_kernels()
        gradients = compiled[id(graph)](tf.constant(images))
        optimizer.apply(gradients, student.model.trainable_variables)

    return step


def _batches(
    images: NDArray[np.uint8], recipe: QatRecipe, seed: int
) -> Iterator[NDArray[np.uint8]]:
    random = np.random.default_rng(seed)
    for _ in range(recipe.epochs):
        order = random.permutation(len(images))
        for start in range(0, len(images) - recipe.batch_size + 1, recipe.batch_size):
            batch = images[np.sort(order[start : start + recipe.batch_size])]
            mirrored = random.random(len(batch)) < 0.5
            yield np.where(mirrored[:, None, None, None], batch[:, :, ::-1], batch)


def _as_input(images: NDArray[np.uint8], feed: Feed) -> NDArray[np.float32]:
    return (images.astype(np.float64) * feed.multiplier + feed.offset).astype(np.float32)


def _divergence(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """The mean Kullback-Leibler divergence of two sets of logits, in nats."""
    ours, theirs = _log_softmax(wanted), _log_softmax(found)
    return float((np.exp(ours) * (ours - theirs)).sum(axis=1).mean())


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(exact - np.log(np.exp(exact).sum(axis=1, keepdims=True)))
