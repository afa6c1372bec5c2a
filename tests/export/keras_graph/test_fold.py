"""Folding is exact: the folded model computes what the original does, whatever the signs, paddings and branches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_data import packaged
from cifar_export.keras_graph.fold import Folded, fold
from cifar_train import networks

Build = Callable[[Any, Any], Any]
GAMMAS = {
    "positive": lambda size, random: random.uniform(0.2, 2.0, size),
    "mixed": lambda size, random: random.uniform(-2.0, 2.0, size) * (np.arange(size) != 1),
    "negative": lambda size, random: random.uniform(-2.0, -0.2, size),
}


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return packaged.test_sample().images[::16].astype(np.float32)


def _blocks(
    x: Any, layers: Any, *, padding: str = "valid", pool: Any = None, relu_layer: bool = False
) -> Any:
    for filters, kernel_size in ((8, 5), (12, 3)):
        x = layers.Conv2D(
            filters, kernel_size, padding=padding, activation=None if relu_layer else "relu"
        )(x)
        x = layers.ReLU()(x) if relu_layer else x
        x = layers.BatchNormalization(momentum=0.0)(x)
        x = (pool or layers.MaxPooling2D)(2)(x)
    return x


def _notebook_like(x: Any, layers: Any) -> Any:
    return layers.Dropout(0.5)(layers.Flatten()(_blocks(x, layers)))


def _relu_layers(x: Any, layers: Any) -> Any:
    return layers.Flatten()(_blocks(x, layers, relu_layer=True))


def _same_padding(x: Any, layers: Any) -> Any:
    return layers.Flatten()(_blocks(x, layers, padding="same"))


def _average_pooling(x: Any, layers: Any) -> Any:
    return layers.Flatten()(_blocks(x, layers, padding="same", pool=layers.AveragePooling2D))


def _strides(x: Any, layers: Any) -> Any:
    for padding in ("valid", "same"):
        x = layers.Conv2D(8, 3, strides=2, padding=padding, activation="relu", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.0)(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return layers.GlobalAveragePooling2D()(x)


def _depthwise(x: Any, layers: Any) -> Any:
    x = layers.Conv2D(6, 3, activation="relu")(x)
    for padding in ("valid", "same"):
        x = layers.BatchNormalization(momentum=0.0)(x)
        x = layers.MaxPooling2D()(x)
        x = layers.DepthwiseConv2D(3, padding=padding, depth_multiplier=2, activation="relu")(x)
    x = layers.BatchNormalization(momentum=0.0)(x)
    return layers.GlobalMaxPooling2D()(x)


def _ordinary_order(x: Any, layers: Any) -> Any:
    for layer in (
        layers.Conv2D(8, 3, padding="same"),
        layers.DepthwiseConv2D(3, strides=2),
        layers.Dense(9),
    ):
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.0)(layer(x)))
    return layers.GlobalAveragePooling2D()(x)


def _residual(x: Any, layers: Any) -> Any:
    x = layers.BatchNormalization(momentum=0.0)(layers.Conv2D(8, 3, activation="relu")(x))
    y = layers.BatchNormalization(momentum=0.0)(
        layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    )
    x = layers.MaxPooling2D()(layers.Add()([x, y]))
    z = layers.BatchNormalization(momentum=0.0)(layers.Conv2D(4, 1, activation="relu")(x))
    return layers.GlobalAveragePooling2D()(layers.Concatenate()([x * 0.5 + 1.0, z]))


def _used_twice(x: Any, layers: Any) -> Any:
    x = layers.Conv2D(8, 3, activation="relu")(x)
    normal = layers.BatchNormalization(momentum=0.0)(x)
    left = layers.MaxPooling2D()(normal)
    right = layers.AveragePooling2D(2)(normal)
    shared = layers.Conv2D(8, 3, activation="relu")
    return layers.Flatten()(layers.Subtract()([shared(left), shared(right)]))


def _head_used_twice(x: Any, layers: Any) -> Any:
    x = layers.Conv2D(8, 3, activation="relu")(x)
    normal = layers.MaxPooling2D()(layers.BatchNormalization(momentum=0.0)(x))
    return layers.Concatenate()(
        [
            layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(normal)),
            layers.GlobalMaxPooling2D()(x),
        ]
    )


def _odd_orders(x: Any, layers: Any) -> Any:
    x = layers.BatchNormalization(momentum=0.0)(x)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.BatchNormalization(momentum=0.0)(x)
    x = layers.BatchNormalization(momentum=0.0)(x)
    x = layers.MaxPooling2D()(x)
    x = layers.ZeroPadding2D()(x)
    x = layers.Conv2D(8, 3)(x)
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    x = layers.BatchNormalization(momentum=0.0)(x)
    x = layers.ReLU(max_value=6.0)(x)
    x = layers.BatchNormalization(momentum=0.0)(x)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    return layers.BatchNormalization(momentum=0.0)(x)


def _dense_stack(x: Any, layers: Any) -> Any:
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    for _ in range(2):
        x = layers.BatchNormalization(momentum=0.0)(layers.Dense(16, activation="relu")(x))
    return x


def _rescaled(x: Any, layers: Any) -> Any:
    return _notebook_like(layers.Rescaling(1 / 64, offset=-2.0)(x), layers)


def _cropped(x: Any, layers: Any) -> Any:
    """A Rescaling folds forward through the first crop; signs and shifts go through the second."""
    x = layers.Cropping2D(3)(layers.Rescaling(1 / 64, offset=-2.0)(layers.Cropping2D(1)(x)))
    x = layers.BatchNormalization(momentum=0.0)(layers.Conv2D(8, 5, activation="relu")(x))
    x = layers.Conv2D(12, 3, activation="relu")(layers.Cropping2D(((2, 1), (0, 3)))(x))
    return layers.Flatten()(layers.MaxPooling2D(2)(x))


def _rescaled_same(x: Any, layers: Any) -> Any:
    return _same_padding(layers.Rescaling(1 / 64, offset=-2.0)(x), layers)


def _nested(x: Any, layers: Any) -> Any:
    import keras

    inner = keras.Sequential(
        [keras.Input((14, 14, 8)), layers.Conv2D(8, 3, activation="relu"), layers.Flatten()]
    )
    x = layers.BatchNormalization(momentum=0.0)(layers.Conv2D(8, 5, activation="relu")(x))
    return inner(layers.MaxPooling2D()(x))


def _by_keyword(x: Any, layers: Any) -> Any:
    x = layers.Rescaling(1 / 64, offset=-2.0)(inputs=x)
    x = layers.Conv2D(8, 5, activation="relu")(inputs=x)
    x = layers.BatchNormalization(momentum=0.0)(inputs=x)
    x = layers.MaxPooling2D(2)(inputs=x)
    return layers.GlobalAveragePooling2D()(inputs=layers.Conv2D(8, 3)(inputs=x))


NETWORKS: dict[str, Build] = {
    build.__name__.strip("_"): build
    for build in (
        _notebook_like,
        _relu_layers,
        _same_padding,
        _average_pooling,
        _strides,
        _depthwise,
        _ordinary_order,
        _residual,
        _used_twice,
        _head_used_twice,
        _odd_orders,
        _dense_stack,
        _rescaled,
        _cropped,
        _rescaled_same,
        _nested,
        _by_keyword,
    )
}


def _random_model(
    build: Build, gammas: str, images: NDArray[np.float32], *, softmax: bool = False
) -> Any:
    """Random weights, BatchNorm statistics of real images, and gammas of the wanted signs."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(7)
    random = np.random.default_rng(7)
    inputs = keras.Input((32, 32, 3))
    outputs = layers.Dense(10, activation="softmax" if softmax else None)(build(inputs, layers))
    model = keras.Model(inputs, outputs)
    model(images, training=True)  # with momentum 0 the moving statistics become this batch's
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.gamma.assign(GAMMAS[gammas](layer.gamma.shape[0], random))
            layer.beta.assign(random.normal(size=layer.beta.shape))
    return model


