"""Inner models and separable convolutions become layers of the model's own, and the scores stay."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_data import packaged
from cifar_eval.models.input_mapping import RAW_PIXELS
from cifar_export.checkpoint.io_layers import adapted
from cifar_export.checkpoint.reference import reference_of
from cifar_export.keras_graph.fold import LAYERS_INSIDE, fold
from cifar_export.keras_graph.inline import inlined


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return packaged.test_sample().images[::32].astype(np.float32)


def block(channels: int, *, name: str, size: tuple[Any, ...] = (32, 32, 3)) -> Any:
    """A convolution and a BatchNorm whose names every such block has."""
    import keras
    from keras import layers

    inputs = keras.Input(size)
    x = layers.Conv2D(channels, 3, activation="relu", name="conv")(inputs)
    x = layers.BatchNormalization(momentum=0.0, name="norm")(x)
    return keras.Model(inputs, x, name=name)


def one_layer(x: Any) -> Any:
    return block(6, name="backbone")(x, training=False)


def two_levels(x: Any) -> Any:
    import keras

    inner = keras.Sequential([keras.Input((32, 32, 3)), block(6, name="inner")], name="middle")
    outer = keras.Sequential([inner, keras.layers.ReLU(name="conv")], name="outer")
    return outer(x)


def equal_names(x: Any) -> Any:
    return block(4, name="second", size=(30, 30, 6))(block(6, name="first")(x))


def shared(x: Any) -> Any:
    import keras

    model = block(3, name="twice", size=(None, None, 3))
    return keras.layers.Add()([model(model(x)), keras.layers.Cropping2D(2)(x)])


def separable(x: Any) -> Any:
    from keras import layers

    x = layers.SeparableConv2D(
        8, 3, strides=2, padding="same", depth_multiplier=2, activation="relu", name="apart"
    )(x)
    x = layers.SeparableConv2D(4, (3, 5), dilation_rate=2, use_bias=False, name="further")(x)
    return layers.BatchNormalization(momentum=0.0)(x)


def separable_inside(x: Any) -> Any:
    import keras

    inputs = keras.Input((32, 32, 3))
    return keras.Model(inputs, separable(inputs), name="inside")(inputs=x)


def several_ends(x: Any) -> Any:
    import keras
    from keras import layers

    first, second = keras.Input((32, 32, 3)), keras.Input((32, 32, 3))
    y = layers.Conv2D(4, 3, name="conv")(layers.Subtract()([first, second]))
    model = keras.Model([first, second], [y, keras.ops.relu(y)], name="ends")
    return layers.Concatenate()(model([x, layers.AveragePooling2D(3, 1, "same")(x)]))


BODIES: dict[str, Callable[[Any], Any]] = {
    body.__name__: body
    for body in (
        *(one_layer, two_levels, equal_names, shared),
        *(separable, separable_inside, several_ends),
    )
}


def classifier(body: Callable[[Any], Any], *, dtype: str = "float32") -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        inputs = keras.Input((32, 32, 3))
        x = body(layers.Rescaling(1 / 255)(inputs))
        outputs = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
        model = keras.Model(inputs, outputs, name="net")
    finally:
        keras.config.set_dtype_policy(policy)
    model(packaged.test_sample().images[::16].astype(np.float32), training=True)
    return model


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize("body", BODIES)
def test_an_inlined_model_computes_the_same(body: str, images: NDArray[np.float32]) -> None:
    model = classifier(BODIES[body])
    expected = np.asarray(model(images))
    flat = inlined(model)
    names = [operation.name for operation in flat.operations]
    assert len(set(names)) == len(names)
    assert not {"Functional", "Sequential", "SeparableConv2D"} & set(kinds(flat))
    for made in (flat, adapted(model), fold(flat).model):
        found = np.asarray(made(images))
        assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()
    assert expected.std() > 0.005


@pytest.mark.parametrize("body", ["one_layer", "two_levels", "separable_inside"])
def test_no_batch_norm_is_left_in_an_inner_model(body: str) -> None:
    assert "BatchNormalization" not in kinds(fold(adapted(classifier(BODIES[body]))).model)


@pytest.mark.parametrize("body", ["two_levels", "separable_inside"])
def test_a_model_in_mixed_precision_is_inlined_in_float32(
    body: str, images: NDArray[np.float32]
) -> None:
    model = classifier(BODIES[body], dtype="mixed_float16")
    flat = inlined(model)
    assert {layer.compute_dtype for layer in flat.layers} == {"float32"}
    expected = np.asarray(model(images), np.float32)
    assert np.abs(np.asarray(flat(images)) - expected).max() <= 0.02 * np.abs(expected).max()


def test_layers_keep_their_names_where_these_are_free() -> None:
    names = [layer.name for layer in inlined(classifier(equal_names)).layers]
    assert {"conv", "norm", "second_conv", "second_norm"} <= set(names)


def test_a_model_that_hides_nothing_is_returned_itself() -> None:
    from keras import layers

    model = classifier(layers.Conv2D(4, 3))
    assert inlined(model) is model


def test_a_model_that_is_called_for_training_stays_and_is_named() -> None:
    """Its BatchNorm takes the statistics of each batch, also in use."""
    model = classifier(lambda x: block(6, name="backbone")(x, training=True))
    folded = fold(adapted(model))
    assert "Functional" in kinds(folded.model)
    assert [note.layer for note in folded.notes if note.action == LAYERS_INSIDE] == ["backbone"]


def test_logits_are_taken_from_a_softmax_in_an_inner_model(images: NDArray[np.float32]) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(4)
    head = [layers.Flatten(), layers.Dense(10, activation="softmax")]
    inner = keras.Sequential([keras.Input((32, 32, 3)), layers.Rescaling(1 / 255), *head])
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, inner(inputs))
    wanted = np.log(np.asarray(model(images), np.float64))
    pixels = images.astype(np.uint8)
    judge = reference_of(model, mapping=RAW_PIXELS, output_kind="logits")
    for found in (judge.scores(pixels), np.asarray(adapted(model, output_kind="logits")(images))):
        centred = found - found.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(centred, wanted - wanted.mean(axis=1, keepdims=True), atol=1e-4)
