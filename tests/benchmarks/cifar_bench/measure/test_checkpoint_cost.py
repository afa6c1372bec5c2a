"""What a Keras checkpoint computes is counted as its exported files' graphs are, or is unknown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cifar_bench.measure.artefact_cost import cost_of
from cifar_bench.measure.checkpoint_cost import checkpoint_cost
from cifar_eval.models.keras import CheckpointModel
from cifar_runtime.artefact import open_artefact
from cifar_train.networks import Architecture, build

keras = pytest.importorskip("keras")
layers = keras.layers
# TensorFlow 2.21's tensors answer numpy 2 in the old way; the warning is about its code, not ours.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


@pytest.mark.parametrize(
    ("architecture", "mmacs", "parameters"),
    [
        ("notebook", 17.94, 382_858),
        ("resnet8", 12.50, 78_426),
        ("edge-res-s", 10.99, 97_738),
        ("edge-mix-s", 10.89, None),
        ("edge-mb-s", 11.61, None),
        ("edge-res-m", 36.09, None),
    ],
)
def test_our_networks_cost_what_was_worked_out_by_other_means(
    architecture: Architecture, mmacs: float, parameters: int | None
) -> None:
    """Multiply-accumulates in millions as counted when the networks were designed, parameters with BatchNorm."""
    cost = checkpoint_cost(build(architecture, input_shape=(32, 32, 3), num_classes=10))
    assert cost.macs is not None
    assert round(cost.macs / 1e6, 2) == mmacs
    assert parameters in (None, cost.parameters)
    assert cost.weight_bytes == 4 * cost.parameters


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_a_checkpoint_and_its_float_export_cost_the_same(exports: Path, suffix: str) -> None:
    checkpoint = checkpoint_cost(CheckpointModel(exports / "net.keras").model)
    exported = cost_of(open_artefact(exports / f"net-float32.{suffix}"))
    assert checkpoint.macs == exported.macs
    assert checkpoint.moved_bytes is not None
    assert exported.moved_bytes is not None
    activations = checkpoint.moved_bytes - checkpoint.weight_bytes
    assert activations == exported.moved_bytes - exported.weight_bytes
    if suffix == "tflite":  # in ONNX a bias of zeros is left out
        assert checkpoint.parameters == exported.parameters
        assert checkpoint.weight_bytes == exported.weight_bytes


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_int8_moves_a_quarter_of_the_activations(exports: Path, suffix: str) -> None:
    float32, int8 = (
        cost_of(open_artefact(exports / f"net-{precision}.{suffix}"))
        for precision in ("float32", "int8")
    )
    assert float32.moved_bytes is not None
    assert int8.moved_bytes is not None
    activations = float32.moved_bytes - float32.weight_bytes
    assert 4 * (int8.moved_bytes - int8.weight_bytes) == activations


def of(*steps: Any, shape: tuple[int, ...] = (8, 8, 3)) -> Any:
    return keras.Sequential([keras.Input(shape), *steps])


def shared() -> Any:
    image = keras.Input((8,))
    dense = layers.Dense(8)
    return keras.Model(image, dense(dense(image)))


def product_of_tensors() -> Any:
    image = keras.Input((8, 8))
    return keras.Model(image, keras.ops.matmul(image, image))


@pytest.mark.parametrize(
    ("make", "macs", "activations"),
    [
        (lambda: of(layers.Conv2D(6, 3, groups=3)), 36 * 6 * 9, 192 + 216),
        (lambda: of(layers.Conv2D(4, 3, strides=2, padding="same")), 16 * 4 * 27, 192 + 64),
        (
            lambda: of(layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")),
            64 * 6 * 9,
            192 + 384,
        ),
        # Six values between depthwise and pointwise at each of 16 positions, written and read again.
        (
            lambda: of(layers.SeparableConv2D(5, 3, strides=2, padding="same", depth_multiplier=2)),
            16 * (6 * 9 + 5 * 6),
            192 + 80 + 2 * 96,
        ),
        (lambda: of(layers.Dense(5)), 64 * 3 * 5, 192 + 320),
        (lambda: of(of(layers.Conv2D(4, 3)), layers.ReLU()), 36 * 4 * 27, 192 + 144),
        (lambda: of(layers.BatchNormalization(), layers.Flatten()), 0, 0),
    ],
)
def test_work_is_counted_by_hand(make: Callable[[], Any], macs: int, activations: int) -> None:
    cost = checkpoint_cost(make())
    assert cost.macs == macs
    assert cost.moved_bytes == 4 * activations + cost.weight_bytes


@pytest.mark.parametrize(
    "make",
    [
        shared,
        product_of_tensors,
        lambda: of(layers.Conv2DTranspose(4, 3)),
        lambda: of(layers.Reshape((8, 24)), layers.LSTM(4)),
        lambda: of(layers.TimeDistributed(layers.Dense(4))),
    ],
)
def test_what_is_not_known_for_certain_is_unknown(make: Callable[[], Any]) -> None:
    cost = checkpoint_cost(make())
    assert (cost.macs, cost.moved_bytes) == (None, None)


def test_a_layer_of_somebody_elses_is_unknown() -> None:
    class Dense(layers.Dense):  # type: ignore[misc,name-defined]
        pass

    assert checkpoint_cost(of(Dense(4))).macs is None


def test_half_precision_activations_take_two_bytes() -> None:
    cost = checkpoint_cost(of(layers.Dense(5, dtype="mixed_float16")))
    assert cost.moved_bytes == 2 * (192 + 320) + 4 * (3 * 5 + 5)