@pytest.mark.parametrize("gammas", GAMMAS)
@pytest.mark.parametrize("network", NETWORKS)
def test_the_folded_model_gives_the_same_logits(
    network: str, gammas: str, images: NDArray[np.float32]
) -> None:
    model = _random_model(NETWORKS[network], gammas, images)
    expected = np.asarray(model(images, training=False))
    found = np.asarray(fold(model).model(images, training=False))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert expected.std() > 0.05  # it is about something


@pytest.mark.parametrize("gammas", GAMMAS)
def test_the_folded_model_gives_the_same_probabilities(
    gammas: str, images: NDArray[np.float32]
) -> None:
    model = _random_model(_notebook_like, gammas, images, softmax=True)
    expected = np.asarray(model(images, training=False))
    np.testing.assert_allclose(
        fold(model).model(images, training=False), expected, rtol=0, atol=1e-5
    )


def test_a_stripped_rescaling_is_what_the_caller_must_do(images: NDArray[np.float32]) -> None:
    model = _random_model(_rescaled_same, "mixed", images)
    folded = fold(model, rescaling="strip")
    assert (folded.multiplier, folded.offset) == (1 / 64, -2.0)
    expected = np.asarray(model(images, training=False))
    found = np.asarray(folded.model(images * folded.multiplier + folded.offset, training=False))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_division_and_a_subtraction_are_both_left_to_the_caller(
    images: NDArray[np.float32],
) -> None:
    """As ``keras.applications`` preprocesses before MobileNetV2; the subtraction stayed an addition in int8."""
    import keras
    from keras import layers

    x = keras.Input((32, 32, 3))
    y = layers.Rescaling(1.0, offset=-1.0)(layers.Rescaling(1 / 127.5)(x))
    y = layers.Conv2D(4, 3, padding="same")(y)
    model = keras.Model(x, layers.GlobalAveragePooling2D()(y))
    folded = fold(model, rescaling="strip")
    assert (folded.multiplier, folded.offset) == (1 / 127.5, -1.0)
    assert _kinds(folded) == ["InputLayer", "Conv2D", "GlobalAveragePooling2D"]
    found = np.asarray(folded.model(images / 127.5 - 1.0))
    np.testing.assert_allclose(found, np.asarray(model(images)), rtol=1e-4, atol=1e-5)


