"""Equalizing changes no score of the float model, leaves alone what it must, and makes int8 decide more alike."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_data import packaged
from cifar_export.int8.calibration import RepresentativeDataset, reaching_both_ends
from cifar_export.int8.equalize import equalize, wiring_of
from cifar_export.int8.prepare import prepare
from cifar_export.keras_graph.fold import fold
from cifar_export.keras_graph.trace import functional_from, trace

Build = Callable[[Any, Any], Any]


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return np.asarray(packaged.test_sample().images[::16])


@pytest.fixture(scope="module")
def feed() -> RepresentativeDataset:
    images, _ = reaching_both_ends(packaged.calibration_sample().images[:64])
    return RepresentativeDataset(images=images, multiplier=1 / 64, offset=-2.0)


def _notebook_like(x: Any, layers: Any) -> Any:
    for filters, kernel_size in ((8, 5), (12, 3), (6, 3)):
        x = layers.Conv2D(filters, kernel_size, activation="relu")(x)
        x = layers.BatchNormalization(momentum=0.0)(x)
        x = layers.MaxPooling2D(2)(x) if filters != 6 else x
    return layers.Flatten()(x)


def _same_padding(x: Any, layers: Any) -> Any:
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    x = layers.Conv2D(6, 3, padding="same")(x)
    x = layers.ReLU()(layers.MaxPooling2D(3, strides=2, padding="same")(x))
    return layers.GlobalMaxPooling2D()(x)


def _residual(x: Any, layers: Any) -> Any:
    x = layers.Conv2D(8, 3, activation="relu", name="stem")(x)
    y = layers.Conv2D(6, 3, padding="same", activation="relu", name="inner")(x)
    y = layers.Conv2D(8, 3, padding="same", name="outer")(y)
    return layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Add()([x, y])))


def _clipped(x: Any, layers: Any) -> Any:
    x = layers.ReLU(max_value=6.0)(layers.Conv2D(8, 3, name="clipped")(x))
    x = layers.Conv2D(8, 3, activation="tanh", name="bent")(x)
    return layers.GlobalAveragePooling2D()(x)


def _two_users(x: Any, layers: Any) -> Any:
    x = layers.Conv2D(8, 3, activation="relu", name="shared")(x)
    left = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, name="left")(x))
    right = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(x))
    return layers.Concatenate()([left, right])


def _one_hidden_layer(x: Any, layers: Any) -> Any:
    return layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu", name="only")(x))


def _no_hidden_layer(x: Any, layers: Any) -> Any:
    return layers.Flatten()(x)


def _uneven(build: Build) -> Any:
    """A model with random weights whose channels differ by factors of up to a thousand."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(5)
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, layers.Dense(10, name="scores")(build(inputs, layers)))
    random = np.random.default_rng(5)
    for layer in model.layers:
        weights = layer.get_weights()
        if type(layer).__name__ == "BatchNormalization":
            size = len(weights[0])
            weights[0] = random.uniform(-2.0, 2.0, size) * (np.arange(size) != 1)
            weights[1:3] = random.normal(size=(2, size))
            weights[3] = 10.0 ** random.uniform(-3, 1, size)
            layer.set_weights(weights)
        elif type(layer).__name__ == "Conv2D":
            gains = 10.0 ** random.uniform(-1.5, 1.5, weights[0].shape[-1])
            layer.set_weights([weights[0] * gains, random.normal(size=weights[1].shape) * gains])
    return fold(model).model


@pytest.mark.parametrize(
    "build",
    [
        _notebook_like,
        _same_padding,
        _residual,
        _clipped,
        _two_users,
        _one_hidden_layer,
        _no_hidden_layer,
    ],
    ids=lambda build: build.__name__,
)
def test_scores_are_unchanged(
    build: Build, images: NDArray[np.uint8], feed: RepresentativeDataset
) -> None:
    model = _uneven(build)
    before = [weight.copy() for weight in model.get_weights()]
    equalized = equalize(model, feed)
    pixels = (images / 64.0 - 2.0).astype(np.float32)
    expected, found = np.asarray(model(pixels)), np.asarray(equalized.model(pixels))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (_residual, {"inner"}),
        (_clipped, {"clipped"}),
        (_two_users, {"shared", "left", "conv2d"}),
        (_one_hidden_layer, {"only"}),
        (_no_hidden_layer, set()),
    ],
    ids=["residual", "clipped", "two users", "one hidden layer", "no hidden layer"],
)
def test_only_channels_whose_every_user_takes_gains_are_rescaled(
    build: Build, expected: set[str], feed: RepresentativeDataset
) -> None:
    import keras

    keras.backend.clear_session()
    report = equalize(_uneven(build), feed).report
    assert {entry["layer"] for entry in report} == expected


