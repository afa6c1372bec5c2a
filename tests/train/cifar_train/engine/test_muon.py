"""Muon turns the kernels of dense convolutions and leaves every other weight to SGD."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cifar_train.engine.optimizers import KERNEL_RATE, optimizer_from_recipe
from cifar_train.recipe import TrainRecipe
from cifar_train.recipes import RECIPES

RATE = 0.3
MUON = replace(
    RECIPES["edge-s"],
    optimizer="muon",
    schedule="constant",
    learning_rate=RATE,
    weight_decay=0.1,
    ema=None,
)


def weights(random: np.random.Generator) -> list[Any]:
    """A wide and a tall kernel, a depthwise one, a dense one and a bias."""
    import keras

    shapes = {
        "kernel": [(1, 1, 4, 8), (3, 3, 4, 6), (3, 3, 5, 1), (7, 5)],
        "bias": [(5,)],
    }
    return [
        keras.Variable(random.normal(size=shape).astype(np.float32), name=name)
        for name, group in shapes.items()
        for shape in group
    ]


def stepped(recipe: TrainRecipe, num_steps: int) -> list[np.ndarray]:
    import keras

    random = np.random.default_rng(0)
    variables = weights(random)
    optimizer = optimizer_from_recipe(recipe, steps=1)
    for _ in range(num_steps):
        gradients = [random.normal(size=variable.shape) for variable in variables]
        optimizer.apply(
            [keras.ops.convert_to_tensor(one, "float32") for one in gradients], variables
        )
    return [np.asarray(variable) for variable in variables]


def test_only_kernels_of_dense_convolutions_are_not_sgds() -> None:
    by_muon, by_sgd = stepped(MUON, 3), stepped(replace(MUON, optimizer="sgd"), 3)
    same = [np.array_equal(a, b) for a, b in zip(by_muon, by_sgd, strict=True)]
    assert same == [False, False, True, True, True]


def test_a_kernel_keeps_its_length_and_turns_by_about_its_rate() -> None:
    before, after = stepped(MUON, 0), stepped(MUON, 1)
    for old, new in zip(before[:2], after[:2], strict=True):
        assert np.linalg.norm(new) == pytest.approx(np.linalg.norm(old), rel=1e-5)
        angle = np.arccos(np.sum(new * old) / np.sum(old**2))
        assert angle == pytest.approx(KERNEL_RATE * RATE, rel=0.3)


def test_a_step_goes_along_the_orthogonal_factor_of_its_gradient() -> None:
    import keras

    from cifar_train.engine.muon import orthogonalized

    for shape in ((1, 1, 8, 32), (3, 3, 8, 16)):
        gradient = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        left, _, right = np.linalg.svd(gradient.reshape(-1, shape[-1]), full_matrices=False)
        expected = (left @ right).ravel()
        direction = np.asarray(orthogonalized(keras.ops.convert_to_tensor(gradient))).ravel()
        cosine = direction @ expected / np.linalg.norm(direction) / np.linalg.norm(expected)
        assert cosine > 0.97


def test_a_gradient_of_zero_moves_nothing() -> None:
    import keras

    variable = keras.Variable(np.ones((3, 3, 2, 4), np.float32), name="kernel")
    optimizer = optimizer_from_recipe(MUON, steps=1)
    optimizer.apply([keras.ops.zeros_like(variable)], [variable])
    np.testing.assert_allclose(np.asarray(variable), 1, rtol=1e-6)