def test_a_rescaling_stays_where_something_else_takes_the_pixels_too() -> None:
    import keras
    from keras import layers

    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(3, 3, padding="same")(layers.Rescaling(1 / 255)(x))
    folded = fold(keras.Model(x, layers.Add()([x, y])), rescaling="strip")
    assert (folded.multiplier, folded.offset) == (1.0, 0.0)


def test_a_rescaling_that_folds_is_not_stripped(images: NDArray[np.float32]) -> None:
    folded = fold(_random_model(_rescaled, "positive", images), rescaling="strip")
    assert (folded.multiplier, folded.offset) == (1.0, 0.0)
    assert "Rescaling" not in _kinds(folded)


def _kinds(folded: Folded) -> list[str]:
    return [type(layer).__name__ for layer in folded.model.operations]


def test_the_original_is_not_modified(images: NDArray[np.float32]) -> None:
    model = _random_model(_notebook_like, "mixed", images)
    before = [weights.copy() for weights in model.get_weights()]
    config = model.get_config()
    fold(model)
    assert model.get_config() == config
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("architecture", "front"), [("notebook", []), ("seed-cnn", ["Cropping2D"])]
)
def test_the_notebook_network_folds_to_convolutions_alone(
    architecture: Any, front: list[str]
) -> None:
    folded = fold(networks.build(architecture, input_shape=(32, 32, 3), num_classes=10))
    block = ["Conv2D", "MaxPooling2D"]
    assert _kinds(folded) == ["InputLayer", *front, *block, *block, *block, "Flatten", "Dense"]
    assert folded.model.count_params() == 381_066


