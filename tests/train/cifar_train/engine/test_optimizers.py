"""Optimizers decay what they should, and the moving average of the weights comes with statistics of its own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cifar_train.engine.optimizers import estimate_batch_norm, optimizer_from_recipe, take_average
from cifar_train.recipes import RECIPES

SGD = replace(
    RECIPES["edge-s"],
    optimizer="sgd",
    schedule="constant",
    learning_rate=0.5,
    weight_decay=0.1,
    ema=None,
)


def model(seed: int = 0) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.Conv2D(6, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )


def test_decay_shrinks_kernels_by_rate_times_decay_and_nothing_else() -> None:
    import keras

    net = model()
    optimizer = optimizer_from_recipe(SGD, steps=1)
    before = [np.asarray(variable) for variable in net.trainable_variables]
    zeros = [keras.ops.zeros_like(variable) for variable in net.trainable_variables]
    optimizer.apply(zeros, net.trainable_variables)
    for variable, old in zip(net.trainable_variables, before, strict=True):
        factor = 1 - 0.5 * 0.1 if variable.name == "kernel" else 1
        np.testing.assert_allclose(np.asarray(variable), old * factor, rtol=1e-6)


def test_sgd_is_nesterovs() -> None:
    import keras

    variable = keras.Variable(np.zeros(1, np.float32))
    optimizer = optimizer_from_recipe(replace(SGD, weight_decay=0.0), steps=1)
    velocity, expected = 0.0, 0.0
    for gradient in (1.0, -2.0, 0.5):
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [variable])
        velocity = 0.9 * velocity - 0.5 * gradient
        expected += 0.9 * velocity - 0.5 * gradient
        assert float(variable.numpy()[0]) == pytest.approx(expected, rel=1e-5)


def test_statistics_are_the_mean_over_all_batches() -> None:
    net = model()
    convolution, norm = net.layers[:2]
    norm.moving_mean.assign(np.full(6, 77.0))
    pixels = np.random.default_rng(0).normal(size=(24, 4, 4, 3)).astype(np.float32)
    estimate_batch_norm(net, np.split(pixels, 3))
    features = np.asarray(convolution(pixels)).reshape(3, -1, 6)
    np.testing.assert_allclose(norm.moving_mean, features.mean(axis=(0, 1)), atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, features.var(axis=1).mean(axis=0), rtol=1e-4)
    assert norm.momentum == 0.9


def test_the_average_is_taken_when_asked_for_and_not_by_keras() -> None:
    net = model()
    optimizer = optimizer_from_recipe(replace(SGD, ema=0.5), steps=4)
    net.compile(optimizer=optimizer, loss="mse")
    random = np.random.default_rng(0)
    pixels = random.normal(size=(4, 4, 4, 3)).astype(np.float32)
    targets = random.normal(size=(4, 5)).astype(np.float32)
    kernel = net.layers[-1].kernel
    average = None
    for _ in range(3):
        net.fit(pixels, targets, batch_size=4, epochs=1, verbose=0)
        raw = np.asarray(kernel)
        average = raw if average is None else 0.5 * average + 0.5 * raw
    assert not np.allclose(raw, average, atol=1e-4)
    take_average(net, [pixels])
    np.testing.assert_allclose(np.asarray(kernel), average, rtol=1e-5, atol=1e-6)


def test_a_run_of_one_step_has_a_learning_rate() -> None:
    optimizer = optimizer_from_recipe(replace(RECIPES["edge-s"], epochs=1), steps=1)
    assert float(optimizer.learning_rate) == 0
