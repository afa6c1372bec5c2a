"""Bias correction takes out the mean error of int8 where it counts, and leaves the given model alone."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_data import packaged
from cifar_export.int8.bias_correction import correct_biases
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.keras_graph.fold import fold
from cifar_export.targets.tflite import tflite_int8


@pytest.fixture(scope="module")
def model(small_model: Any) -> Any:
    return fold(small_model, rescaling="strip").model


@pytest.fixture(scope="module")
def feed() -> RepresentativeDataset:
    return RepresentativeDataset(
        images=packaged.calibration_sample().images[:128], multiplier=1 / 64, offset=-2.0
    )


def test_the_model_given_keeps_its_weights_and_kernels_stay(
    model: Any, feed: RepresentativeDataset
) -> None:
    before = [weight.copy() for weight in model.get_weights()]
    corrected = correct_biases(model, feed).model
    for old, new, other in zip(before, model.get_weights(), corrected.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
        if old.ndim > 1:
            np.testing.assert_array_equal(old, other)


def test_a_converted_file_loses_most_of_its_mean_error(
    model: Any, feed: RepresentativeDataset
) -> None:
    """Measured on the real file, not on the simulation that found the errors."""
    logits = _logits(model)
    before = _mean_errors(logits, logits, feed)
    after = _mean_errors(logits, correct_biases(logits, feed).model, feed)
    assert np.abs(after).mean() < np.abs(before).mean() / 2


def test_a_channel_that_never_passes_its_relu_keeps_its_bias(feed: RepresentativeDataset) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    kernel, bias = model.get_layer("first").get_weights()
    bias[1] = -1000
    model.get_layer("first").set_weights([kernel, bias])
    corrected = correct_biases(model, feed)
    moved = corrected.model.get_layer("first").get_weights()[1] - bias
    assert moved[1] == 0
    assert np.all(moved[[0, 2, 3]] != 0)
    (entry,) = corrected.report
    assert entry["max_error"] == pytest.approx(np.abs(moved).max(), rel=1e-4)


def test_a_network_of_one_layer_is_corrected_too(feed: RepresentativeDataset) -> None:
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 3))
    dense = layers.Dense(3, name="scores", bias_initializer="ones")
    model = keras.Model(inputs, dense(layers.Flatten()(inputs)))
    (entry,) = correct_biases(model, feed).report
    assert entry["layer"] == "scores"


def _logits(model: Any) -> Any:
    from cifar_export.checkpoint.io_layers import adapted

    return adapted(model, output_kind="logits")


def _mean_errors(reference: Any, model: Any, feed: RepresentativeDataset) -> NDArray[np.float64]:
    """Of each score of the model's int8 file, over the calibration images."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=tflite_int8(model, feed, io="float32").data)
    interpreter.allocate_tensors()
    taken = interpreter.get_input_details()[0]["index"]
    given = interpreter.get_output_details()[0]["index"]
    found = []
    for image in feed.batches(1):
        interpreter.set_tensor(taken, image)
        interpreter.invoke()
        found.append(interpreter.get_tensor(given)[0])
    wanted = np.asarray(reference(np.concatenate(list(feed.batches(64)))))
    return np.asarray((np.array(found, dtype=np.float64) - wanted).mean(axis=0))


def test_what_splits_a_tensor_is_passed_through() -> None:
    """Its two outputs were rounded as one."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    inputs = keras.Input((8, 8, 3))
    halves = keras.ops.split(layers.Conv2D(4, 3, name="first")(inputs), 2, axis=-1)
    x = layers.Conv2D(4, 3, name="second")(layers.Multiply()(halves))
    model = fold(keras.Model(inputs, layers.Dense(2, name="head")(layers.Flatten()(x)))).model
    images = np.random.default_rng(1).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
    found = correct_biases(model, RepresentativeDataset(images=images))
    assert [one["layer"] for one in found.report] == ["first", "second", "head"]


def test_a_layer_that_keras_quantized_is_left_alone() -> None:
    """Its first weight is no kernel of floats."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    parts = [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="first"), layers.Flatten()]
    model = keras.Sequential([*parts, layers.Dense(2, name="head")])
    model.get_layer("head").quantize("int8")
    images = np.random.default_rng(1).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
    found = correct_biases(fold(model).model, RepresentativeDataset(images=images))
    assert [one["layer"] for one in found.report] == ["first"]