def test_a_rescaling_behind_or_before_a_crop_folds(images: NDArray[np.float32]) -> None:
    kinds = _kinds(fold(_random_model(_cropped, "mixed", images)))
    assert {"Rescaling", "BatchNormalization", "Add", "Multiply"}.isdisjoint(kinds)


def test_a_shift_before_zero_padding_stays_an_addition(images: NDArray[np.float32]) -> None:
    folded = fold(_random_model(_same_padding, "positive", images))
    assert _kinds(folded).count("BatchNormalization") == 0
    assert [kind for kind in _kinds(folded) if kind in ("Add", "Multiply")] == ["Add"]


def test_a_norm_that_can_go_nowhere_becomes_one_operator(images: NDArray[np.float32]) -> None:
    """int8 rounds behind every operator, and a multiplication by a vector has one scale for all its channels."""
    import keras
    from keras import layers

    inputs = keras.Input(images.shape[1:])
    x = layers.Add()([layers.Conv2D(4, 3)(inputs), layers.Conv2D(4, 3)(inputs)])
    x = layers.BatchNormalization(name="norm")(x)
    model = keras.Model(inputs, layers.Flatten()(layers.ReLU()(x)))
    random = np.random.default_rng(4)
    model.get_layer("norm").set_weights(
        [
            random.normal(1, 1, 4),
            random.normal(0, 1, 4),
            random.normal(0, 1, 4),
            np.array([1, 4, 9, 16]),
        ]
    )
    folded = fold(model)
    assert [kind for kind in _kinds(folded) if kind in ("DepthwiseConv2D", "Add", "Multiply")] == [
        "Add",
        "DepthwiseConv2D",
    ]
    wanted = model.predict(images, verbose=0)
    np.testing.assert_allclose(
        folded.model.predict(images, verbose=0), wanted, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("relu", (None, 0.0)),
        ("relu6", (6.0, 0.0)),
        ("leaky_relu", (None, 0.2)),
        ("tanh", None),
    ],
)
def test_an_activation_layer_of_a_relu_is_a_relu_layer(
    images: NDArray[np.float32], name: str, settings: tuple[float | None, float] | None
) -> None:
    """The backbones of keras.applications have these, and nothing evened out the channels before them."""
    import keras
    from keras import layers

    parts = [layers.Conv2D(4, 3), layers.Activation(name, name="bend"), layers.Flatten()]
    model = keras.Sequential([keras.Input(images.shape[1:]), *parts])
    folded = fold(model).model
    layer = folded.get_layer("bend")
    kind = "Activation" if settings is None else "ReLU"
    assert type(layer).__name__ == kind
    if settings is not None:
        assert (layer.max_value, pytest.approx(layer.negative_slope)) == settings
    wanted = model.predict(images, verbose=0)
    np.testing.assert_allclose(folded.predict(images, verbose=0), wanted, rtol=1e-5, atol=1e-4)


def test_only_negative_channels_get_a_branch(images: NDArray[np.float32]) -> None:
    model = _random_model(_notebook_like, "positive", images)
    normalization = model.layers[2]
    normalization.gamma.assign(np.where(np.arange(8) == 3, -1.0, 1.0))
    folded = fold(model)
    filters = [layer.filters for layer in folded.model.layers if type(layer).__name__ == "Conv2D"]
    assert sorted(filters) == [1, 7, 12]
    assert any(note.action.startswith("1 channels of") for note in folded.notes)


def test_mixed_precision_becomes_float32(images: NDArray[np.float32]) -> None:
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, activation="relu", dtype="mixed_bfloat16")(inputs)
    x = layers.BatchNormalization(dtype="mixed_bfloat16")(x)
    x = layers.GlobalAveragePooling2D(dtype="mixed_bfloat16")(x)
    folded = fold(keras.Model(inputs, layers.Dense(10, dtype="float32")(x)))
    assert {layer.compute_dtype for layer in folded.model.layers} == {"float32"}
    assert np.isfinite(np.asarray(folded.model(images))).all()
