"""Walks through a model compute what the model does, each call once, and keep no more than they may."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.layer_walk import Walk, Walks


class _CountedFeed(RepresentativeDataset):
    """Knows how many batches were read from the images."""

    num_read = 0

    def batches(self, size: int) -> Iterator[NDArray[np.float32]]:
        for batch in super().batches(size):
            type(self).num_read += 1
            yield batch


@pytest.fixture
def feed() -> RepresentativeDataset:
    images = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    _CountedFeed.num_read = 0
    return _CountedFeed(images=images, multiplier=1 / 64, offset=-2.0)


@pytest.fixture(scope="module")
def model() -> Any:
    """A residual block, a dropout and a head: some tensors are needed for longer than the next call."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3))
    first = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    second = layers.Conv2D(4, 3, padding="same", activation="relu")(first)
    joined = layers.Dropout(0.5)(layers.Add()([layers.Conv2D(4, 1)(second), first]))
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(joined)))


@pytest.mark.parametrize("max_bytes", [0, 60_000, 10**9])
def test_each_layer_returns_what_it_returns_in_the_model(
    model: Any, feed: RepresentativeDataset, max_bytes: int
) -> None:
    walk = Walk(model, {}, once=range(99))
    walks = Walks((walk, Walk(model, {}, once=range(99))), feed, max_bytes=max_bytes)
    expected = np.asarray(model(np.concatenate(list(feed.batches(64)))))
    for index in walk.layers:
        found = [output for output, _ in walks.before_activation(index)]
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("max_bytes", "times_read"), [(10**9, 1), (0, 4)])
def test_images_are_read_once_unless_nothing_may_be_kept(
    model: Any, feed: RepresentativeDataset, max_bytes: int, times_read: int
) -> None:
    walk = Walk(model, {}, once=range(99))
    walks = Walks((walk,), feed, max_bytes=max_bytes)
    for index in walk.layers:
        assert sum(1 for _ in walks.before_activation(index)) == 2  # batches
    assert _CountedFeed.num_read == 2 * times_read


def test_calls_in_a_range_are_rounded_to_8_bits(model: Any, feed: RepresentativeDataset) -> None:
    rounded = Walk(model, {0: (0.0, 2.55)}, once=range(99))
    begun = rounded.begin(next(feed.batches(64)))
    first, _ = rounded.stopped(begun, None, 1).values()
    steps = np.asarray(first, np.float64) / 0.01
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    assert steps.max() == pytest.approx(255, abs=1e-3)


def test_a_bias_that_changes_at_a_stop_counts_from_there_on(
    model: Any, feed: RepresentativeDataset
) -> None:
    walk = Walk(model, {}, once=range(99))
    walks = Walks((walk,), feed)
    (before, _), *_ = walks.before_activation(0), ()
    walk.biases[0] += 1
    (after,) = next(walks.before_activation(1))
    import keras

    changed = keras.models.clone_model(model)
    changed.set_weights(model.get_weights())
    changed.layers[1].bias.assign(np.asarray(model.layers[1].bias) + 1)
    second = keras.Model(changed.inputs[0], changed.layers[2].output)
    expected = np.asarray(second(next(feed.batches(64))))
    np.testing.assert_allclose(np.maximum(after, 0), expected, rtol=1e-5, atol=1e-6)
    assert before[0].shape == (64, 8, 8, 4)