def test_ranges_become_more_equal(feed: RepresentativeDataset) -> None:
    model = _uneven(_two_users)
    equalized = equalize(model, feed).model
    assert _spread(equalized, feed) == pytest.approx(_spread(model, feed) ** 0.5, rel=0.5)


def test_a_gain_is_the_root_of_weight_share_over_range(feed: RepresentativeDataset) -> None:
    import keras

    model = _uneven(_residual)
    inner = keras.Model(model.inputs[0], model.get_layer("inner").output)
    ranges = np.asarray(inner(next(feed.batches(65)))).max(axis=(0, 1, 2))
    kernel = np.abs(model.get_layer("outer").get_weights()[0])
    shares = (kernel / kernel.max(axis=(0, 1, 2))).max(axis=(0, 1, 3))
    expected = np.sqrt(shares / ranges)
    middle = np.median(expected)
    equalized = equalize(model, feed)
    # A bias is multiplied by the gain of its channel and by nothing else.
    gains = (
        equalized.model.get_layer("inner").get_weights()[1]
        / (model.get_layer("inner").get_weights()[1])
    )
    (entry,) = equalized.report
    assert (entry["min_gain"], entry["max_gain"]) == pytest.approx((gains.min(), gains.max()))
    np.testing.assert_allclose(
        gains,
        np.clip(expected, middle / 16, middle * 16),
        rtol=1e-5,
    )


def test_a_channel_grows_below_the_ceiling_of_its_relu_and_one_that_is_clipped_keeps_its_scale() -> (
    None
):
    """Channels of ranges 1.5, 24 (clipped to 6) and none: sqrt(6 / 1.5) = 2; what exceeds 1.5 is clipped at 3."""
    import keras
    from keras import layers

    x = keras.Input((4, 4, 3))
    y = layers.ReLU(max_value=6.0)(layers.Conv2D(3, 1, name="expand")(x))
    y = layers.DepthwiseConv2D(3, name="depthwise", use_bias=False)(y)
    model = keras.Model(x, layers.GlobalAveragePooling2D()(y))
    kernel = np.diag([1.5 / 255, 24 / 255, -1.0])[None, None]
    model.get_layer("expand").set_weights([kernel, np.zeros(3)])
    model.get_layer("depthwise").set_weights([np.ones((3, 3, 3, 1))])
    images = np.random.default_rng(5).integers(0, 256, (4, 4, 4, 3), dtype=np.uint8)
    images[0, 0, 0] = 255
    equalized = equalize(model, RepresentativeDataset(images=images))
    assert [(one["layer"], one["min_gain"]) for one in equalized.report] == [("expand", 1.0)]
    assert equalized.report[0]["max_gain"] == pytest.approx(2.0)
    found = equalized.model.get_layer("expand").get_weights()[0]
    np.testing.assert_allclose(found, kernel * [2.0, 1.0, 1.0], rtol=1e-6)
    pixels = images.astype(np.float32)
    np.testing.assert_allclose(equalized.model(pixels), model(pixels), rtol=1e-5)
    brighter = np.full((1, 4, 4, 3), 1.9 * 255, np.float32)  # 2.85 where calibration saw 1.5
    np.testing.assert_allclose(equalized.model(brighter), model(brighter), rtol=1e-5)


@pytest.mark.parametrize(("brightest", "equalized"), [(150, True), (255, False)])
def test_clipped_channels_stay_as_they_are_where_other_images_reach_past_their_new_clip(
    brightest: int, equalized: bool
) -> None:
    """Calibration reaches 1 of 6 at pixels of 100: with a gain of sqrt(6) what exceeds 245 is clipped."""
    import keras
    from keras import layers

    x = keras.Input((4, 4, 3))
    y = layers.ReLU(max_value=6.0)(layers.Conv2D(3, 1, name="expand")(x))
    y = layers.DepthwiseConv2D(4, name="depthwise")(y)
    model = keras.Model(x, layers.Dense(2)(layers.Flatten()(y)))
    model.get_layer("expand").set_weights([np.eye(3)[None, None] / 100, np.zeros(3)])
    folded = fold(model)
    dim = np.full((2, 4, 4, 3), 100, np.uint8)
    compared = np.full((2, 4, 4, 3), brightest, np.uint8)
    compared[1] //= 2
    prepared = prepare(folded, RepresentativeDataset(images=dim), compared)
    names = [one["layer"] for one in prepared.report["equalized"]]
    assert ("expand" in names) is equalized
    assert "depthwise" in names


