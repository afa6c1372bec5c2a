"""The networks have the layers, weights and multiply-accumulates that they are known by."""

from typing import Any, get_args

import numpy as np
import pytest

from cifar_data import packaged
from cifar_runtime.contract import ScoreKind
from cifar_runtime.errors import UsageError
from cifar_train import networks
from cifar_train.networks import Architecture, set_initial_weights
from cifar_train.networks.backbones import BACKBONES
from cifar_train.networks.count import multiply_accumulates

# Weights and multiply-accumulates of convolutions and dense layers, counted from the lists of layers by another script.
SIZES = {
    "notebook": (380_608, 17_937_664),
    "resnet8": (77_360, 12_501_632),
    "edge-xs": (39_856, 4_341_136),
    "edge-res-s": (96_608, 10_986_032),
    "edge-deep-s": (91_264, 10_875_280),
    "edge-mix-s": (95_152, 10_887_808),
    "edge-mb-s": (89_392, 11_606_656),
    "edge-res-m": (266_288, 36_094_592),
    "edge-mix-m": (284_472, 36_270_288),
    "edge-mb-m": (328_776, 39_159_744),
    "quick-res": (80_120, 7_207_472),
    "airbench": (1_970_464, 118_147_360),
}


def build(name: Architecture, *, output: ScoreKind = "probabilities") -> Any:
    """For CIFAR-10's images, which the published sizes are of."""
    return networks.build(name, input_shape=(32, 32, 3), num_classes=10, output=output)


def kernels(model: Any) -> list[tuple[Any, tuple[int, ...]]]:
    """Layers with weights to multiply by, and the shapes of those."""
    kinds = ("Conv2D", "DepthwiseConv2D", "Dense")
    layers = [layer for layer in model.layers if type(layer).__name__ in kinds]
    return [(layer, tuple(layer.weights[0].shape)) for layer in layers]


def macs(layer: Any, shape: tuple[int, ...]) -> int:
    """Each weight is used once at every position of the output; Dense has one position."""
    return int(np.prod(shape)) * int(np.prod(layer.output.shape[1:-1], dtype=int))


@pytest.mark.parametrize("name", SIZES)
def test_weights_and_macs_are_the_known_ones(name: Architecture) -> None:
    found = kernels(build(name))
    weights = sum(int(np.prod(shape)) for _, shape in found)
    assert (weights, sum(macs(layer, shape) for layer, shape in found)) == SIZES[name]


def test_every_network_is_named_here() -> None:
    assert {*SIZES, "seed-cnn", *BACKBONES} == set(get_args(Architecture))


@pytest.mark.parametrize("name", ["edge-xs", "edge-mix-s", "edge-mix-m"])
def test_larger_pictures_cost_one_to_four_times_as_much(name: Architecture) -> None:
    """An edge network halves a picture until its shorter side is 32 to 63."""
    model = networks.build(name, input_shape=(64, 64, 3), num_classes=10)
    before = model.layers[2].output.shape[1]
    assert before == 32
    for size in ((63, 63), (64, 80), (96, 96)):
        larger = networks.build(name, input_shape=(*size, 3), num_classes=10)
        assert SIZES[name][1] < multiply_accumulates(larger) < 4.01 * SIZES[name][1]


def test_edge_xs_keeps_its_promise() -> None:
    model = build("edge-xs")
    assert model.count_params() == 42_618  # of at most 50,000
    assert multiply_accumulates(model) == SIZES["edge-xs"][1]  # of at most 5 million


def test_edge_res_s_has_its_published_parameters() -> None:
    """facts: 97,738 with BatchNorm."""
    assert build("edge-res-s").count_params() == 97_738


@pytest.mark.parametrize("name", ["seed-cnn", "edge-mb-s", "airbench"])
def test_logits_are_the_same_weights_without_the_softmax(name: Architecture) -> None:
    probabilities, logits = build(name), build(name, output="logits")
    logits.set_weights(probabilities.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.float32)
    powers = np.exp(np.asarray(logits(images)))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(probabilities(images)), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["resnet8", "edge-mb-m", "airbench"])
def test_pixels_are_centred_inside(name: Architecture) -> None:
    layer = build(name).get_layer("centred_pixels")
    pixels = np.array([0.0, 128.0, 255.0], np.float32).reshape(1, 1, 3, 1)
    assert np.asarray(layer(pixels)).ravel().tolist() == [-2.0, 0.0, 1.984375]


@pytest.mark.parametrize("name", [name for name in SIZES if name not in ("notebook", "airbench")])
def test_channels_come_in_eights_and_batch_norm_stands_before_the_relu(name: Architecture) -> None:
    model = build(name)
    assert all(
        shape[-1] % 8 == 0 or len(shape) == 2 for _, shape in kernels(model) if shape[-1] != 1
    )
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            before = layer.input._keras_history.operation
            assert type(before).__name__ in ("Conv2D", "DepthwiseConv2D")
            assert not before.use_bias


def test_the_teacher_starts_by_whitening_patches_and_passing_on() -> None:
    import keras

    model = build("airbench")
    images = packaged.test_sample().images
    set_initial_weights("airbench", model, images)
    whitening = model.get_layer("whitening")
    assert not whitening.trainable_variables
    whitened = np.asarray(keras.Model(model.input, whitening.output)(images.astype(np.float32)))
    np.testing.assert_allclose(whitened[..., :12], -whitened[..., 12:], atol=1e-5)
    covariance = np.cov(whitened[..., :12].reshape(-1, 12), rowvar=False)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-2
    # The faintest components stay below 1: the floor under the variances.
    assert 0.5 < np.diag(covariance).min() < np.diag(covariance).max() < 1.01
    for layer, shape in kernels(model):
        if shape[:2] == (3, 3):
            features = np.random.default_rng(0).normal(size=(1, 4, 4, shape[2])).astype(np.float32)
            passed = np.asarray(layer(features))[..., : shape[2]]
            np.testing.assert_allclose(passed, features, atol=1e-6)


def test_other_networks_start_from_their_distributions() -> None:
    import keras

    keras.utils.set_random_seed(0)
    model = build("resnet8")
    before = [weights.copy() for weights in model.get_weights()]
    set_initial_weights("resnet8", model, packaged.test_sample().images)
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("name", [name for name in SIZES if name != "notebook"])
@pytest.mark.parametrize("shape", [(16, 24, 3), (48, 32, 1)])
def test_networks_take_images_of_other_shapes_and_look_at_all_of_them(
    name: Architecture, shape: tuple[int, int, int]
) -> None:
    model = networks.build(name, input_shape=shape, num_classes=5, output="logits")
    images = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.uint8)
    set_initial_weights(name, model, images)
    pixels = images.astype(np.float32)
    scores = np.asarray(model(pixels))
    assert scores.shape == (2, 5)
    if (
        shape[1] > shape[0] and name != "airbench"
    ):  # the mean over all positions, not over a square of them
        pixels[:, :, 16:] = 255 - pixels[:, :, 16:]
        assert np.abs(np.asarray(model(pixels)) - scores).max() > 1e-4


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^architecture 'resnet9' is not one of notebook, .*resnet8"
    ):
        networks.build("resnet9", input_shape=(32, 32, 3), num_classes=10)  # type: ignore[arg-type]


def test_images_too_small_for_a_network_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^notebook cannot be built for images of \(16, 24, 3\): "
    ):
        networks.build("notebook", input_shape=(16, 24, 3), num_classes=5)
