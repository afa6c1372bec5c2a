"""BatchNorm as one operation does in a step what Keras' layer does."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cifar_runtime.environment import read_environment

pytest.importorskip("tensorflow")


@pytest.fixture(params=[4, 16], ids=["part of a vector", "a whole vector"])
def channels(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def plain(channels: int) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    image = keras.Input((5, 7, 3))
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(image)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.Add()([layers.Conv2D(channels, 1)(x), x])
    x = layers.BatchNormalization(scale=False, epsilon=1e-2)(x)
    x = layers.BatchNormalization(center=False, trainable=False)(x)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


def test_three_steps_leave_the_weights_and_statistics_that_keras_leaves(
    plain: Any, channels: int
) -> None:
    import keras

    from cifar_train.engine.fused_batch_norm import FusedBatchNormalization, with_fused_batch_norm

    fused = with_fused_batch_norm(plain)
    assert [isinstance(layer, FusedBatchNormalization) for layer in fused.layers].count(True) == 3
    random = np.random.default_rng(0)
    pixels = random.normal(3, 2, (6, 5, 7, 3)).astype(np.float32)
    targets = random.normal(size=(6, channels)).astype(np.float32)
    initial, results = plain.get_weights(), []
    for model in (plain, fused):
        model.set_weights(initial)  # the two share their convolutions
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
        for _ in range(3):
            model.train_on_batch(pixels, targets)
        results.append([*model.get_weights(), model.predict_on_batch(pixels)])
    assert [each.path for each in fused.weights] == [each.path for each in plain.weights]
    assert not np.allclose(results[0][0], initial[0])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)


def test_statistics_of_few_numbers_are_finite(plain: Any, channels: int) -> None:
    from cifar_train.engine.fused_batch_norm import with_fused_batch_norm

    fused = with_fused_batch_norm(plain)
    layer = fused.layers[2]
    one = np.full((1, 1, 1, channels), 5.0, np.float32)  # what a deep layer sees of one small image
    np.testing.assert_allclose(layer(one, training=True), np.zeros_like(one), atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.5, rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, 0.9, rtol=1e-6)


@pytest.mark.parametrize(
    ("flags", "filled"),
    [(("avx", "avx2", "fma"), 24), (("avx2", "avx512f"), 32), (("asimd",), 32), ((), 32)],
)
def test_channels_are_filled_up_to_the_vectors_of_the_processor(
    flags: tuple[str, ...], filled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    from cifar_train.engine import fused_batch_norm

    monkeypatch.setattr(
        fused_batch_norm,
        "read_environment",
        lambda: replace(read_environment(), isa_flags=flags),
    )
    fused_batch_norm._channels_of_a_vector.cache_clear()
    widths = []
    operation = tf.compat.v1.nn.fused_batch_norm

    def watched(inputs: Any, *args: Any, **options: Any) -> Any:
        widths.append(inputs.shape[-1])
        return operation(inputs, *args, **options)

    monkeypatch.setattr(tf.compat.v1.nn, "fused_batch_norm", watched)
    layer = fused_batch_norm.FusedBatchNormalization()
    outputs = layer(np.ones((2, 3, 3, 20), np.float32), training=True)
    fused_batch_norm._channels_of_a_vector.cache_clear()
    assert (widths, outputs.shape) == ([filled], (2, 3, 3, 20))
