"""What the converters write: operators, batch axes, names, and the refusal of hidden floats."""

from typing import Any

import numpy as np
import pytest

from cifar_data import packaged
from cifar_export.converted import Quantization
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.keras_graph.fold import fold
from cifar_export.targets.onnx_float import OPSET, checked_bytes, onnx_float32
from cifar_export.targets.tflite import refuse_float, tflite_float32, tflite_int8
from cifar_runtime.errors import ArtefactError
from cifar_runtime.formats.tflite_graph import tflite_graph
from cifar_train import networks

NOTEBOOK_OPERATORS = [*["CONV_2D", "MAX_POOL_2D"] * 3, "FULLY_CONNECTED", "SOFTMAX"]


@pytest.fixture(scope="module")
def notebook() -> Any:
    return fold(networks.build("notebook", input_shape=(32, 32, 3), num_classes=10)).model


def test_the_folded_notebook_network_has_no_mul_or_add_left(notebook: Any) -> None:
    converted = tflite_float32(notebook)
    assert converted.conversion["operators"] == NOTEBOOK_OPERATORS
    assert (converted.input, converted.output) == (None, None)


def test_an_int8_file_holds_integers_only_and_exact_pixels(notebook: Any) -> None:
    images = packaged.calibration_sample().images[:16]
    converted = tflite_int8(notebook, RepresentativeDataset(images=images))
    content = tflite_graph(converted.data)
    assert [one.name for one in content.operators] == NOTEBOOK_OPERATORS
    assert {tensor.dtype for tensor in content.tensors} <= {"int8", "int32"}
    assert converted.input == Quantization(scale=1.0, zero_point=-128)
    assert converted.output == Quantization(scale=1 / 256, zero_point=-128)


def test_every_convolution_of_an_int8_file_has_one_scale_a_filter(notebook: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    data = tflite_int8(
        notebook, RepresentativeDataset(images=packaged.calibration_sample().images[:16])
    ).data
    file = schema.ModelT.InitFromPackedBuf(data, 0)
    (graph,) = file.subgraphs
    scales = []
    for operator in graph.operators:
        if file.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.CONV_2D:
            filters = graph.tensors[operator.inputs[1]]
            assert filters.quantization.quantizedDimension == 0
            assert len(filters.quantization.scale) == filters.shape[0]
            scales.append(filters.quantization.scale)
    convolutions = [layer for layer in notebook.layers if hasattr(layer, "filters")]
    assert [len(of_layer) for of_layer in scales] == [layer.filters for layer in convolutions]
    assert all(len(set(of_layer.tolist())) > 1 for of_layer in scales)


def test_a_float_file_is_no_int8_file(notebook: Any) -> None:
    content = tflite_graph(tflite_float32(notebook).data)
    with pytest.raises(
        ArtefactError, match="small: its int8 file holds the operator CONV_2D, expected"
    ):
        refuse_float(content, model_name="small")


def test_an_onnx_file_states_its_names_batch_axis_and_opset(notebook: Any) -> None:
    import onnx

    proto = onnx.load_model_from_string(onnx_float32(notebook).data)
    (taken,), (given,) = proto.graph.input, proto.graph.output
    shapes = [
        [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (taken, given)
    ]
    assert (taken.name, given.name) == ("image", "scores")
    assert shapes == [["batch", 32, 32, 3], ["batch", 10]]
    assert [entry.version for entry in proto.opset_import if not entry.domain] == [OPSET]


def test_converters_leave_stdout_alone(notebook: Any, capfd: pytest.CaptureFixture[str]) -> None:
    tflite_float32(notebook)
    onnx_float32(notebook)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ("erf", "TensorFlow Lite cannot convert it: it has no form of tf.Erf. "),
        ("sin", "its int8 file holds the operator SIN, expected integer builtins only. "),
    ],
)
def test_an_operator_without_an_int8_form_is_refused_by_name(operation: str, reason: str) -> None:
    import keras

    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Dense(4)(keras.layers.Flatten()(getattr(keras.ops, operation)(inputs)))
    model = fold(keras.Model(inputs, outputs, name="odd")).model
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(ArtefactError) as caught:
        tflite_int8(model, RepresentativeDataset(images=images))
    assert str(caught.value).startswith(f"odd: {reason}")


def test_an_onnx_graph_has_one_form_whatever_its_order_and_names(notebook: Any) -> None:
    import onnx

    data = onnx_float32(notebook).data
    shuffled = onnx.load_model_from_string(data)
    graph = shuffled.graph
    for node in graph.node:
        node.name = f"other_{node.name}"
        for names in (node.input, node.output):
            names[:] = [name if name in ("image", "scores") else f"z{name}" for name in names]
    for constant in graph.initializer:
        constant.name = f"z{constant.name}"
    constants = list(
        reversed([onnx.TensorProto.FromString(c.SerializeToString()) for c in graph.initializer])
    )
    del graph.initializer[:]
    graph.initializer.extend(constants)
    graph.doc_string = "converted from number 17"
    assert shuffled.SerializeToString(deterministic=True) != data
    assert checked_bytes(shuffled, model_name="notebook") == data