@pytest.mark.parametrize(
    "relu", [{"threshold": 1.0, "max_value": 6.0}, {"negative_slope": 0.1, "max_value": 6.0}]
)
def test_a_relu_that_bends_elsewhere_keeps_its_channels_scale(relu: dict[str, float]) -> None:
    import keras
    from keras import layers

    x = keras.Input((4, 4, 3))
    y = layers.Conv2D(2, 1)(layers.ReLU(**relu)(layers.Conv2D(4, 1)(x)))
    model = keras.Model(x, layers.GlobalAveragePooling2D()(y))
    wiring = wiring_of(trace(model))
    assert [wiring.linears[index].layer.name for index in wiring.free] == []


def test_a_negated_branch_is_rescaled_with_the_rest(small_model: Any) -> None:
    folded = fold(small_model, rescaling="strip")
    wiring = wiring_of(trace(functional_from(folded.model)))
    names = {wiring.linears[index].layer.name for index in wiring.free}
    assert len(names) == 4
    assert {name.rsplit("_", 1)[-1] for name in names} >= {"minimum", "maximum", "negated"}


def _spread(model: Any, feed: RepresentativeDataset) -> float:
    """The largest channel range of the first convolution over the median one."""
    import keras

    probe = keras.Model(model.inputs[0], model.layers[1].output)
    batch = next(feed.batches(65))
    ranges = np.asarray(probe(batch)).max(axis=(0, 1, 2))
    return float(ranges.max() / np.median(ranges))


@pytest.mark.parametrize("num_dark", [1, 2])
def test_channels_that_calibration_never_reaches_do_not_set_the_gains(num_dark: int) -> None:
    """All channels but one are dark on these images: by their ranges they would get gains of a million."""
    import keras
    from keras import layers

    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(1 + num_dark, 1, activation="relu", name="dark")(x)
    y = layers.Conv2D(4, 1, activation="relu", name="unreached")(y)
    model = keras.Model(x, layers.GlobalAveragePooling2D()(layers.Conv2D(2, 1, name="last")(y)))
    kernel = np.eye(3)[None, None, :, : 1 + num_dark]
    model.get_layer("dark").set_weights([kernel, np.array([0.0] + [-1e4] * num_dark)])
    kernel = np.ones((1, 1, 1 + num_dark, 4))
    model.get_layer("unreached").set_weights([kernel, np.full(4, -1e4)])
    model.get_layer("last").set_weights([np.ones((1, 1, 4, 2)), np.zeros(2)])
    images = np.random.default_rng(5).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    report = {
        entry["layer"]: entry
        for entry in equalize(model, RepresentativeDataset(images=images)).report
    }
    # sqrt(1 / r) of the channel that is reached; the others have the most that its layer allows.
    reached = 1 / np.sqrt(float(images[..., 0].max()))
    dark = report["dark"]
    assert (dark["min_gain"], dark["max_gain"]) == pytest.approx((reached, 16 * reached))
    assert report["unreached"]["max_gain"] <= 16


def test_a_dense_channel_that_never_speaks_takes_no_more_of_the_common_scale_than_the_others() -> (
    None
):
    """Its weights are 37 times the others', as BatchNorm's epsilon leaves them behind a dead ReLU."""
    import keras
    from keras import layers

    x = keras.Input((4, 4, 3))
    y = layers.Dense(3, activation="relu", name="hidden")(layers.Flatten()(x))
    model = keras.Model(x, layers.Dense(2, name="last")(y))
    kernel = np.random.default_rng(3).uniform(0.5, 1.0, (48, 3)) * [1.0, 1.0, -37.0]
    model.get_layer("hidden").set_weights([kernel, np.zeros(3)])
    images = np.random.default_rng(5).integers(0, 256, (4, 4, 4, 3), dtype=np.uint8)
    equalized = equalize(model, RepresentativeDataset(images=images)).model
    sizes = np.abs(equalized.get_layer("hidden").get_weights()[0]).max(axis=0)
    assert sizes[2] == pytest.approx(sizes[:2].max())
    dark = np.zeros((1, 4, 4, 3)) - 9.0  # where it does speak, the scores are what they were
    np.testing.assert_allclose(equalized(dark), model(dark), rtol=1e-5)
