"""Layers that have their channels first become layers that have them last, and the scores stay."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cifar_eval.models.keras import channels_first_layer
from cifar_export.checkpoint.io_layers import adapted
from cifar_export.keras_graph.fold import fold

FIRST = "channels_first"


def residual(x: Any, form: str, axis: int) -> Any:
    from keras import layers

    x = layers.ZeroPadding2D(1, data_format=form)(x)
    x = layers.Conv2D(6, 3, data_format=form)(x)
    x = layers.ReLU()(layers.BatchNormalization(axis=axis)(x))
    y = layers.DepthwiseConv2D(3, padding="same", data_format=form)(x)
    x = layers.Add()([layers.Activation("relu")(y), x])
    x = layers.MaxPooling2D(data_format=form)(x)
    x = layers.Conv2D(8, 2, strides=2, activation="relu", data_format=form)(x)
    return layers.GlobalAveragePooling2D(data_format=form)(x)


def flattened(x: Any, form: str, axis: int) -> Any:
    from keras import layers

    x = layers.SeparableConv2D(5, 3, activation="relu", data_format=form)(x)
    x = layers.GroupNormalization(5, axis=axis)(layers.UpSampling2D(data_format=form)(x))
    return layers.Flatten(data_format=form)(layers.AveragePooling2D(3, data_format=form)(x))


def twice(x: Any, form: str, axis: int) -> Any:
    from keras import layers

    same = layers.Conv2D(3, 3, padding="same", data_format=form)
    x = layers.Concatenate(axis=axis)([same(same(x)), x])
    return layers.GlobalMaxPooling2D(data_format=form)(x)


def inner_model(x: Any, form: str, axis: int) -> Any:
    import keras

    inputs = keras.Input(x.shape[1:])
    return keras.Model(inputs, residual(inputs, form, axis), name="backbone")(x)


def sequences(x: Any, form: str, axis: int) -> Any:
    from keras import layers

    x = layers.Reshape((3, 64) if form == FIRST else (64, 3))(x)
    x = layers.BatchNormalization(axis=axis)(x)
    x = layers.Conv1D(4, 3, activation="relu", data_format=form)(x)
    return layers.GlobalAveragePooling1D(data_format=form)(x)


def built(body: Callable[[Any, str, int], Any], form: str) -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 3))
    is_first = form == FIRST
    x = body(layers.Permute((3, 1, 2))(inputs) if is_first else inputs, form, 1 if is_first else -1)
    return keras.Model(inputs, layers.Dense(2)(x))


@pytest.mark.parametrize("body", [residual, flattened, twice, inner_model, sequences])
def test_scores_are_those_of_the_same_weights_with_the_channels_last(
    body: Callable[[Any, str, int], Any],
) -> None:
    model, twin = built(body, FIRST), built(body, "channels_last")
    random = np.random.default_rng(5)
    weights = [random.uniform(0.1, 1, weight.shape) for weight in twin.get_weights()]
    for each in (model, twin):
        each.set_weights(weights)
    images = random.uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)
    moved = adapted(model)
    assert channels_first_layer(moved) is None
    np.testing.assert_allclose(
        moved.predict_on_batch(images), twin.predict_on_batch(images), rtol=1e-4, atol=1e-5
    )


def test_no_transposition_is_left_between_layers_of_the_kind() -> None:
    folded = fold(adapted(built(residual, FIRST))).model
    assert [type(layer).__name__ for layer in folded.layers] == [
        type(layer).__name__
        for layer in fold(adapted(built(residual, "channels_last"))).model.layers
    ]
