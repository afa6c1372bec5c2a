"""Layers are matched, and their errors summed, as an independent computation does it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_eval.layers.layer_errors import Layer, layer_errors, match_by_name, match_by_order


def layers(*named: tuple[str, str]) -> tuple[Layer, ...]:
    return tuple(Layer(name=name, operator=operator) for name, operator in named)


CONV, POOL, DENSE = ("conv", "CONV_2D"), ("pool", "MAX_POOL_2D"), ("dense", "FULLY_CONNECTED")


def test_layers_of_equal_names_are_pairs_whatever_their_order() -> None:
    pairs = match_by_name(layers(CONV, POOL, DENSE), layers(POOL, ("other", "RELU"), CONV))
    assert [(one.name, other.name) for one, other in pairs] == [("pool", "pool"), ("conv", "conv")]


def test_a_fused_name_without_the_addition_of_zeros_still_names_the_layer() -> None:
    with_bias = ("net/conv/Relu;net/conv/BiasAdd;net/conv/convolution", "CONV_2D")
    without = ("net/conv/Relu;net/conv/convolution", "CONV_2D")
    twice = [("net/two/a", "ADD"), ("net/two/b", "ADD")]
    pairs = match_by_name(
        layers(without, *twice), layers(with_bias, ("net/two/c", "ADD"), ("net/conv/x", "RELU"))
    )
    assert [(one.name, other.name) for one, other in pairs] == [(without[0], with_bias[0])]


def test_the_order_of_operators_pairs_layers_whatever_their_names_and_leaves_extra_ones_out() -> (
    None
):
    candidate = layers(("pool", "CONV_2D"), ("b", "RELU"), ("c", "MAX_POOL_2D"), ("d", "SOFTMAX"))
    pairs = match_by_order(layers(CONV, POOL, DENSE), candidate)
    assert [(one.name, other.name) for one, other in pairs] == [("conv", "pool"), ("pool", "c")]


def test_branches_in_another_order_are_left_out_rather_than_confused() -> None:
    """A 3x3 and a 1x1 convolution of the same input: their weights tell them apart."""
    wide = Layer(name="a", operator="Conv", shape=(3, 3, 8, 8))
    narrow = Layer(name="b", operator="Conv", shape=(1, 1, 8, 8))
    pairs = match_by_order([wide, narrow], [narrow, wide])
    assert len(pairs) == 1
    assert all(one == other for one, other in pairs)


@dataclass
class FakeTrace:
    """Gives every layer the image's pixels, plus an error of its own."""

    layers: tuple[Layer, ...]
    errors: Mapping[str, float]
    is_float32: bool = True
    channel_axis: int = -1
    has_stable_names: bool = True

    def activations(self, image: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float64]]:
        return {name: image.astype(np.float64) + error for name, error in self.errors.items()}


def test_errors_are_summed_over_the_images_and_the_worst_layer_comes_first() -> None:
    images = np.random.default_rng(3).integers(0, 256, (4, 5, 5, 3)).astype(np.uint8)
    names = layers(CONV, POOL, DENSE)
    reference = FakeTrace(names, {"conv": 0, "pool": 0, "dense": 0})
    alone = layers(("alone", "RELU"))
    candidate = FakeTrace(names + alone, {"conv": 0.5, "pool": 0, "dense": -2, "alone": 0})
    counted: list[tuple[int, int]] = []
    found = layer_errors(
        reference,
        candidate,
        images,
        reference_name="float",
        count=lambda *done: counted.append(done),
    )
    assert counted == [(1, 4), (2, 4), (3, 4), (4, 4)]
    power = np.square(images.astype(np.float64)).mean()
    assert [layer.name for layer in found.layers] == ["dense", "conv", "pool"]
    assert [layer.sqnr_db for layer in found.layers[:2]] == [
        pytest.approx(10 * np.log10(power / 4)),
        pytest.approx(10 * np.log10(power / 0.25)),
    ]
    assert [layer.max_error for layer in found.layers[:2]] == [2, 0.5]
    assert found.layers[2].sqnr_db is None
    assert [layer.position for layer in found.layers] == [3, 1, 2]
    assert (found.reference, found.matched_by, found.num_images, found.unmatched) == (
        "float",
        "name",
        4,
        1,
    )


