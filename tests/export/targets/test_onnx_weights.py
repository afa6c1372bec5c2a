"""int8 ONNX models with unsigned activations: the same answers whether or not a processor adds products in 16 bits."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_data import packaged
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.simulation import SCALE_AXES, rounded_for_tflite
from cifar_export.keras_graph.trace import functional_from
from cifar_export.recipe import Activations
from cifar_export.targets.onnx_float import onnx_float32
from cifar_export.targets.onnx_int8 import StaticQuantization, onnx_int8
from cifar_export.targets.onnx_weights import rounded_within_sums

_Fill = Literal["equal", "random"]


@pytest.fixture(scope="module")
def feed() -> RepresentativeDataset:
    return RepresentativeDataset(images=packaged.calibration_sample().images[:64])


def _network(fill: _Fill) -> Any:
    """Convolutions of odd and even channels, grouped, depthwise and dense, with weights of one or of many sizes."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, strides=4, activation="relu"),
            layers.Conv2D(5, 1, activation="relu"),
            layers.Conv2D(8, 3, activation="relu"),
            layers.DepthwiseConv2D(3, activation="relu"),
            layers.Flatten(),
            layers.Dense(9, activation="relu"),
            layers.Dense(10),
        ]
    )
    if fill == "equal":
        for weight in model.weights:
            weight.assign(np.full(weight.shape, 1 / np.prod(weight.shape[:-1])))
    return functional_from(model)


def _converted(fill: _Fill, feed: RepresentativeDataset, activations: Activations) -> bytes:
    how = StaticQuantization(activations=activations)
    return onnx_int8(onnx_float32(_network(fill)), feed, how, model_name="m").data


def _pair_sums(weight: NDArray[np.int8]) -> Iterator[int]:
    """The size of each sum of two neighbours, in both orders of a convolution's sum; outputs first."""
    wide = weight.astype(int)
    for order in (wide, np.moveaxis(wide, 1, -1)):
        for channel in order.reshape(len(order), -1):
            for start in range(0, len(channel) - 1, 2):
                yield abs(channel[start] + channel[start + 1])


def _weights(data: bytes) -> list[NDArray[np.int8]]:
    """The int8 weights of convolutions and matrix products, outputs first."""
    import onnx

    graph = onnx.load_model_from_string(data).graph
    values = {value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer}
    sources = {node.output[0]: node.input[0] for node in graph.node}
    found = []
    for node in graph.node:
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            weight = values[sources[node.input[1]]]
            found.append(weight if node.op_type == "Conv" else weight.T)
    return found


@pytest.mark.parametrize("fill", ["equal", "random"])
def test_no_two_neighbouring_weights_leave_16_bits(
    fill: _Fill, feed: RepresentativeDataset
) -> None:
    weights = _weights(_converted(fill, feed, "uint8"))
    assert len(weights) == 6
    assert {weight.dtype for weight in weights} == {np.dtype(np.int8)}
    largest = [max(_pair_sums(weight)) for weight in weights]
    assert max(largest) * 255 <= 32_767
    assert min(largest) >= 100  # most of the 8 bits are used


@pytest.mark.parametrize("fill", ["equal", "random"])
def test_precise_arithmetic_gives_the_same_scores(fill: _Fill, feed: RepresentativeDataset) -> None:
    """With ``session.x64quantprecision`` onnxruntime avoids kernels that add products in 16 bits."""
    import onnxruntime

    data = _converted(fill, feed, "uint8")
    images = (packaged.test_sample().images[:100].astype(np.int16) - 128).astype(np.int8)
    images[0], images[1] = 127, -128
    scores = []
    for precise in ("0", "1"):
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.x64quantprecision", precise)
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        scores.append(session.run(None, {"image": images})[0])
    assert len(np.unique(scores[0])) > 1
    np.testing.assert_array_equal(*scores)


def test_biases_can_be_corrected_for_the_very_weights_of_the_file(
    feed: RepresentativeDataset,
) -> None:
    """The Keras kernels rounded for it are the weights of the file times their scales."""
    import onnx

    network = _network("random")
    layers = [one for one in network.layers if type(one).__name__ in SCALE_AXES]
    graph = onnx.load_model_from_string(_converted("random", feed, "uint8")).graph
    values = {value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    taken = [
        [values[name] for name in makers[node.input[1]].input[:2]]
        for node in graph.node
        if node.op_type in ("Conv", "MatMul", "Gemm")
    ]
    assert len(taken) == len(layers) == 6
    for layer, (weights, scales) in zip(layers, taken, strict=True):
        kernel, kind = layer.weights[0], type(layer).__name__
        wanted = weights * (scales if kind == "Dense" else scales.reshape(-1, 1, 1, 1))
        if kind != "Dense":
            wanted = np.moveaxis(wanted, (0, 1), (-1, -2)).reshape(kernel.shape)
        found = rounded_within_sums(kernel, kind)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-9)
        assert not np.allclose(found, rounded_for_tflite(kernel, kind), rtol=1e-3)


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_the_activations_are_of_the_wanted_type(
    activations: Activations, feed: RepresentativeDataset
) -> None:
    import onnx

    graph = onnx.load_model_from_string(_converted("random", feed, activations)).graph
    values = {value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer}
    found = {values[node.input[2]].dtype for node in graph.node if node.op_type == "QuantizeLinear"}
    assert found == {np.dtype(activations)}
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.INT8
