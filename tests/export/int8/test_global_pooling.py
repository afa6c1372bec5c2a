"""Means over all positions get a scale of their own in int8, in both formats, and stay the same means."""

from typing import Any

import numpy as np
import pytest

from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.int8.global_pooling import pool_globally
from cifar_export.int8.prepare import prepare
from cifar_export.keras_graph.fold import fold
from cifar_export.targets.onnx_float import onnx_float32
from cifar_export.targets.onnx_int8 import onnx_int8
from cifar_export.targets.onnx_pooling import use_global_average_pool
from cifar_export.targets.tflite import tflite_int8
from cifar_runtime.formats.onnx_graph import onnx_graph
from cifar_runtime.formats.tflite_graph import tflite_graph

IMAGES = np.random.default_rng(1).integers(0, 256, (16, 8, 8, 3), np.uint8)
FEED = RepresentativeDataset(images=IMAGES, multiplier=1 / 64, offset=-2.0)


def network(*pooling: Any) -> Any:
    """One rectified convolution of 8x8 images, ``pooling``, one dense layer."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    image = tensor = keras.Input((8, 8, 3))
    stack = [layers.Conv2D(4, 3, padding="same", activation="relu"), *pooling, layers.Flatten()]
    for layer in (*stack, layers.Dense(10)):
        tensor = layer(tensor)
    return keras.Model(image, tensor, name="small")


def named(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers if "Pooling" in type(layer).__name__]


def test_average_pooling_over_all_positions_becomes_global_and_keeps_its_name() -> None:
    from keras import layers

    model = network(layers.AveragePooling2D(8, name="mean"))
    pooled = pool_globally(model, FEED)
    assert pooled.report == ["mean"]
    assert named(pooled.model) == ["GlobalAveragePooling2D"]
    assert pooled.model.get_layer("mean").keepdims
    assert named(model) == ["AveragePooling2D"]
    images = IMAGES.astype(np.float32)
    expected = model.predict_on_batch(images)
    np.testing.assert_allclose(pooled.model.predict_on_batch(images), expected, atol=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"pool_size": 4},
        {"pool_size": (8, 4)},
        {"pool_size": 8, "strides": 4, "padding": "same"},
    ],
)
def test_what_pools_less_is_left_alone(arguments: dict[str, Any]) -> None:
    from keras import layers

    pooled = pool_globally(network(layers.AveragePooling2D(**arguments)), FEED)
    assert (pooled.report, named(pooled.model)) == ([], ["AveragePooling2D"])


def test_a_layer_that_is_called_twice_is_left_alone_and_a_keyword_is_not_minded() -> None:
    import keras
    from keras import layers

    image = keras.Input((8, 8, 3))
    mean = layers.AveragePooling2D(8, name="mean")
    large = layers.UpSampling2D(2)(image)
    ends = [layers.Flatten()(mean(layers.Conv2D(4, 1)(tensor))) for tensor in (image, large)]
    ends.append(layers.Flatten()(layers.AveragePooling2D(8, name="named")(inputs=image)))
    model = keras.Model(image, layers.Dense(10)(layers.Concatenate()(ends)))
    pooled = pool_globally(model, FEED)
    assert (pooled.report, named(pooled.model)) == (
        ["named"],
        ["AveragePooling2D", "GlobalAveragePooling2D"],
    )
    images = IMAGES.astype(np.float32)
    np.testing.assert_allclose(
        pooled.model.predict_on_batch(images), model.predict_on_batch(images), atol=1e-4
    )


def test_preparing_for_int8_pools_globally_and_reports_it() -> None:
    from keras import layers

    folded = fold(network(layers.AveragePooling2D(8, name="mean")))
    prepared = prepare(folded, FEED, IMAGES)
    assert prepared.report["pooled_globally"] == ["mean"]
    assert named(prepared.folded.model) == ["GlobalAveragePooling2D"]


def test_the_mean_has_a_scale_of_its_own_in_tflite() -> None:
    from ai_edge_litert.interpreter import Interpreter
    from keras import layers

    model = pool_globally(network(layers.AveragePooling2D(8)), FEED).model
    data = tflite_int8(model, FEED).data
    (mean,) = (operator for operator in tflite_graph(data).operators if operator.name == "MEAN")
    details = Interpreter(model_content=data).get_tensor_details()
    tensors = {tensor["index"]: tensor for tensor in details}
    taken, given = tensors[mean.inputs[0]], tensors[mean.outputs[0]]
    assert (taken["dtype"], given["dtype"]) == (np.int8, np.int8)
    assert given["quantization"][0] < taken["quantization"][0]


@pytest.mark.parametrize("keepdims", [False, True])
def test_onnx_pools_in_integers_with_a_scale_of_its_own(keepdims: bool) -> None:
    import onnx
    from keras import layers

    model = network(layers.GlobalAveragePooling2D(keepdims=keepdims))
    floating = onnx_float32(model)
    assert scores(floating.data) == pytest.approx(
        model.predict_on_batch(IMAGES.astype(np.float32)), abs=1e-3
    )
    nodes = onnx.load_model_from_string(onnx_int8(floating, FEED, model_name="small").data).graph
    makers = {name: node for node in nodes.node for name in node.output}
    users = {name: node for node in nodes.node for name in node.input}
    (pool,) = (node for node in nodes.node if node.op_type == "GlobalAveragePool")
    before, behind = makers[pool.input[0]], users[pool.output[0]]
    assert (before.op_type, behind.op_type) == ("DequantizeLinear", "QuantizeLinear")
    constants = {value.name: onnx.numpy_helper.to_array(value) for value in nodes.initializer}
    assert constants[behind.input[1]] < constants[before.input[1]]
    assert "ReduceMean" not in {node.op_type for node in nodes.node}
    assert onnx_graph(floating.data).macs == 8 * 8 * 4 * 27 + 4 * 10


def test_nodes_stay_in_the_order_that_onnx_wants() -> None:
    """Canonical form sorts no graph that holds another, so this must not rely on it."""
    import onnx

    floats = onnx.TensorProto.FLOAT
    make, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [
        make("Relu", ["image"], ["seen"]),
        make("Transpose", ["seen"], ["nhwc"], perm=[0, 2, 3, 1]),
        make("ReduceMean", ["nhwc", "axes"], ["mean"], keepdims=0),
        make("Neg", ["mean"], ["scores"]),
    ]
    axes = onnx.numpy_helper.from_array(np.array([1, 2]), "axes")
    ends = [value("image", floats, ["n", 3, 8, 8])], [value("scores", floats, ["n", 3])]
    graph = onnx.helper.make_graph(nodes, "means", *ends, [axes])
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    use_global_average_pool(proto)
    onnx.checker.check_model(proto, full_check=True)
    names = [node.op_type for node in proto.graph.node]
    assert names == ["Relu", "Transpose", "GlobalAveragePool", "Flatten", "Neg"]


def scores(data: bytes) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": IMAGES.astype(np.float32)})[0]


def test_means_of_other_axes_and_ranks_stay() -> None:
    import keras
    import onnx
    from keras import layers, ops

    image = keras.Input((8, 8, 3))
    rows = ops.mean(layers.Conv2D(4, 1)(image), axis=1, keepdims=True)
    blocks = ops.mean(ops.reshape(rows, (-1, 2, 2, 2, 4)), axis=(2, 3), keepdims=True)
    model = keras.Model(image, layers.Dense(10)(layers.Flatten()(blocks)))
    data = onnx_float32(model).data
    operators = {node.op_type for node in onnx.load_model_from_string(data).graph.node}
    assert "GlobalAveragePool" not in operators
    assert scores(data) == pytest.approx(
        model.predict_on_batch(IMAGES.astype(np.float32)), abs=1e-3
    )