class CroppedTrace(FakeTrace):
    """Another convolution, whose output is smaller."""

    def activations(self, image: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float64]]:
        pixels = image.astype(np.float64)
        return {"conv": pixels[:, :2], "pool": pixels}


def test_a_layer_of_another_shape_is_no_counterpart() -> None:
    images = np.full((1, 4, 4, 3), 7, dtype=np.uint8)
    names = layers(CONV, POOL)
    reference, candidate = FakeTrace(names, {"conv": 0, "pool": 0}), CroppedTrace(names, {})
    found = layer_errors(reference, candidate, images, reference_name="float")
    assert [layer.name for layer in found.layers] == ["pool"]
    assert found.unmatched == 1


class GainTrace(FakeTrace):
    """The image with a gain for every channel, and then rounded to whole numbers."""

    def activations(self, image: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float64]]:
        pixels = image.astype(np.float64)
        return {"conv": np.rint(pixels * [0.5, 1.0, 3.0]), "pool": np.rint(pixels * 0.98)}


def test_an_equalized_layer_is_compared_up_to_one_gain_a_channel_and_marked() -> None:
    images = np.random.default_rng(4).integers(0, 256, (3, 9, 9, 3)).astype(np.uint8)
    names = layers(CONV, POOL)
    reference, candidate = FakeTrace(names, {"conv": 0, "pool": 0}), GainTrace(names, {})
    errors = layer_errors(reference, candidate, images, reference_name="float").layers
    found = {layer.name: layer for layer in errors}

    expected = images.astype(np.float64).reshape(-1, 3)
    given = candidate.activations(images)["conv"].reshape(-1, 3)
    residuals = [
        np.linalg.lstsq(given[:, [channel]], expected[:, channel], rcond=None)[1][0]
        for channel in range(3)
    ]
    power = np.square(expected).sum()
    assert found["conv"].rescaled
    assert found["conv"].sqnr_db == pytest.approx(10 * np.log10(power / sum(residuals)))
    # A gain that is wrong by 2 % is an error, not an equalization.
    noise = np.square(expected - np.rint(expected * 0.98)).sum()
    assert not found["pool"].rescaled
    assert found["pool"].sqnr_db == pytest.approx(10 * np.log10(power / noise))


@pytest.mark.parametrize(
    ("has_stable_names", "candidate_names", "matched_by", "matched"),
    [
        (True, [CONV, POOL, ("x", "FULLY_CONNECTED")], "name", {"conv", "pool"}),
        (True, [("x", "CONV_2D"), ("y", "MAX_POOL_2D"), DENSE], "order", {"x", "y", "dense"}),
        (False, [CONV, POOL, ("x", "FULLY_CONNECTED")], "order", {"conv", "pool", "x"}),
    ],
)
def test_names_decide_where_they_mean_something_and_most_layers_have_a_namesake(
    has_stable_names: bool,
    candidate_names: list[tuple[str, str]],
    matched_by: str,
    matched: set[str],
) -> None:
    images = np.full((1, 2, 2, 3), 7, dtype=np.uint8)
    reference = FakeTrace(layers(CONV, POOL, DENSE), {"conv": 0, "pool": 0, "dense": 0})
    candidate = FakeTrace(
        layers(*candidate_names),
        {name: 1.0 for name, _ in candidate_names},
        has_stable_names=has_stable_names,
    )
    found = layer_errors(reference, candidate, images, reference_name="float")
    assert found.matched_by == matched_by
    assert {layer.name for layer in found.layers} == matched
